"""Silences: sales of a show, or of the whole account, that stop where many were expected."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from itertools import count
from pathlib import Path

import pytest

from local_clickhouse import LocalServer
from pipelines.operations.checks.silence import ACCOUNT, Silence, read_silences
from tests.support.marts_world import MartsWorld, Row, event, marts_world, seats, show, ticket

NOW = datetime(2026, 3, 31, 17, tzinfo=timezone.utc)
STOP = NOW - timedelta(days=4)
MODELS = ("--select", "+int_qtickets_sales_gaps")
STEADY, STOPPED, SOLD_OUT, BOX_OFFICE, CLOSED = 11, 12, 13, 14, 15
_ids = count(1)


def _sell(world: MartsWorld, show_id: int, since: datetime, until: datetime, **order: bool) -> None:
    """Insert an order in each hour from 10:00 to 20:00 in Moscow."""
    orders: list[Row] = []
    tickets: list[Row] = []
    hour = since.replace(minute=show_id % 10 * 5)
    while hour < until:
        if 7 <= hour.hour < 18:
            number, paid = next(_ids), f"{hour:%F %T}"
            orders.append(
                {"id": number, "event_id": 1, "payed": True, "currency_id": "RUB", "price": "500",
                 "payed_at": paid, "created_at": paid, "updated_at": paid, "baskets_count": 1}
                | order
            )  # fmt: skip
            tickets.append({"id": number, "order_id": number, **ticket("500", show_id)})
        hour += timedelta(hours=1)
    world.insert("orders", *orders)
    world.insert("tickets", *tickets)


@pytest.fixture(scope="module")
def world(home: Path, server: LocalServer) -> Iterator[MartsWorld]:
    begin = NOW - timedelta(days=28)
    with marts_world(home) as world:
        world.insert("events", event(1))
        for show_id in (STEADY, STOPPED, SOLD_OUT, BOX_OFFICE):
            world.insert("shows", show(show_id))
            _sell(world, show_id, begin, NOW if show_id == STEADY else STOP)
        world.insert("shows", show(CLOSED, sale_finish_date=f"{STOP:%F %T}"))
        _sell(world, CLOSED, begin, STOP)
        _sell(world, BOX_OFFICE, STOP, NOW, is_box_office=True)
        world.insert("inventory", seats(SOLD_OUT, 300, 2))
        world.build_models(*MODELS, now=f"{NOW:%F %T}")
        yield world


def _silences(world: MartsWorld, read_at: datetime) -> dict[int, Silence]:
    with world.warehouse.connect(world.warehouse.transformer) as client:
        found = read_silences(world.warehouse, client, read_at)
    return {silence.show_id: silence for silence in found}


def test_a_show_whose_sales_stop_is_silent_and_one_that_sells_is_not(world: MartsWorld) -> None:
    found = _silences(world, NOW)

    assert found[STOPPED].is_unusual
    assert found[STOPPED].since == datetime(2026, 3, 27, 16, 10, tzinfo=timezone.utc)
    assert found[STOPPED].name == "Event 1, 2026-04-20 19:00"
    assert not found[STEADY].is_unusual
    assert not found[ACCOUNT].is_unusual


def test_sales_at_the_box_office_do_not_end_a_silence(world: MartsWorld) -> None:
    assert _silences(world, NOW)[BOX_OFFICE].is_unusual


def test_shows_that_are_sold_out_or_whose_sale_has_ended_are_not_watched(world: MartsWorld) -> None:
    assert {SOLD_OUT, CLOSED}.isdisjoint(_silences(world, NOW))


def test_a_silence_lasts_until_the_last_reading(world: MartsWorld) -> None:
    found = _silences(world, STOP + timedelta(hours=3))

    assert not found[STOPPED].is_unusual


def test_the_night_and_the_day_count_by_their_usual_sales(world: MartsWorld) -> None:
    """The alarm comes on the second day: a night has no sales, and eleven a day are usual."""
    row = world.row(
        "SELECT alarm_ts - sale_ts AS silence, toHour(alarm_ts) AS hour, alarm_missed"
        f" FROM zakaz.int_qtickets_sales_gaps WHERE show_id = {STOPPED} AND next_sale_ts IS NULL"
    )

    assert 8 < row["alarm_missed"] < 33
    days = row["alarm_missed"] / 11
    assert (days - 0.5) * 86400 < row["silence"] < (days + 1.2) * 86400
    assert 10 <= row["hour"] <= 21


def test_a_silence_of_all_shows_is_that_of_the_account_and_comes_sooner(world: MartsWorld) -> None:
    """As of the day on which most shows stopped, the others stop too."""
    rows = world.rows(
        "SELECT show_id, alarm_ts FROM zakaz.int_qtickets_sales_gaps"
        f" WHERE show_id IN ({ACCOUNT}, {STEADY}) AND next_sale_ts IS NULL"
    )

    alarms = {row["show_id"]: row["alarm_ts"] for row in rows}
    assert NOW < alarms[ACCOUNT] < alarms[STEADY]
    assert _silences(world, alarms[ACCOUNT] + timedelta(minutes=1))[ACCOUNT].is_unusual


def test_a_sale_that_is_not_in_the_table_yet_ends_a_silence(world: MartsWorld) -> None:
    later = NOW + timedelta(days=8)
    assert _silences(world, later)[STEADY].is_unusual

    _sell(world, STEADY, NOW + timedelta(hours=14), NOW + timedelta(hours=15))
    world.build_models("--select", "+fact_qtickets_tickets", now=f"{later:%F %T}")

    assert not _silences(world, later)[STEADY].is_unusual


def test_an_account_with_less_than_two_weeks_of_sales_is_not_watched(world: MartsWorld) -> None:
    world.empty_raw()
    world.insert("events", event(1))
    world.insert("shows", show(STEADY))
    _sell(world, STEADY, NOW - timedelta(days=12), STOP)
    world.build_models(*MODELS, now=f"{NOW:%F %T}")

    assert _silences(world, NOW) == {}
