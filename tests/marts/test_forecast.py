"""Forecasts of shows on sale, and the backtest on shows that are over."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from local_clickhouse import LocalServer
from tests.support.marts_world import MartsWorld, Row, event, marts_world, seats, show, ticket

NOW = "2026-03-31 12:00:00"
TODAY = date(2026, 3, 31)
PAST_SHOWS = 8
BUYING_DAYS = (40, 35, 30, 25, 20, 15, 10, 8, 6, 5, 4, 3, 2, 1)
MODELS = ("--select", "+fact_qtickets_forecast", "+fact_qtickets_forecast_accuracy")


def _day(day: date) -> str:
    return f"{day} 16:00:00"


def _sell(world: MartsWorld, show_id: int, last_day: date, event_id: int = 1) -> None:
    """Insert a show, and one order on each of the buying days that is past."""
    times = {"start_date": _day(last_day), "finish_date": f"{last_day} 18:00:00"}
    world.insert("shows", show(show_id, event_id, **times))
    for number, days in enumerate(BUYING_DAYS):
        day = last_day - timedelta(days)
        if day < TODAY:
            world.order(
                show_id * 100 + number,
                f"{day} 10:00:00",
                ticket("500", show_id, quantity=3 + show_id % 3),
                event_id=event_id,
            )


@pytest.fixture(scope="module")
def world(home: Path, server: LocalServer) -> Iterator[MartsWorld]:
    with marts_world(home) as world:
        world.insert("events", event(1), event(2, city_name="Казань"), event(3))
        # The first sale of all, of another event: the beginning of the others is loaded.
        world.insert("shows", show(99, 2, start_date=_day(date(2025, 7, 1))))
        world.order(99, "2025-05-01 10:00:00", ticket("500", 99), event_id=2)
        for number in range(PAST_SHOWS):
            _sell(world, 11 + number, date(2025, 8, 1) + timedelta(25 * number))
        _sell(world, 30, TODAY + timedelta(7))
        _sell(world, 31, TODAY + timedelta(14))
        world.insert("inventory", seats(30, 31, 1), seats(31, 500, 470))
        world.order(9000, "2026-03-31 09:00:00", ticket("500", 31, quantity=2))
        world.build(*MODELS, now=NOW)
        yield world


def _forecast(world: MartsWorld, show_id: int) -> Row:
    return world.row(f"SELECT * FROM zakaz.fact_qtickets_forecast WHERE show_id = {show_id}")


def test_a_show_on_sale_is_compared_with_past_shows_of_its_event(world: MartsWorld) -> None:
    row = _forecast(world, 31)

    assert (row["method"], row["compared_with"]) == ("pickup", "event")
    assert row["compared_shows"] == PAST_SHOWS
    # 4 tickets on each of the 14 days, as in the past shows, and 2 more today.
    assert 45 <= row["tickets_p50"] <= 70
    assert row["tickets_p10"] <= row["tickets_p50"] <= row["tickets_p90"] <= row["tickets_total"]
    assert row["revenue_p50"] == row["tickets_p50"] * 500


def test_the_tickets_of_today_count_as_sold(world: MartsWorld) -> None:
    row = _forecast(world, 31)

    assert row["as_of"] == TODAY
    sold_before = sum(4 for days in BUYING_DAYS if days > 14)
    assert row["tickets_so_far"] == sold_before + 2


def test_a_forecast_never_exceeds_the_hall(world: MartsWorld) -> None:
    row = _forecast(world, 30)

    assert row["tickets_p90"] == row["tickets_total"] == 31
    assert row["sellout_probability"] > 0.8
    assert TODAY < row["sellout_date"] <= TODAY + timedelta(7)


def test_the_backtest_has_each_horizon_and_both_baselines(world: MartsWorld) -> None:
    rows = world.rows(
        "SELECT horizon_days, method, shows, wape, coverage_80"
        " FROM zakaz.fact_qtickets_forecast_accuracy ORDER BY horizon_days, method"
    )

    assert [(row["horizon_days"], row["method"]) for row in rows] == [
        (days, method) for days in (1, 3, 7, 14, 30) for method in ("curve", "last_week", "pickup")
    ]
    assert {row["shows"] for row in rows} == {PAST_SHOWS}
    assert all((row["coverage_80"] is None) == (row["method"] != "pickup") for row in rows)


def test_a_backtest_does_not_see_what_happened_later(world: MartsWorld) -> None:
    """The forecast of a past day is the same after a later refund and a later show."""
    known = (
        "SELECT days_left, as_of, tickets_so_far, tickets_p10, tickets_p50, tickets_p90"
        " FROM zakaz.int_qtickets_forecasts WHERE show_id = 13 AND days_left >= 3"
        " ORDER BY days_left"
    )
    before = world.rows(known)

    day = date(2025, 8, 1) + timedelta(50)
    world.fetched_at = "2026-03-31 10:00:00"
    world.order(
        1300,
        f"{day - timedelta(40)} 10:00:00",
        ticket("500", 13, quantity=4, refunded_at=f"{day - timedelta(1)} 10:00:00"),
        updated_at=f"{day - timedelta(1)} 10:00:00",
    )
    _sell(world, 40, date(2026, 3, 1), 3)
    world.build_models(*MODELS, now=NOW)

    assert before
    assert world.rows(known) == before
    row = world.row(
        "SELECT any(final_tickets) AS final FROM zakaz.int_qtickets_forecasts WHERE show_id = 13"
    )
    assert row["final"] == 4 * (len(BUYING_DAYS) - 1)


def test_without_past_shows_the_forecast_says_so_and_is_wide(world: MartsWorld) -> None:
    world.empty_raw()
    world.insert("events", event(1))
    _sell(world, 50, TODAY + timedelta(14))
    world.build_models(*MODELS, now=NOW)

    row = _forecast(world, 50)
    assert (row["method"], row["compared_with"], row["compared_shows"]) == ("own_pace", "none", 0)
    assert row["tickets_p90"] > 2 * row["tickets_p10"]
    assert row["tickets_p10"] >= row["tickets_so_far"]
    assert row["sellout_probability"] is None
