"""`python -m tests.support.killed_drains SPOOL`: drains that kill themselves at given points.

Each line of stdin is the name of a point. A fork drains the spool, and gets SIGKILL there; the name
of the point is printed when it is dead. Without a point ("") it drains to the end.
"""

import os
import signal
import sys
import time
from collections.abc import Callable
from pathlib import Path
from threading import Timer
from typing import Any

import dlt
import pytest

from pipelines.configuration.environment import read_settings
from pipelines.loading.destination import RawSqlClient
from pipelines.loading.pipeline import LoadSession
from pipelines.loading.service import Service
from pipelines.run import Opened
from pipelines.service import drain as drain_module
from pipelines.service.drain import DrainMemory, drain
from pipelines.service.spool import Spool
from pipelines.transform.dbt_build import build_marts
from pipelines.warehouse.job_log import JobRecord
from pipelines.warehouse.server import open_warehouse

POINTS: dict[str, tuple[Any, str, int]] = {
    "before it reads": (LoadSession, "run", 1),
    "before rows are normalized": (dlt.Pipeline, "normalize", 1),
    "before rows are loaded": (dlt.Pipeline, "load", 1),
    "between orders and tickets": (RawSqlClient, "insert_file", 2),
    "before the marts": (drain_module, "build_marts", 1),
    "before it is recorded": (JobRecord, "finish", 1),
    "before the hints are done": (Spool, "done", 1),
}
"""What is called there, and the number of the call."""
WITHIN_THE_BUILD = "within the marts"


def main(path: Path) -> None:
    # Imported before the forks, which have no threads.
    import dbt.cli.main

    del dbt
    for line in sys.stdin:
        pid = os.fork()
        if pid == 0:
            _drain(path, line.rstrip("\n"))
            os._exit(0)
        _, status = os.waitpid(pid, 0)
        print(f"{os.waitstatus_to_exitcode(status)}", flush=True)


def _drain(path: Path, point: str) -> None:
    patch = pytest.MonkeyPatch()
    if point in POINTS:
        owner, name, number = POINTS[point]
        patch.setattr(owner, name, _killing(getattr(owner, name), number))
    elif point == WITHIN_THE_BUILD:

        def build(*given: Any, **named: Any) -> Any:
            Timer(0.4, os.kill, (os.getpid(), signal.SIGKILL)).start()
            return build_marts(*given, **named)

        patch.setattr(drain_module, "build_marts", build)
    settings = read_settings()
    token = settings.qtickets_token
    assert token
    spool = Spool(path)
    with open_warehouse(settings) as warehouse:
        opened = Opened(warehouse, Service(settings.qtickets_base_url, token.get_secret_value()))
        orders = spool.take(100, not_read_since=time.time())
        done = drain(settings, opened, orders, DrainMemory())
        spool.done(done.read, time.time())


def _killing(function: Callable[..., Any], number: int) -> Callable[..., Any]:
    calls = 0

    def killed(*given: Any, **named: Any) -> Any:
        nonlocal calls
        calls += 1
        if calls == number:
            os.kill(os.getpid(), signal.SIGKILL)
        return function(*given, **named)

    return killed


if __name__ == "__main__":
    main(Path(sys.argv[1]))
