"""Sales pace: which past shows a show is compared with."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local_clickhouse import LocalServer
from tests.support.marts_world import MartsWorld, Row, event, marts_world, show, ticket

NOW = "2026-03-28 12:00:00"
RUNNING = 15


@pytest.fixture(scope="module")
def world(home: Path, server: LocalServer) -> Iterator[MartsWorld]:
    with marts_world(home) as world:
        world.insert("events", event(1))
        days = {11: "2026-01-10", 12: "2026-01-20", 13: "2026-02-10", 14: "2026-02-20"}
        for show_id, day in days.items():
            times: Row = {"start_date": f"{day} 16:00:00", "finish_date": f"{day} 18:00:00"}
            world.insert("shows", show(show_id, **times))
            world.order(show_id, f"{day} 10:00:00", ticket("500", show_id, quantity=10))
        # The first payment that was loaded: earlier ones of this show may be missing.
        world.order(90, "2025-12-01 10:00:00", ticket("500", 14, quantity=10))
        world.order(91, "2026-01-10 11:00:00", ticket("9", 11), currency_id="USD")
        run: Row = {"start_date": "2026-03-20 16:00:00", "finish_date": "2026-03-30 16:00:00"}
        world.insert("shows", show(RUNNING, **run))
        world.order(RUNNING, "2026-03-27 10:00:00", ticket("500", RUNNING, quantity=7))
        world.build("--select", "+fact_qtickets_sales_pace", now=NOW)
        yield world


def _rows(world: MartsWorld, show_id: int) -> list[Row]:
    return world.rows(
        "SELECT days_before_show, tickets_so_far, compared_with, compared_shows, left_out_shows,"
        f" is_over FROM zakaz.fact_qtickets_sales_pace WHERE show_id = {show_id}"
        " AND currency = 'RUB' ORDER BY days_before_show"
    )


def test_a_running_show_is_running_until_its_last_day(world: MartsWorld) -> None:
    rows = _rows(world, RUNNING)

    latest = rows[0]
    assert (latest["days_before_show"], latest["tickets_so_far"], latest["is_over"]) == (2, 7, 0)


def test_shows_count_once_and_incomplete_ones_are_left_out(world: MartsWorld) -> None:
    latest = _rows(world, RUNNING)[0]

    assert (latest["compared_with"], latest["compared_shows"]) == ("event", 3)
    assert latest["left_out_shows"] == 1


def test_no_show_is_compared_with_itself(world: MartsWorld) -> None:
    own = _rows(world, 12)[0]

    # Two other past shows of the event and of the city are too few.
    assert (own["compared_with"], own["compared_shows"]) == ("none", 0)
