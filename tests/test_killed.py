"""Killed anywhere, right afterwards: runs that die at chosen points, each followed by a good one.

A process that has imported everything forks a copy of itself for every run, so that a run takes a
second and not five. The copy becomes the real command, watched through Python's audit events:
requests to the service, statements to ClickHouse, files opened for writing, renamed and removed. At
a given one of them it is killed, or stopped until the test says what happens next.

The service is the sandbox over HTTP; ClickHouse is a server given by its address.
"""

import gc
import json
import os
import random
import resource
import runpy
import signal
import subprocess
import sys
import threading
from collections import Counter
from collections.abc import Callable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property, wraps
from pathlib import Path
from queue import Queue
from typing import Any

import pytest

from local_clickhouse import LocalServer, running_server
from sandbox import World, serve

from .conftest import DATABASE, Marts, query
from .expected import actual_daily, actual_dashboard, dashboard, sales_daily

PROJECT = Path(__file__).resolve().parent.parent
NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
EVENING = NOW + timedelta(hours=9)
SEED = 20260615
RAW = f"{DATABASE}_raw"

Seen = list[tuple[str, str]]


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
        from pipelines.job_record import JobRecord

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
    import dbt.cli.main
    import pandas
    import pyarrow.parquet
    from dlt.destinations.impl.clickhouse import clickhouse

    from pipelines import qtickets, run, summary

    del dbt, pandas, pyarrow, clickhouse, qtickets, run, summary
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
        import pipelines.load

        pipelines.load.ORDERS_AT_ONCE = order["orders_at_once"]
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

    import pipelines.job_record
    import pipelines.load
    import qtickets_source.stamps

    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime.now(tz) + timedelta(seconds=seconds)

    for module in (pipelines.job_record, pipelines.load, qtickets_source.stamps):
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
    """Starts runs; `environment` is that of a live run."""

    environment: dict[str, str]
    folder: Path
    process: "subprocess.Popen[str]"
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

    def kill(self, point: "Point", seen: Seen, *arguments: str, **more: Any) -> Run:
        """A run that is killed at a point, found in what an undisturbed run does."""
        run = self.start(*arguments, at=(point.phase, point.event or point.number(seen)), **more)
        assert run.end() == -signal.SIGKILL, f"{point} was not reached: {run.text('stderr')}"
        return run


