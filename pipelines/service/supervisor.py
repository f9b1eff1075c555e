"""The main thread of `serve`: it starts a worker when there is work, and ends it at a signal."""

import multiprocessing
import time
from contextlib import suppress
from dataclasses import replace
from multiprocessing.connection import Connection, wait
from multiprocessing.process import BaseProcess
from threading import Event, Lock

from pipelines.errors import ClickHouseError, RunError
from pipelines.service.spool import Spool, SpoolError
from pipelines.service.status import LastRun, Status
from pipelines.service.worker import WorkerJob, run_worker
from pipelines.signals import ended_by_signals

STOP_SECONDS = 20
LOOKS_EVERY = 60.0


class Supervisor:
    """Keeps a worker while there is work.

    Args:
        job: What a worker gets; its status is kept up to date.
        spool: The hints of webhooks.
    """

    def __init__(self, job: WorkerJob, spool: Spool) -> None:
        self._job, self._spool = job, spool
        self._woken, self._is_stopping = Event(), False
        self._connection: Connection | None = None
        self._lock = Lock()

    def wake(self) -> None:
        """Look for work now; called by the receiver after a hint was written."""
        self._woken.set()
        with self._lock, suppress(OSError):
            if self._connection:
                self._connection.send(None)

    def stop(self) -> None:
        """End the worker as SIGTERM ends a run."""
        self._is_stopping = True
        self._woken.set()

    def supervise(self) -> None:
        """Work until SIGTERM.

        Raises:
            RunError: The worker failed; a new process starts everything again.
        """
        with ended_by_signals(self.stop):
            while not self._is_stopping:
                self._woken.clear()
                pause = self._job.status.next_run - time.time()
                if pause <= 0 or self._has_hints():
                    self._work()
                else:
                    self._woken.wait(min(pause, LOOKS_EVERY))

    def _has_hints(self) -> bool:
        try:
            return self._spool.pending_count() > 0
        except SpoolError:
            return False

    def _work(self) -> None:
        """Start a worker, and follow it to its end."""
        context = multiprocessing.get_context("spawn")
        own, others = context.Pipe()
        # A copy: the worker continues it, and sends what it becomes.
        job = replace(self._job, status=replace(self._job.status))
        worker = context.Process(target=run_worker, args=(others, job), name="worker")
        worker.start()
        others.close()
        with self._lock:
            self._connection = own
        try:
            self._follow(own, worker)
        finally:
            with self._lock:
                self._connection = None
            self._end(worker)
            own.close()
        self._job.status.doing = ""
        if worker.exitcode and not self._is_stopping:
            raise _failure(worker.exitcode, self._job.status)

    def _follow(self, connection: Connection, worker: BaseProcess) -> None:
        while worker.is_alive() and not self._is_stopping:
            wait([connection, worker.sentinel], timeout=0.5)
            self._receive(connection)
        worker.join(0 if self._is_stopping else None)
        self._receive(connection)

    def _receive(self, connection: Connection) -> None:
        with suppress(EOFError, OSError):
            while connection.poll():
                for name, value in connection.recv().items():
                    if name == "last_run" and value is not None:
                        value = LastRun(**value)  # noqa: PLW2901
                    setattr(self._job.status, name, value)

    def _end(self, worker: BaseProcess) -> None:
        if worker.is_alive():
            worker.terminate()
            worker.join(STOP_SECONDS)
        if worker.is_alive():
            worker.kill()
            worker.join()


def _failure(exit_code: int, status: Status) -> RunError:
    problem = status.last_run.problem if status.last_run else ""
    if exit_code == int(ClickHouseError.exit_code):
        return ClickHouseError(problem or "ClickHouse has ended.")
    return RunError(
        f"The worker of `serve` ended with exit code {exit_code}. Nothing is lost: start `serve`"
        " again. If it was killed, the machine may lack memory."
    )
