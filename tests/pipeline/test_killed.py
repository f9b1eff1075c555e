"""Killed anywhere, right afterwards: runs that die at chosen points, each followed by a good one.

The service is the sandbox over HTTP; ClickHouse is a server given by its address.
"""

import os
import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from functools import cached_property
from pathlib import Path
from typing import Any

import pytest

from local_clickhouse import LocalServer
from sandbox import World, serve
from tests.support.clickhouse import DASHBOARD_ONLY, DATABASE, MODELS_ONLY, Marts, drop_databases
from tests.support.expected import actual_daily, actual_dashboard, dashboard, sales_daily
from tests.support.fork_server import SEED, Forge, ForgeProcess, Point, Run, Seen

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
EVENING = NOW + timedelta(hours=9)
RAW = f"{DATABASE}_raw"


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
        # One for all runs: the worlds' clocks move towards it by minutes.
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
    *points("later run", extract=2, normalize=2, load=5, record=1),
    # Half of an insert is sent; the load is complete, but for its record; the run is, but for its
    # summary.
    Point("load", event="b'0\\r\\n\\r\\n"),
    Point("load", event="_dlt_loads"),
    Point("record", event="the end"),
]
MARTS = points("marts", marts=3)
MONTHS = [Point("extract", 0.45), Point("load", 0.5)]


@dataclass
class Place:
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


@pytest.fixture(scope="module")
def place(
    server: LocalServer, forge_process: ForgeProcess, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    folder, world = tmp_path_factory.mktemp("killed"), small_world()
    with serve(world) as service:
        environment = live_environment(server, service.url, folder / "home")
        yield Place(server, world, service, Forge(environment, folder, forge_process))


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


@pytest.mark.parametrize("point", FIRST_RUN, ids=str)
def test_a_first_run_killed_anywhere_is_made_good_by_the_next(point: Point, place: Place) -> None:
    drop_databases(place.server)

    run = place.runs.kill(point, place.first, "--skip-marts")
    killed = unfinished(place.server)
    place.runs.complete("--skip-marts")

    assert raw_rows(place.server) == place.raw, run.text("point")
    assert len(killed) == 1 or point.phase == "begin"
    check_recorded(place.server, killed)


@pytest.mark.parametrize("point", LATER_RUN, ids=str)
def test_a_later_run_killed_anywhere_is_made_good_by_the_next(point: Point, place: Place) -> None:
    happen(place.world, LATER_RUN.index(point))

    run = place.runs.kill(point, place.later, "--skip-marts")
    killed = unfinished(place.server)
    place.runs.complete("--skip-marts")

    with naming(run):
        check_raw(place.world, place.server)
    assert len(killed) == (point.event != "the end")
    check_recorded(place.server, killed)


@pytest.mark.parametrize("point", MARTS, ids=str)
def test_a_build_of_the_marts_killed_anywhere_is_made_good_by_the_next(
    point: Point, place: Place
) -> None:
    happen(place.world, 1000 + MARTS.index(point))

    run = place.runs.kill(point, place.later, marts_flags=MODELS_ONLY)
    killed = unfinished(place.server)
    place.runs.complete(marts_flags=DASHBOARD_ONLY)

    with naming(run):
        check_marts(place.world, place.server)
    assert len(killed) == 1
    check_recorded(place.server, killed)


def test_after_all_these_kills_every_mart_is_that_of_a_history_without_any(place: Place) -> None:
    happen(place.world, 2000)
    place.runs.complete()
    after_kills = raw_rows(place.server), marts_rows(place.server)
    drop_databases(place.server)
    place.runs.complete(marts_flags=MODELS_ONLY)

    assert raw_rows(place.server) == after_kills[0]
    assert marts_rows(place.server) == after_kills[1]
    check_marts(place.world, place.server)


@pytest.mark.parametrize("point", MONTHS, ids=str)
def test_history_killed_in_some_month_goes_on_after_the_months_that_are_done(
    point: Point, place: Place
) -> None:
    seen, windows = place.months
    drop_databases(place.server)

    run = place.runs.kill(point, seen, "--skip-marts", orders_at_once=20)
    killed = unfinished(place.server)
    # The first load makes the tables, each further one completes a month.
    loads = Marts(place.server).raw(f"SELECT count() AS done FROM {RAW}._dlt_loads")[0]["done"] - 1
    place.service.requests.clear()
    place.runs.complete("--skip-marts", orders_at_once=20)

    assert 0 < loads < len(windows)
    assert windows_asked(place.service)[0][0] == windows[loads][0]
    assert all(since >= windows[loads][0] for since, _ in windows_asked(place.service))
    assert raw_rows(place.server) == place.raw, run.text("point")
    check_recorded(place.server, killed)
