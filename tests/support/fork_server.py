"""A fork server for runs to which tests send signals.

The fork server is a process that has imported everything and has parsed the dbt project once. Each
run is a fork of it, which takes one second instead of five. The fork becomes the real command, with
the environment, the output files and the interruption that the test asks for.

`serve` is the process, `ForkServer` is the connection to it, and `RunLauncher` starts the runs.
"""

import gc
import json
import os
import resource
import runpy
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest

from tests.support.interruption import EventMonitor, Events, Point
from tests.support.paths import PROJECT

HASH_SEED = "20260615"


@dataclass(frozen=True, kw_only=True)
class RunRequest:
    """A request to the fork server to start a run."""

    environment: dict[str, str]
    folder: str
    arguments: tuple[str, ...]
    # The run gets the signal at this event of this phase; "" for none.
    phase: str
    event: int | str
    signal_number: int
    # 0 leaves each of these unchanged.
    orders_at_once: int
    clock_ahead: float
    largest_file: int
    marts_flags: tuple[str, ...]


# The process --------------------------------------------------------------------------------------


def serve() -> None:
    """Answer requests: lines of JSON on stdin, with answers as lines of JSON on stdout."""
    import dbt.adapters.clickhouse
    import dbt.task.build
    import pyarrow.parquet
    from dlt.destinations.impl.clickhouse import clickhouse

    import dashboard
    from pipelines import qtickets, run, summary
    from pipelines.operations import check

    del dbt, pyarrow, clickhouse, dashboard, check, qtickets, run, summary
    _parse_dbt_project()
    # Exclude all present objects from garbage collection: visiting them in a fork would copy their
    # memory pages.
    gc.freeze()
    gc.disable()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        request = json.loads(line)
        answer: int | None = None
        if "start" in request:
            answer = os.fork()
            if answer == 0:
                _run_command(RunRequest(**request["start"]))
                return
        elif "signals" in request:
            for number in request["signals"]:
                os.kill(request["pid"], number)
        else:
            _, status = os.waitpid(request["pid"], os.WUNTRACED)
            answer = None if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)
        print(json.dumps(answer), file=answers, flush=True)


def _parse_dbt_project() -> None:
    """Have dbt create its parsers, which takes half of the time of a short first run."""
    from dbt.cli.main import dbtRunner

    from pipelines.configuration.environment import DBT_PROJECT

    with TemporaryDirectory() as folder:
        result = dbtRunner().invoke(
            [
                *("--quiet", "--no-version-check", "--no-write-json", "--log-level-file", "none"),
                # The static parser starts threads, which a fork does not have: dbt would hang.
                *("parse", "--no-static-parser", "--target-path", folder, "--log-path", folder),
                *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
            ]
        )
    assert result.success, result.exception


def _run_command(request: RunRequest) -> None:
    """Turn this fork into the command.

    It returns or raises as the command does, so that the process ends like any Python process.
    """
    folder = Path(request.folder)
    out, err = str(folder / "stdout"), str(folder / "stderr")
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, (path, flags) in enumerate(((os.devnull, os.O_RDONLY), (out, write), (err, write))):
        os.dup2(os.open(path, flags, 0o600), number)
    os.environ.clear()
    os.environ.update(request.environment)
    os.chdir(folder)
    # This is never undone, because the process ends with the run.
    patch = pytest.MonkeyPatch()
    if request.orders_at_once:
        patch.setattr("pipelines.loading.history.ORDERS_PER_PART", request.orders_at_once)
        # Parts do not grow, however fast they are loaded.
        patch.setattr("pipelines.loading.history.SECONDS_PER_PART", 0)
    if request.clock_ahead:
        _set_clock(patch, request.clock_ahead)
    if request.marts_flags:
        _add_dbt_flags(patch, request.marts_flags)
    monitor = EventMonitor(
        home=request.environment["QTICKETS_HOME"],
        phase=request.phase,
        event=request.event,
        signal_number=request.signal_number,
        point_file=folder / "point",
    )
    monitor.start()
    if request.largest_file:
        resource.setrlimit(resource.RLIMIT_FSIZE, (request.largest_file,) * 2)
    sys.argv = ["qtickets.py", *request.arguments]
    try:
        runpy.run_path(str(PROJECT / "pipelines" / "qtickets.py"), run_name="__main__")
    finally:
        if not request.largest_file:
            (folder / "events").write_text(json.dumps(monitor.events))


