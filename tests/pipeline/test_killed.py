"""Runs that are killed at chosen points. The run after each of them repairs the data.

The service is the sandbox over HTTP; ClickHouse is a server given by its address.
"""

import random
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any

import pytest

from local_clickhouse import LocalServer
from sandbox import World, serve
from tests.support.clickhouse import Marts, drop_databases
from tests.support.fork_server import ForkServer, Run, RunLauncher
from tests.support.interruption import Events, Point
from tests.support.job_log import check_recorded, unfinished
from tests.support.live_environment import live_environment
from tests.support.loaded_data import RAW, Rows, check_marts, check_raw, marts_rows, raw_rows
from tests.support.runs import DASHBOARD_ONLY, MODELS_ONLY
from tests.support.worlds import EVENING, SEED, happen, small_world, utc_text


def points(name: str, **count: int) -> Any:
    """Return `count` points of each phase, drawn by the seed, one in each equal part of the phase.

    Points in the last third of a phase are given by their event instead, because its number varies
    with threads and with the rows to load.
    """
    draw = random.Random(f"{SEED} {name}")
    return [
        Point(phase, 0.65 * (part + draw.random()) / parts)
        for phase, parts in count.items()
        for part in range(parts)
    ]


FIRST_RUN = [
    *points("first run", begin=1, extract=1, normalize=1, load=1),
    # Tables are created in any order.
    Point("load", event=f"CREATE TABLE `{RAW}`.`orders`"),
]
LATER_RUN = [
    *points("later run", extract=2, normalize=2, load=5, record=1),
    # In the middle of an insert; before the load is recorded; after the run is recorded.
    Point("load", event="b'0\\r\\n\\r\\n"),
    Point("load", event="_dlt_loads"),
    Point("record", event="the end"),
]
MARTS = points("marts", marts=3)
MONTHS = [Point("extract", 0.45), Point("load", 0.5)]


@dataclass
class Place:
    """A service and a server, with the events and the results of undisturbed runs."""

    server: LocalServer
    world: World
    service: Any
    runs: RunLauncher
    first: Events = field(init=False)
    later: Events = field(init=False)
    raw: Rows = field(init=False)

    def __post_init__(self) -> None:
        drop_databases(self.server)
        self.first = self.runs.complete("--skip-marts").events
        # A run that finds nothing new loads nothing, so it could not be killed while loading.
        happen(self.world, 999)
        self.later = self.runs.complete(marts_flags=MODELS_ONLY).events
        self.raw = raw_rows(self.server)

    @cached_property
    def months(self) -> tuple[Events, list[tuple[str, str]]]:
        """The events of a first run that loads month by month, and the windows that it requests."""
        drop_databases(self.server)
        self.service.requests.clear()
        seen = self.runs.complete("--skip-marts", orders_at_once=20).events
        self.raw = raw_rows(self.server)
        return seen, windows_asked(self.service)


@pytest.fixture(scope="module")
def place(
    server: LocalServer, fork_server: ForkServer, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Place]:
    folder, world = tmp_path_factory.mktemp("killed"), small_world()
    with serve(world) as service:
        environment = live_environment(
            server, service.url, folder / "home", report_now=utc_text(EVENING)
        )
        yield Place(server, world, service, RunLauncher(environment, folder, fork_server))


@contextmanager
def naming(run: Run) -> Iterator[None]:
    """Add the point at which the run was killed to the message of a failed assertion."""
    try:
        yield
    except AssertionError as error:
        raise AssertionError(run.text("point")) from error


def windows_asked(service: Any) -> list[tuple[str, str]]:
    """Return the bounded windows of payment time that the history requested, in order."""
    asked = []
    for _, path, body, _ in list(service.requests):
        if "/orders" in path and isinstance(body, dict):
            limits = {
                (item["column"], item["operator"]): item["value"] for item in body["where"] or ()
            }
            if ("updated_at", ">=") in limits and ("id", "=") not in limits:
                break  # The sweep, after which a run may compare its counts.
            if ("payed_at", "<") in limits:
                asked.append((limits["payed_at", ">="], limits["payed_at", "<"]))
    return list(dict.fromkeys(asked))


@pytest.mark.parametrize("point", FIRST_RUN, ids=str)
def test_a_first_run_killed_anywhere_is_repaired_by_the_next(point: Point, place: Place) -> None:
    drop_databases(place.server)

    run = place.runs.kill(point, place.first, "--skip-marts")
    killed = unfinished(place.server)
    place.runs.complete("--skip-marts")

    assert raw_rows(place.server) == place.raw, run.text("point")
    assert len(killed) == 1 or point.phase == "begin"
    check_recorded(place.server, killed)


@pytest.mark.parametrize("point", LATER_RUN, ids=str)
def test_a_later_run_killed_anywhere_is_repaired_by_the_next(point: Point, place: Place) -> None:
    happen(place.world, LATER_RUN.index(point))

    run = place.runs.kill(point, place.later, "--skip-marts")
    killed = unfinished(place.server)
    place.runs.complete("--skip-marts")

    with naming(run):
        check_raw(place.world, place.server)
    assert len(killed) == (point.event != "the end")
    check_recorded(place.server, killed)


@pytest.mark.parametrize("point", MARTS, ids=str)
def test_a_build_of_the_marts_killed_anywhere_is_repaired_by_the_next(
    point: Point, place: Place
) -> None:
    happen(place.world, 1000 + MARTS.index(point))

    run = place.runs.kill(point, place.later, marts_flags=MODELS_ONLY)
    killed = unfinished(place.server)
    place.runs.complete(marts_flags=DASHBOARD_ONLY)

    with naming(run):
        check_marts(place.world, Marts(place.server), EVENING)
    assert len(killed) == 1
    check_recorded(place.server, killed)


def test_after_all_these_kills_the_marts_equal_those_of_a_history_without_any(place: Place) -> None:
    happen(place.world, 2000)
    place.runs.complete()
    after_kills = raw_rows(place.server), marts_rows(place.server)
    drop_databases(place.server)
    place.runs.complete(marts_flags=MODELS_ONLY)

    assert raw_rows(place.server) == after_kills[0]
    assert marts_rows(place.server) == after_kills[1]
    check_marts(place.world, Marts(place.server), EVENING)


@pytest.mark.parametrize("point", MONTHS, ids=str)
def test_history_killed_in_some_month_continues_after_the_completed_months(
    point: Point, place: Place
) -> None:
    seen, windows = place.months
    drop_databases(place.server)

    run = place.runs.kill(point, seen, "--skip-marts", orders_at_once=20)
    killed = unfinished(place.server)
    # The first load creates the tables, each further one completes a month.
    loads = Marts(place.server).raw(f"SELECT count() AS done FROM {RAW}._dlt_loads")[0]["done"] - 1
    place.service.requests.clear()
    place.runs.complete("--skip-marts", orders_at_once=20)

    assert 0 < loads < len(windows)
    assert windows_asked(place.service)[0][0] == windows[loads][0]
    assert all(since >= windows[loads][0] for since, _ in windows_asked(place.service))
    assert raw_rows(place.server) == place.raw, run.text("point")
    check_recorded(place.server, killed)
