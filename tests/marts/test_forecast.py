"""Forecasts of shows on sale, and the backtest on shows that are over."""

from collections.abc import Iterator
from datetime import date, timedelta
from pathlib import Path

import pytest

from local_clickhouse import LocalServer
from tests.support.marts_world import MartsWorld, Row, event, marts_world, seats, show, ticket

NOW = "2026-03-31 12:00:00"
TODAY = date(2026, 3, 31)
APRIL_20 = date(2026, 4, 20)
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
        # On sale without a sale: of the event with past shows, not announced to start, and ended.
        world.insert(
            "shows", *(show(show_id, start_date=_day(APRIL_20)) for show_id in (32, 33, 34))
        )
        world.insert("shows", show(33, sale_start_date="2026-04-05 09:00:00"))
        world.insert("shows", show(34, sale_finish_date="2026-03-20 09:00:00"))
        world.insert("inventory", seats(30, 31, 1), seats(31, 500, 470))
        world.order(9000, "2026-03-31 09:00:00", ticket("500", 31, quantity=2))
        world.build(*MODELS, now=NOW)
        yield world


def _plan(world: MartsWorld, tickets: int) -> None:
    """Replace the plan by one of event 1."""
    with world.warehouse.connect(world.warehouse.transformer) as client:
        client.command("TRUNCATE TABLE zakaz.plan_sales")
        if tickets:
            client.command(
                "INSERT INTO zakaz.plan_sales (sales_date, event_id, city, plan_tickets)"
                f" VALUES ('2026-04-20', '1', 'москва', {tickets})"
            )


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


def test_a_show_on_sale_that_has_sold_nothing_is_forecast_by_past_shows(world: MartsWorld) -> None:
    row = _forecast(world, 32)

    assert (row["compared_with"], row["tickets_so_far"]) == ("event", 0)
    assert row["currency"] == "RUB"
    assert 0 < row["tickets_p50"] <= row["tickets_p90"]
    assert row["tickets_p90"] - row["tickets_p10"] > row["tickets_p50"] / 2
    assert row["revenue_p50"] is None
    on_sale = world.rows(
        "SELECT show_id FROM zakaz.fact_qtickets_forecast WHERE show_id IN (32, 33, 34)"
    )
    assert on_sale == [{"show_id": 32}]


def test_the_plan_of_an_event_is_that_of_all_its_shows(world: MartsWorld) -> None:
    """Event 1 has sold its past shows, and three more are on sale."""
    known = world.row(
        "SELECT sum(tickets_sold) AS sold FROM zakaz.fact_qtickets_sales_by_show_daily"
        " WHERE event_id = '1'"
    )["sold"]
    more = world.row(
        "SELECT sum(tickets_p50 - tickets_so_far) AS more FROM zakaz.fact_qtickets_forecast"
        " WHERE event_id = '1'"
    )["more"]
    found = []
    for plan in (known, known + more // 2, known + more, known + 2 * more, known + 20 * more):
        _plan(world, plan)
        world.build_models("--select", "fact_qtickets_forecast", now=NOW)
        row = world.row(
            "SELECT DISTINCT plan_probability FROM zakaz.fact_qtickets_forecast"
            " WHERE event_id = '1'"
        )
        found.append(row["plan_probability"])
    _plan(world, 0)

    assert found[0] == 1
    assert found == sorted(found, reverse=True)
    assert 0.3 < found[2] < 0.7
    assert found[1] > 0.7
    assert found[3] < 0.2
    assert found[4] < 0.01


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


def test_a_show_that_resembles_no_past_show_is_forecast_by_all_of_them(world: MartsWorld) -> None:
    """The only past shows were on sale for months, and sold hundreds of tickets."""
    world.empty_raw()
    world.insert("events", event(1), event(2, city_name="Казань"))
    for number in range(4):
        last_day = date(2025, 9, 1) + timedelta(40 * number)
        times = {"start_date": _day(last_day), "finish_date": f"{last_day} 18:00:00"}
        world.insert("shows", show(60 + number, 2, **times, sale_start_date="2025-06-01 09:00:00"))
        sold = ticket("500", 60 + number, quantity=300 + number)
        world.order(600 + number, "2025-06-01 10:00:00", sold, event_id=2)
    world.insert("shows", show(70, start_date=_day(TODAY + timedelta(20))))
    world.build_models(*MODELS, now=NOW)

    row = _forecast(world, 70)
    assert (row["method"], row["compared_with"]) == ("past_shows", "account")
    assert row["compared_shows"] == 4
    assert 280 < row["tickets_p50"] < 380
    assert row["tickets_p10"] < 200
    assert row["tickets_p90"] > 450