def _set_clock(patch: pytest.MonkeyPatch, seconds: float) -> None:
    """Set the clock of this process ahead, for row versions, loads and the job log."""
    import time

    import dlt.common.time

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=seconds)

    for module in (
        "pipelines.warehouse.job_log",
        "pipelines.loading.incremental",
        "pipelines.loading.pipeline",
        "qtickets_source.versions",
    ):
        patch.setattr(f"{module}.datetime", Clock)
    patch.setattr(dlt.common.time, "precise_time", lambda: time.time() + seconds)
    patch.setattr(dlt.common.time.increasing_precise_time, "_last", 0.0)


def _add_dbt_flags(patch: pytest.MonkeyPatch, flags: tuple[str, ...]) -> None:
    from pipelines.transform.dbt_build import build_marts

    patch.setattr(
        "pipelines.run.build_marts",
        lambda *given, **named: build_marts(*given, *flags, **named),
    )


# The tests' side ----------------------------------------------------------------------------------


@dataclass(frozen=True)
class ForkServer:
    """The connection to a fork server."""

    process: subprocess.Popen[str]

    def ask(self, request: dict[str, Any]) -> int | None:
        """Send a request and return its answer."""
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(request) + "\n")
        self.process.stdin.flush()
        answer: int | None = json.loads(self.process.stdout.readline())
        return answer


@contextmanager
def running_fork_server() -> Iterator[ForkServer]:
    """Start a fork server for any number of launchers."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from tests.support.fork_server import serve; serve()"],
        cwd=PROJECT,
        # Sets have the same order in every run, and so have some statements of dlt.
        env={**os.environ, "PYTHONHASHSEED": HASH_SEED, "RUNTIME__DLTHUB_TELEMETRY": "false"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield ForkServer(process)
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait()


@dataclass(frozen=True)
class Run:
    """A run that was started by the fork server."""

    server: ForkServer
    pid: int
    folder: Path

    def wait(self) -> int | None:
        """Wait until the run has ended or stopped.

        Returns:
            The exit code, negative if a signal killed the run; None if it was stopped at its point.
        """
        return self.server.ask({"pid": self.pid})

    def signal(self, *numbers: int) -> None:
        """Send signals to the run."""
        self.server.ask({"pid": self.pid, "signals": numbers})

    def text(self, name: str) -> str:
        """Return "stdout", "stderr", or "point": the event at which it was killed or stopped."""
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    @property
    def error_lines(self) -> list[str]:
        return [line for line in self.text("stderr").splitlines() if line.strip()]

    @property
    def only_error_line(self) -> str:
        """Return the only line on stderr. There must be exactly one."""
        assert len(self.error_lines) == 1, self.text("stderr")[-3000:]
        return self.error_lines[0]

    @property
    def events(self) -> Events:
        """The events of the run, if it was not killed."""
        return [(phase, event) for phase, event in json.loads(self.text("events"))]


@dataclass
class RunLauncher:
    """Starts runs in an environment; each run has its own folder in `folder`."""

    environment: dict[str, str]
    folder: Path
    server: ForkServer
    count: int = 0

    def start(
        self,
        *arguments: str,
        at: tuple[str, int | str] = ("", 0),
        signal_number: int = signal.SIGKILL,
        orders_at_once: int = 0,
        clock_ahead: float = 0,
        largest_file: int = 0,
        marts_flags: tuple[str, ...] = (),
        **variables: str,
    ) -> Run:
        """Start a run that gets a signal at the given event of a phase."""
        self.count += 1
        folder = self.folder / f"run-{self.count}"
        folder.mkdir()
        phase, event = at
        request = RunRequest(
            environment=self.environment | variables,
            folder=str(folder),
            arguments=arguments,
            phase=phase,
            event=event,
            signal_number=signal_number,
            orders_at_once=orders_at_once,
            clock_ahead=clock_ahead,
            largest_file=largest_file,
            marts_flags=marts_flags,
        )
        pid = self.server.ask({"start": asdict(request)})
        assert pid is not None
        return Run(self.server, pid, folder)

    def complete(self, *arguments: str, **options: Any) -> Run:
        """Start a run, and wait until it has succeeded."""
        run = self.start(*arguments, **options)
        assert run.wait() == 0, run.text("stderr") + run.text("stdout")[-2000:]
        assert "Traceback" not in run.text("stderr")
        return run

    def kill(self, point: Point, events: Events, *arguments: str, **options: Any) -> Run:
        """Start a run that is killed at a point; `events` are those of an undisturbed run."""
        run = self.start(
            *arguments, at=(point.phase, point.event or point.number(events)), **options
        )
        assert run.wait() == -signal.SIGKILL, f"{point} was not reached: {run.text('stderr')}"
        return run
