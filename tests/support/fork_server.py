"""Runs that die or stand still at a chosen point: forked, so that each takes a second and not five.

A process that has imported everything, and has parsed the dbt project once, forks a copy of itself
for every run. The copy becomes the real command, watched through Python's audit events: requests to
the service, statements to ClickHouse, files opened for writing, renamed and removed. At a given one
of them it is killed, or stopped until the test says what happens next.
"""

import gc
import json
import os
import resource
import runpy
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from functools import wraps
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from tests.support.paths import PROJECT

SEED = 20260615

Seen = list[tuple[str, str]]
ForgeProcess = subprocess.Popen[str]


@dataclass(frozen=True)
class Point:
    """A point of a run: so far into a phase, or at a certain event of it."""

    phase: str
    share: float = 0
    event: str = field(default="")

    def number(self, seen: Seen) -> int:
        """Which event of its phase that is; `seen` is what an undisturbed run did."""
        return 1 + int(self.share * sum(phase == self.phase for phase, _ in seen))

    def __str__(self) -> str:
        return f"{self.phase} at {self.event or f'{self.share:.0%}'}"


# The process that is killed -----------------------------------------------------------------------


class Watch:
    """Counts what a run does, phase by phase, and raises a signal at one point of it."""

    def __init__(
        self, home: str, at: tuple[str, int | str], signal_number: int, note: Path
    ) -> None:
        self.seen: Seen = []
        self._home, self._at, self._signal, self._note = home, at, signal_number, note
        self._phase, self._counts, self._lock = "begin", Counter[str](), threading.Lock()

    def happens(self, what: str) -> None:
        with self._lock:
            self._counts[self._phase] += 1
            self.seen.append((self._phase, what))
            phase, point = self._at
            is_here = phase == self._phase and (
                point in what if isinstance(point, str) else point == self._counts[phase]
            )
            if is_here:
                self._at = ("", 0)
        if is_here:
            self._note.write_text(f"{phase} {point}: {what}")
            os.kill(os.getpid(), self._signal)

    def audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        """An audit hook: whatever reaches beyond the process."""
        if event == "http.client.send":
            connection, data = arguments
            head = bytes(data[:120]) if isinstance(data, bytes) else b""
            self.happens(f"sends to {connection.port}: {head!r}")
        elif event == "open":
            path, mode, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR) or set(mode or "") & set("wxa+")
            if writes and isinstance(path, str) and path.startswith(self._home):
                self.happens(f"opens {path}")
        elif event in ("os.rename", "os.remove", "os.rmdir", "shutil.rmtree"):
            path = str(arguments[0])
            if path.startswith(self._home):
                self.happens(f"{event} {path}")

    def watch(self) -> None:
        """Begins; the phases of a run are known by their functions, whose ends count too."""
        import clickhouse_driver.connection
        import dlt

        import pipelines.run
        from pipelines.warehouse.job_log import JobRecord

        for owner, name, phase in (
            (dlt.Pipeline, "extract", "extract"),
            (dlt.Pipeline, "normalize", "normalize"),
            (dlt.Pipeline, "load", "load"),
            (pipelines.run, "build_marts", "marts"),
            (JobRecord, "finish", "record"),
        ):
            setattr(owner, name, self._as_phase(phase, getattr(owner, name)))
        native = clickhouse_driver.connection.Connection
        native.send_query = self._stating(native.send_query)
        sys.addaudithook(self.audit)

    def _as_phase(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def in_phase(*arguments: Any, **named: Any) -> Any:
            before, self._phase = self._phase, phase
            try:
                result = function(*arguments, **named)
                self.happens("the end")
            finally:
                self._phase = before
            return result

        return in_phase

    def _stating(self, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def stating(connection: Any, statement: str, *arguments: Any, **named: Any) -> Any:
            self.happens(f"states {statement[:120]!r}")
            return function(connection, statement, *arguments, **named)

        return stating


def forge() -> None:
    """The process that forks the runs: an order a line on stdin, its answer a line on stdout."""
    import dbt.adapters.clickhouse
    import dbt.task.build
    import pyarrow.parquet
    from dlt.destinations.impl.clickhouse import clickhouse

    import dashboard
    from pipelines import qtickets, run, summary
    from pipelines.operations import check

    del dbt, pyarrow, clickhouse, dashboard, check, qtickets, run, summary
    parse_the_dbt_project()
    # What is here already need not be looked at, or copied, by the garbage collector of a run.
    gc.freeze()
    gc.disable()
    answers = os.fdopen(os.dup(1), "w")
    for line in sys.stdin:
        order = json.loads(line)
        answer: Any = None
        if "start" in order:
            answer = os.fork()
            if answer == 0:
                become(order["start"])
                return
        elif "signals" in order:
            for number in order["signals"]:
                os.kill(order["pid"], number)
        else:
            _, status = os.waitpid(order["pid"], os.WUNTRACED)
            answer = None if os.WIFSTOPPED(status) else os.waitstatus_to_exitcode(status)
        print(json.dumps(answer), file=answers, flush=True)


def parse_the_dbt_project() -> None:
    """Half of what dbt does in a short run it does once in a process: it makes its readers."""
    from dbt.cli.main import dbtRunner

    from pipelines.configuration.environment import DBT_PROJECT

    with TemporaryDirectory() as folder:
        result = dbtRunner().invoke(
            [
                *("--quiet", "--no-version-check", "--no-write-json", "--log-level-file", "none"),
                # The static parser has threads of its own, for which a copy would wait forever.
                *("parse", "--no-static-parser", "--target-path", folder, "--log-path", folder),
                *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
            ]
        )
    assert result.success, result.exception


def become(order: dict[str, Any]) -> None:
    """Makes this copy the command, with its own environment, output and surroundings.

    It returns or raises as the command does, so that the process ends as any Python process.
    """
    out, err = (str(Path(order["folder"], name)) for name in ("stdout", "stderr"))
    write = os.O_WRONLY | os.O_CREAT | os.O_TRUNC
    for number, (path, flags) in enumerate(((os.devnull, os.O_RDONLY), (out, write), (err, write))):
        os.dup2(os.open(path, flags, 0o600), number)
    os.environ.clear()
    os.environ.update(order["environment"])
    os.chdir(order["folder"])
    if order["orders_at_once"]:
        import pipelines.loading.history

        pipelines.loading.history.ORDERS_PER_PART = order["orders_at_once"]
        # Month by month, however fast they are.
        pipelines.loading.history.SECONDS_PER_PART = 0
    if order["clock_ahead"]:
        set_clock(order["clock_ahead"])
    if order["marts_flags"]:
        add_flags(order["marts_flags"])
    home, folder = order["environment"]["QTICKETS_HOME"], Path(order["folder"])
    watch = Watch(home, tuple(order["at"]), order["signal"], folder / "point")
    watch.watch()
    if order["largest_file"]:
        resource.setrlimit(resource.RLIMIT_FSIZE, (order["largest_file"],) * 2)
    sys.argv = ["qtickets.py", *order["arguments"]]
    try:
        runpy.run_path(str(PROJECT / "pipelines" / "qtickets.py"), run_name="__main__")
    finally:
        if not order["largest_file"]:
            (folder / "seen").write_text(json.dumps(watch.seen))


def set_clock(seconds: float) -> None:
    """Sets the clock of this process, as far as versions, loads and the job log go by it."""
    import time

    import dlt.common.time

    import pipelines.loading.incremental
    import pipelines.warehouse.job_log
    import qtickets_source.state.versions

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=seconds)

    for module in (
        pipelines.warehouse.job_log,
        pipelines.loading.incremental,
        qtickets_source.state.versions,
    ):
        module.datetime = Clock
    dlt.common.time.precise_time = lambda: time.time() + seconds
    dlt.common.time.increasing_precise_time._last = 0.0


def add_flags(flags: list[str]) -> None:
    """Gives `dbt build` further flags."""
    import pipelines.run

    build = pipelines.run.build_marts
    pipelines.run.build_marts = lambda *given, **named: build(*given, *flags, **named)


# The tests' side of it ----------------------------------------------------------------------------


@dataclass
class Run:
    """A run under way, or over."""

    forge: "Forge"
    pid: int
    folder: Path

    def end(self) -> int | None:
        """Waits: the exit code, negative for a signal; None if it stands still at its point."""
        code: int | None = self.forge.ask({"pid": self.pid})
        return code

    def signal(self, *numbers: int) -> None:
        self.forge.ask({"pid": self.pid, "signals": numbers})

    def text(self, name: str) -> str:
        """stdout, stderr, or point: where it was killed or stopped."""
        path = self.folder / name
        return path.read_text() if path.exists() else ""

    @property
    def error_lines(self) -> list[str]:
        return [line for line in self.text("stderr").splitlines() if line.strip()]

    @property
    def seen(self) -> Seen:
        return [(phase, what) for phase, what in json.loads(self.text("seen"))]


@dataclass
class Forge:
    """Starts runs, which write into `folder`; `environment` is that of a live run."""

    environment: dict[str, str]
    folder: Path
    process: ForgeProcess
    count: int = 0

    def ask(self, order: dict[str, Any]) -> Any:
        assert self.process.stdin and self.process.stdout
        self.process.stdin.write(json.dumps(order) + "\n")
        self.process.stdin.flush()
        return json.loads(self.process.stdout.readline())

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
        """Starts a run that gets a signal at the given event of a phase."""
        self.count += 1
        folder = self.folder / f"run-{self.count}"
        folder.mkdir()
        order = {
            "environment": self.environment | variables,
            "folder": str(folder),
            "arguments": arguments,
            "at": at,
            "signal": signal_number,
            "orders_at_once": orders_at_once,
            "clock_ahead": clock_ahead,
            "largest_file": largest_file,
            "marts_flags": marts_flags,
        }
        return Run(self, self.ask({"start": order}), folder)

    def complete(self, *arguments: str, **more: Any) -> Run:
        """A run that must succeed."""
        run = self.start(*arguments, **more)
        assert run.end() == 0, run.text("stderr") + run.text("stdout")[-2000:]
        assert "Traceback" not in run.text("stderr")
        return run

    def kill(self, point: Point, seen: Seen, *arguments: str, **more: Any) -> Run:
        """A run that is killed at a point, found in what an undisturbed run does."""
        run = self.start(*arguments, at=(point.phase, point.event or point.number(seen)), **more)
        assert run.end() == -signal.SIGKILL, f"{point} was not reached: {run.text('stderr')}"
        return run


@contextmanager
def running_forge() -> Iterator[ForgeProcess]:
    """The process that forks the runs, for any number of forges."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from tests.support.fork_server import forge; forge()"],
        cwd=PROJECT,
        # Sets, and with them the order of some of dlt's statements, are the same in every run.
        env={**os.environ, "PYTHONHASHSEED": str(SEED), "RUNTIME__DLTHUB_TELEMETRY": "false"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield process
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait()
