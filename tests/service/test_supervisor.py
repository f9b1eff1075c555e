"""The supervisor of `serve`: when it starts a worker, and what it makes of its end."""

import os
import time
from collections.abc import Iterator
from dataclasses import asdict, replace
from multiprocessing.connection import Connection
from pathlib import Path
from typing import Any, cast

import pytest

from pipelines.errors import ClickHouseError, RunError
from pipelines.service import supervisor as supervisor_module
from pipelines.service.spool import Hint, Spool
from pipelines.service.status import LastRun, Status
from pipelines.service.supervisor import Supervisor
from pipelines.service.worker import LogOptions, WorkerJob


def idle_worker(connection: Connection, job: WorkerJob) -> None:
    """Do what there is to do, and end."""
    spool = Spool(job.spool)
    spool.done(spool.take(10, not_read_since=time.time()), time.time())
    done = replace(job.status, runs=job.status.runs + 1, next_run=time.time() + 3600, doing="run")
    done.last_run = LastRun(1, 2, "")
    connection.send(asdict(done))


def failing_worker(connection: Connection, job: WorkerJob) -> None:
    connection.send(asdict(replace(job.status, last_run=LastRun(1, 2, "Code: 210"))))
    os._exit(4)


def killed_worker(connection: Connection, job: WorkerJob) -> None:
    os.kill(os.getpid(), 9)


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "webhooks.db")
    yield spool
    spool.close()


def job(spool_path: Path, status: Status) -> WorkerJob:
    nothing = cast(Any, None)
    return WorkerJob(
        nothing, nothing, nothing, spool_path, status, LogOptions(), counts_webhooks=True
    )


def test_a_worker_is_started_for_a_run_and_for_a_hint_and_its_status_is_kept(
    spool: Spool, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor_module, "run_worker", idle_worker)
    status = Status()
    supervisor = Supervisor(job(tmp_path / "webhooks.db", status), spool)

    supervisor._work()
    assert (status.runs, status.last_run, status.doing) == (1, LastRun(1, 2, ""), "")
    assert status.next_run > time.time()
    assert not supervisor._has_hints()

    spool.add([Hint(1, "payed")], 1.0)
    supervisor.wake()
    assert supervisor._has_hints()
    supervisor._work()
    assert status.runs == 2
    assert not supervisor._has_hints()


@pytest.mark.parametrize(
    ("worker", "error", "words"),
    [(failing_worker, ClickHouseError, "Code: 210"), (killed_worker, RunError, "exit code -9")],
)
def test_a_worker_that_fails_ends_serve_so_that_everything_is_started_again(
    spool: Spool,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    worker: Any,
    error: type[RunError],
    words: str,
) -> None:
    monkeypatch.setattr(supervisor_module, "run_worker", worker)

    with pytest.raises(error, match=words):
        Supervisor(job(tmp_path / "webhooks.db", Status()), spool).supervise()