@contextmanager
def forge_at(folder: Path, environment: dict[str, str]) -> Iterator[Forge]:
    """A forge whose runs write into `folder`."""
    process = subprocess.Popen(
        [sys.executable, "-c", "from tests.test_killed import forge; forge()"],
        cwd=PROJECT,
        # Sets, and with them the order of some of dlt's statements, are the same in every run.
        env={**os.environ, "PYTHONHASHSEED": str(SEED), "RUNTIME__DLTHUB_TELEMETRY": "false"},
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        yield Forge(environment, folder, process)
    finally:
        assert process.stdin
        process.stdin.close()
        process.wait()


def live_environment(server: LocalServer, base_url: str, home: Path) -> dict[str, str]:
    """A live run on a "remote" server, on a machine far from UTC."""
    loader, transformer = server.logins["loader"], server.logins["transformer"]
    return {
        "PATH": os.environ["PATH"],
        "HOME": str(home / "user"),
        "TZ": "Asia/Vladivostok",
        "QTICKETS_TOKEN": "sandbox-token",
        "QTICKETS_BASE_URL": base_url,
        "QTICKETS_HOME": str(home),
        "QTICKETS_PII_SALT": "a salt for tests",
        "QTICKETS_INITIAL_BACKFILL_HOURS": "all",
        "QTICKETS_RETRY_SECONDS": "1",
        "CLICKHOUSE_HOST": server.host,
        "CLICKHOUSE_PORT": str(server.http_port),
        "CLICKHOUSE_NATIVE_PORT": str(server.native_port),
        "CLICKHOUSE_USER": loader.user,
        "CLICKHOUSE_PASSWORD": loader.password,
        "CLICKHOUSE_TRANSFORM_USER": transformer.user,
        "CLICKHOUSE_TRANSFORM_PASSWORD": transformer.password,
        "CLICKHOUSE_DB": DATABASE,
        # The worlds' clocks move by minutes; another moment would make dbt parse its models again.
        "REPORT_NOW": f"{EVENING.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}",
    }


def small_world(seed: int = 11) -> World:
    return World(
        orders=150,
        seed=seed,
        start=NOW - timedelta(days=150),
        end=NOW + timedelta(days=30),
        now=NOW,
        events=6,
    )


def drop_databases(server: LocalServer) -> None:
    for login, database in (("loader", RAW), ("transformer", DATABASE)):
        query(server, login, f"DROP DATABASE IF EXISTS {database} SYNC")


def raw_rows(server: LocalServer) -> dict[str, list[tuple[Any, ...]]]:
    """What a reader finds in the raw tables, but for when it was read.

    The seats are left out: every run adds its own snapshot of them.
    """
    marts = Marts(server)
    tables = marts.raw(
        f"SELECT name FROM system.tables WHERE database = '{RAW}'"
        " AND NOT startsWith(name, '_dlt') AND name NOT IN ('inventory', 'dlt_sentinel_table')"
    )
    found = {}
    for name in sorted(row["name"] for row in tables):
        rows = marts.raw(f"SELECT * FROM {RAW}.{name} FINAL ORDER BY ALL")
        found[name] = [
            tuple(value for column, value in row.items() if column != "_fetched_at") for row in rows
        ]
        found[name].sort(key=repr)
    return found


def marts_rows(server: LocalServer) -> dict[str, list[tuple[Any, ...]]]:
    """Every row of every mart and view for people, but for when the seats were read."""
    marts = Marts(server)
    tables = marts.rows(
        f"SELECT name FROM system.tables WHERE database = '{DATABASE}'"
        " AND match(name, '^(dim|fact|mv|v)_') ORDER BY name"
    )
    observed = {"snapshot_ts", "snapshot_at", "inventory_updated_at", "_loaded_at", "_ver"}
    found = {}
    for name in (row["name"] for row in tables):
        # These have a row, or an age, for every time that the seats were read.
        if name in ("v_qtickets_freshness", "fact_qtickets_inventory_history"):
            continue
        rows = marts.rows(f"SELECT * FROM {DATABASE}.{name}")
        found[name] = sorted(
            (
                tuple(value for column, value in row.items() if column not in observed)
                for row in rows
            ),
            key=repr,
        )
    return found


def check_raw(world: World, server: LocalServer) -> None:
    """The paid orders and their tickets, against what the service has."""
    marts = Marts(server)
    orders = marts.raw(f"SELECT id, updated_at, deleted_at FROM {RAW}.orders FINAL WHERE payed")
    tickets = marts.raw(
        f"SELECT id, order_id, price, quantity, refunded_at, deleted_at FROM {RAW}.tickets FINAL"
        f" WHERE order_id IN (SELECT id FROM {RAW}.orders FINAL WHERE payed)"
    )
    paid = [order for order in world.orders() if order["payed"]]
    assert {row["id"]: (utc(row["updated_at"]), utc(row["deleted_at"])) for row in orders} == {
        order["id"]: (utc(order["updated_at"]), utc(order["deleted_at"])) for order in paid
    }
    assert {
        (row["order_id"], row["id"]): (
            float(row["price"]),
            row["quantity"],
            utc(row["refunded_at"]),
            utc(row["deleted_at"]),
        )
        for row in tickets
    } == {
        (order["id"], ticket["id"]): (
            float(ticket["price"]),
            ticket["quantity"],
            utc(ticket["refunded_at"]),
            utc(ticket["deleted_at"]),
        )
        for order in paid
        for ticket in order["baskets"]
    }


def utc(moment: datetime | str | None) -> datetime | None:
    if isinstance(moment, str):
        return datetime.fromisoformat(moment).astimezone(timezone.utc).replace(tzinfo=None)
    return moment.replace(tzinfo=None) if moment else None


def check_marts(world: World, server: LocalServer) -> None:
    """Every number of the daily fact and of the dashboard, against plain Python."""
    marts = Marts(server)
    daily = actual_daily(marts.rows(f"SELECT * FROM {DATABASE}.fact_qtickets_sales_daily"))
    board = actual_dashboard(marts.rows(f"SELECT * FROM {DATABASE}.v_qtickets_sales_dashboard"))
    shows = {show["id"] for event in world.events() for show in event["shows"]}
    assert daily == sales_daily(world.orders(), world.events())
    assert board == dashboard(
        world.orders(), world.events(), EVENING, {show: world.seats(show) for show in shows}
    )


def unfinished(server: LocalServer) -> dict[Any, datetime]:
    """Runs that began and have no end in the job log, and when they began."""
    exists = Marts(server).rows(
        "SELECT count() AS tables FROM system.tables"
        f" WHERE database = '{DATABASE}' AND startsWith(name, 'meta_job_')"
    )
    if exists[0]["tables"] < 2:
        return {}
    rows = Marts(server).rows(
        f"SELECT run_id, started_at FROM {DATABASE}.meta_job_starts"
        f" WHERE run_id NOT IN (SELECT run_id FROM {DATABASE}.meta_job_runs)"
    )
    return {row["run_id"]: row["started_at"] for row in rows}


def check_recorded(server: LocalServer, killed: dict[Any, datetime]) -> None:
    """The killed run is in the job log as one that failed, and no run is without its end."""
    runs = {
        row["run_id"]: row
        for row in Marts(server).rows(
            f"SELECT run_id, started_at, status, message FROM {DATABASE}.meta_job_runs"
        )
    }
    for run_id, started_at in killed.items():
        assert runs[run_id]["status"] == "error"
        assert "killed" in runs[run_id]["message"]
        assert runs[run_id]["started_at"] == started_at
    assert unfinished(server) == {}


# The tests ----------------------------------------------------------------------------------------


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


def points(name: str, **count: int) -> Any:
    """So many points of each phase, by the seed, one in each equal part of the phase.

    The last third of a phase is left to points named by what happens: threads, and what there is to
    load, make a phase longer or shorter.
    """
    dice = random.Random(f"{SEED} {name}")
    return [
        Point(phase, 0.65 * (part + dice.random()) / parts)
        for phase, parts in count.items()
        for part in range(parts)
    ]


FIRST_RUN = [
    *points("first run", begin=1, extract=1, normalize=1, load=1),
    # Tables are made one by one, in any order.
    Point("load", event=f"CREATE TABLE `{RAW}`.`orders`"),
]
LATER_RUN = [
    *points("later run", extract=3, normalize=3, load=7, record=2),
    # Half of an insert is sent; the load is complete, but for its record; the run is, but for its
    # summary.
    Point("load", event="b'0\\r\\n\\r\\n"),
    Point("load", event="_dlt_loads"),
    Point("record", event="the end"),
]
MARTS = points("marts", marts=4)
MONTHS = [Point("extract", 0.45), Point("load", 0.5), Point("load", 0.65)]

# Tests of the marts take half of the time of a build, and change nothing in them.
MODELS_ONLY = ("--exclude-resource-type", "test")


@dataclass
class Lane:
    """A service, a server and a place for runs; what runs do and leave if nobody disturbs them."""

    server: LocalServer
    world: World
    service: Any
    runs: Forge
    first: Seen = field(init=False)
    later: Seen = field(init=False)
    raw: dict[str, list[tuple[Any, ...]]] = field(init=False)

    def __post_init__(self) -> None:
        drop_databases(self.server)
        self.first = self.runs.complete("--skip-marts").seen
        # A run that finds nothing new loads nothing, and could not be killed while it does.
        happen(self.world, 999)
        self.later = self.runs.complete(marts_flags=MODELS_ONLY).seen
        self.raw = raw_rows(self.server)

    @cached_property
    def months(self) -> tuple[Seen, list[tuple[str, str]]]:
        """What a first run does that goes by months, and the windows that it asks for."""
        drop_databases(self.server)
        self.service.requests.clear()
        seen = self.runs.complete("--skip-marts", orders_at_once=20).seen
        self.raw = raw_rows(self.server)
        return seen, windows_asked(self.service)


Scenario = Callable[[Lane, Point], None]


class Lanes:
    """Lanes that know nothing of each other; each point is tried on whichever is free."""

    def __init__(self, pool: ThreadPoolExecutor, lanes: list[Lane]) -> None:
        self.pool, self.lanes, self._free = pool, lanes, Queue[Lane]()
        for lane in lanes:
            self._free.put(lane)

    def tried(
        self, scenario: Scenario, request: pytest.FixtureRequest
    ) -> dict[Point, Future[None]]:
        """Begins with all points that the tests of this session ask for."""

        def attempt(point: Point) -> None:
            lane = self._free.get()
            try:
                scenario(lane, point)
            finally:
                self._free.put(lane)

        asked = [
            item.callspec.params["point"]
            for item in request.session.items
            if isinstance(item, pytest.Function)
            and item.originalname == request.function.__name__
            and item.module is request.module
        ]
        return {point: self.pool.submit(attempt, point) for point in asked}


@pytest.fixture(scope="module")
def lanes(server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Lanes]:
    """Two lanes, as there is one core for a run and hardly any for its ClickHouse."""
    with ExitStack() as held, ThreadPoolExecutor(2) as pool:
        folders = [tmp_path_factory.mktemp("killed") for _ in range(2)]
        servers = [server, held.enter_context(running_server(folders[1], database=DATABASE))]
        worlds = [small_world() for _ in servers]
        services = [held.enter_context(serve(world)) for world in worlds]
        forges = [
            held.enter_context(
                forge_at(folder, live_environment(server, service.url, folder / "home"))
            )
            for folder, server, service in zip(folders, servers, services, strict=True)
        ]
        yield Lanes(pool, list(pool.map(Lane, servers, worlds, services, forges)))


def kill_first_run(lane: Lane, point: Point) -> None:
    drop_databases(lane.server)

    run = lane.runs.kill(point, lane.first, "--skip-marts")
    killed = unfinished(lane.server)
    lane.runs.complete("--skip-marts")

    assert raw_rows(lane.server) == lane.raw, run.text("point")
    assert len(killed) == 1 or point.phase == "begin"
    check_recorded(lane.server, killed)


def happen(world: World, number: int) -> None:
    """Minutes pass, with sales and changes of old ones; other orders every time."""
    world.advance(hours=1 / 12)
    live = [
        order
        for order in world.orders()
        if order["payed"]
        and not order["deleted_at"]
        and all(ticket["price"] >= 50 and not ticket["refunded_at"] for ticket in order["baskets"])
    ]
    dice = random.Random(f"{SEED} {number}")
    whole, part, cancelled, exchanged = dice.sample(live, 4)
    world.refund(whole["id"])
    world.refund(part["id"], [part["baskets"][0]["id"]], deduction=50)
    world.cancel(cancelled["id"])
    world.exchange(exchanged["id"])
    world.sell(tickets=2)


def kill_later_run(lane: Lane, point: Point) -> None:
    happen(lane.world, LATER_RUN.index(point))

    run = lane.runs.kill(point, lane.later, "--skip-marts")
    killed = unfinished(lane.server)
    lane.runs.complete("--skip-marts")

    with naming(run):
        check_raw(lane.world, lane.server)
    assert len(killed) == (point.event != "the end")
    check_recorded(lane.server, killed)


def kill_build(lane: Lane, point: Point) -> None:
    happen(lane.world, 1000 + MARTS.index(point))

    run = lane.runs.kill(point, lane.later, marts_flags=MODELS_ONLY)
    killed = unfinished(lane.server)
    lane.runs.complete(marts_flags=MODELS_ONLY)

    with naming(run):
        check_marts(lane.world, lane.server)
    assert len(killed) == 1
    check_recorded(lane.server, killed)


def kill_history(lane: Lane, point: Point) -> None:
    seen, windows = lane.months
    drop_databases(lane.server)

    run = lane.runs.kill(point, seen, "--skip-marts", orders_at_once=20)
    killed = unfinished(lane.server)
    # The first load makes the tables, each further one completes a month.
    loads = Marts(lane.server).raw(f"SELECT count() AS done FROM {RAW}._dlt_loads")[0]["done"] - 1
    lane.service.requests.clear()
    lane.runs.complete("--skip-marts", orders_at_once=20)

    assert 0 < loads < len(windows)
    assert windows_asked(lane.service)[0][0] == windows[loads][0]
    assert all(since >= windows[loads][0] for since, _ in windows_asked(lane.service))
    assert raw_rows(lane.server) == lane.raw, run.text("point")
    check_recorded(lane.server, killed)


@contextmanager
def naming(run: Run) -> Iterator[None]:
    """Has a failure name the point at which the run was killed."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(run.text("point")) from error


def windows_asked(service: Any) -> list[tuple[str, str]]:
    """The closed windows of payment time that were asked for, in order."""
    asked = []
    for _, path, body, _ in list(service.requests):
        if "/orders" in path and isinstance(body, dict):
            limits = {
                (item["column"], item["operator"]): item["value"] for item in body["where"] or ()
            }
            if ("payed_at", "<") in limits:
                asked.append((limits["payed_at", ">="], limits["payed_at", "<"]))
    return list(dict.fromkeys(asked))


Tried = dict[Point, Future[None]]


@pytest.fixture(scope="module")
def attempts() -> dict[str, Tried]:
    """Every test's attempts, begun all together by the first of its points."""
    return {}


@pytest.fixture
def attempt(
    request: pytest.FixtureRequest, lanes: Lanes, attempts: dict[str, Tried]
) -> Callable[[Scenario, Point], None]:
    """Tries a scenario at a point, or tells how that went."""

    def attempt(scenario: Scenario, point: Point) -> None:
        name = request.function.__name__
        if name not in attempts:
            attempts[name] = lanes.tried(scenario, request)
        attempts[name][point].result()

    return attempt


Attempt = Callable[[Scenario, Point], None]


@pytest.mark.parametrize("point", FIRST_RUN, ids=str)
def test_a_first_run_killed_anywhere_is_made_good_by_the_next(
    point: Point, attempt: Attempt
) -> None:
    attempt(kill_first_run, point)


@pytest.mark.parametrize("point", LATER_RUN, ids=str)
def test_a_later_run_killed_anywhere_is_made_good_by_the_next(
    point: Point, attempt: Attempt
) -> None:
    attempt(kill_later_run, point)


@pytest.mark.parametrize("point", MARTS, ids=str)
def test_a_build_of_the_marts_killed_anywhere_is_made_good_by_the_next(
    point: Point, attempt: Attempt
) -> None:
    attempt(kill_build, point)


def test_after_all_these_kills_every_mart_is_that_of_a_history_without_any(lanes: Lanes) -> None:
    def compare(lane: Lane) -> None:
        lane.runs.complete()
        after_kills = raw_rows(lane.server), marts_rows(lane.server)
        drop_databases(lane.server)
        lane.runs.complete(marts_flags=MODELS_ONLY)

        assert raw_rows(lane.server) == after_kills[0]
        assert marts_rows(lane.server) == after_kills[1]
        check_marts(lane.world, lane.server)

    assert list(lanes.pool.map(compare, lanes.lanes)) == [None, None]


@pytest.mark.parametrize("point", MONTHS, ids=str)
def test_history_killed_in_some_month_goes_on_after_the_months_that_are_done(
    point: Point, attempt: Attempt
) -> None:
    attempt(kill_history, point)
