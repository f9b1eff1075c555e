"""The worker of `serve`: a process that makes runs and drains, so that they never delay a webhook.

It has dlt and dbt loaded, which takes seconds and 200 MB. It ends when there is nothing to do for
some minutes, and the next hint or scheduled run starts another one.
"""

import os
import sys
import time
from contextlib import suppress
from dataclasses import asdict, dataclass
from multiprocessing.connection import Connection
from pathlib import Path
from threading import Thread
from typing import TYPE_CHECKING

from rich.console import Console

from pipelines.configuration.environment import Settings
from pipelines.errors import INTERRUPTED, RunError
from pipelines.loading.service import Service
from pipelines.logs import set_up_logs
from pipelines.process import tune_process
from pipelines.service.spool import Spool
from pipelines.service.status import Status
from pipelines.warehouse.server import Warehouse

if TYPE_CHECKING:
    from pipelines.service.resident import Resident

REPORT_SECONDS = 0.2


@dataclass(frozen=True)
class LogOptions:
    """How the command was asked to print and log."""

    verbose: bool = False
    as_json: bool = False
    quiet: bool = False


@dataclass(frozen=True)
class WorkerJob:
    """What a worker gets: everything is copied into its process.

    Attributes:
        status: The state so far; the worker continues it.
        counts_webhooks: Whether webhooks are received.
    """

    settings: Settings
    warehouse: Warehouse
    service: Service
    spool: Path
    status: Status
    logs: LogOptions
    counts_webhooks: bool


def run_worker(connection: Connection, job: WorkerJob) -> None:
    """Work until there is nothing to do, or SIGTERM; the main function of the process.

    Args:
        connection: Gets a message for each hint, and is sent the status whenever it changes.
        job: What to work with.
    """
    tune_process()
    set_up_logs(verbose=job.logs.verbose, as_json=job.logs.as_json, quiet=job.logs.quiet)
    # Imported late: dlt is imported after the process is tuned.
    from pipelines.run import Opened
    from pipelines.service.resident import Resident

    console = Console(highlight=False, soft_wrap=True, quiet=job.logs.quiet)
    resident = Resident(
        job.settings,
        console,
        Opened(job.warehouse, job.service),
        Spool(job.spool),
        job.status,
        counts_webhooks=job.counts_webhooks,
    )
    Thread(target=_listen, args=(connection, resident), daemon=True).start()
    Thread(target=_report, args=(connection, job.status), daemon=True).start()
    exit_code = 0
    try:
        resident.work()
    except RunError as error:
        exit_code = int(error.exit_code)
    except KeyboardInterrupt:
        exit_code = INTERRUPTED
    with suppress(OSError):
        connection.send(asdict(job.status))
    sys.stdout.flush()
    # Threads that wait for the service would hold the process.
    os._exit(exit_code)


def _listen(connection: Connection, resident: "Resident") -> None:
    """Wake the worker at each message. Without its parent it ends at once, as if it were killed."""
    with suppress(EOFError, OSError):
        while True:
            connection.recv()
            resident.wake()
    os._exit(1)


def _report(connection: Connection, status: Status) -> None:
    sent: dict[str, object] = {}
    with suppress(OSError):
        while True:
            now = asdict(status)
            if now != sent:
                connection.send(now)
                sent = now
            time.sleep(REPORT_SECONDS)
