"""Orders that were not paid, the calendar, and buyers who pay in several currencies."""

from collections.abc import Iterator
from datetime import date, timedelta
from decimal import Decimal
from pathlib import Path

import pytest

from local_clickhouse import LocalServer
from tests.support.marts_world import MartsWorld, event, marts_world, show, ticket

NOW = "2026-03-31 12:00:00"


@pytest.fixture(scope="module")
def world(home: Path, server: LocalServer) -> Iterator[MartsWorld]:
    with marts_world(home) as world:
        world.insert(
            "events", event(1, place_name=" Big hall ", place_address="Main st. 1", age="6+")
        )
        world.insert("shows", show(11, finish_date="9999-12-31 00:00:00"))
        world.raw(
            "INSERT INTO zakaz_raw._dlt_loads (load_id, status, inserted_at)"
            " VALUES ('1', 0, '2026-03-20 08:00:00')"
        )
        paid = "2026-03-30 10:00:00"
        world.order(1, paid, ticket("1000"), buyer_hash="both")
        world.order(2, paid, ticket("30"), currency_id="USD", buyer_hash="both")
        refunded = ticket("400", refunded_at="2026-03-31 08:00:00")
        scanned = ticket("600", checked_at="2026-03-31 09:00:00")
        world.order(3, paid, refunded, scanned, buyer_hash="rubles")
        world.order(4, None, ticket("500"), created_at="2026-03-29 21:30:00")
        world.order(5, None, ticket("700"), created_at=paid, deleted_at="2026-03-31 10:00:00")
        world.order(6, paid, ticket("800"), deleted_at="2026-03-31 10:00:00")
        world.order(7, None, ticket("900"), created_at="2026-03-01 10:00:00")
        # On the day of the first load, an hour before it and an hour after it.
        world.order(8, "2026-03-20 07:00:00", ticket("100"))
        world.order(9, "2026-03-20 09:00:00", ticket("110"))
        world.build(now=NOW)
        yield world


def test_orders_are_counted_by_what_became_of_them(world: MartsWorld) -> None:
    rows = world.rows(
        "SELECT toString(created_date) AS created_date, currency, orders_created, orders_paid,"
        " orders_expired, orders_waiting, orders_cancelled, reserved_amount, lost_amount"
        " FROM zakaz.fact_qtickets_reservations_daily ORDER BY created_date, currency"
    )

    # Orders 7 and 8 were made before the first load. 21:30 UTC is the next day.
    assert rows == [
        {
            **{"created_date": "2026-03-20", "currency": "RUB", "orders_created": 1},
            **{"orders_paid": 1, "orders_expired": 0, "orders_waiting": 0, "orders_cancelled": 0},
            **{"reserved_amount": Decimal(0), "lost_amount": Decimal(0)},
        },
        {
            **{"created_date": "2026-03-30", "currency": "RUB", "orders_created": 5},
            **{"orders_paid": 3, "orders_expired": 1, "orders_waiting": 1, "orders_cancelled": 1},
            **{"reserved_amount": Decimal(500), "lost_amount": Decimal(700)},
        },
        {
            **{"created_date": "2026-03-30", "currency": "USD", "orders_created": 1},
            **{"orders_paid": 1, "orders_expired": 0, "orders_waiting": 0, "orders_cancelled": 0},
            **{"reserved_amount": Decimal(0), "lost_amount": Decimal(0)},
        },
    ]


def test_amounts_of_a_buyer_in_several_currencies_are_not_added(world: MartsWorld) -> None:
    rows = world.rows(
        "SELECT buyer_hash, currency, revenue, refunded_amount, tickets_refunded,"
        " toString(last_visit_ts) AS visit FROM zakaz.dim_buyers ORDER BY buyer_hash"
    )

    both, rubles = rows
    assert (both["currency"], both["revenue"], both["visit"]) == ("", None, None)
    assert (rubles["currency"], rubles["revenue"]) == ("RUB", Decimal(600))
    assert (rubles["refunded_amount"], rubles["tickets_refunded"]) == (Decimal(400), 1)
    assert rubles["visit"] == "2026-03-31 12:00:00"


def test_the_calendar_has_each_day_once_and_the_day_to_compare_with(world: MartsWorld) -> None:
    rows = world.rows("SELECT * FROM zakaz.dim_dates ORDER BY date")

    days = [row["date"] for row in rows]
    assert days[0] == date(2026, 1, 1)
    assert days == [days[0] + timedelta(days=n) for n in range(len(days))]
    for row in rows:
        day = row["date"]
        assert (row["iso_year"], row["iso_week"], row["weekday"]) == tuple(day.isocalendar())
        assert (row["year"], row["month"], row["quarter"]) == (
            *(day.year, day.month, (day.month + 2) // 3),
        )
        assert row["date_year_ago"] == day - timedelta(days=364)
        assert row["is_weekend"] == (day.weekday() >= 5)


def test_a_date_that_no_column_holds_is_the_last_one_of_it(world: MartsWorld) -> None:
    row = world.row("SELECT toString(end_date) AS day, is_over, venue, age FROM zakaz.dim_shows")

    assert row["day"] > "2100"
    assert (row["is_over"], row["venue"], row["age"]) == (0, "Big hall", "6+")
