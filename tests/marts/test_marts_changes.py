"""Builds after changes: late refunds, repeated and incomplete loads, plans, time zones."""

import json
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import date, datetime, timezone
from pathlib import Path

import pytest

from local_clickhouse import LocalServer
from pipelines.configuration.environment import DBT_PROJECT
from tests.support.marts_world import MartsWorld, Row, event, marts_world, seats, show, ticket


@pytest.fixture(scope="module")
def own_server(home: Path, server: LocalServer) -> Iterator[MartsWorld]:
    with marts_world(home) as world:
        yield world


@pytest.fixture
def world(own_server: MartsWorld) -> MartsWorld:
    _fill(own_server)
    return own_server


def _fill(world: MartsWorld) -> None:
    """Insert two events, with sales from December to March."""
    world.empty_raw()
    world.fetched_at = "2026-03-31 09:00:00"
    world.insert("events", event(1), event(2, city_name="Казань"))
    world.insert("shows", show(11), show(21, 2))
    world.insert("inventory", seats(11, 100, 40), seats(21, 10, 10, 2))
    world.order(1, "2025-12-29 10:00:00", ticket("500"), ticket("600"), buyer_hash="a")
    world.order(2, "2025-12-29 11:00:00", ticket("700", 21), event_id=2)
    world.order(3, "2026-03-30 10:00:00", ticket("800"), buyer_hash="a")


@dataclass(frozen=True)
class Story:
    """The rows of all marts after each step."""

    first_build: dict[str, list[str]]
    same_rows_read_again: dict[str, list[str]]
    refund_of_a_december_sale: dict[str, list[str]]
    full_refresh: dict[str, list[str]]


@pytest.fixture(scope="module")
def story(own_server: MartsWorld) -> Story:
    world = own_server
    _fill(world)
    world.build_models()
    first_build = world.everything()

    world.fetched_at = "2026-03-31 09:30:00"
    world.order(1, "2025-12-29 10:00:00", ticket("500"), ticket("600"), buyer_hash="a")
    world.order(3, "2026-03-30 10:00:00", ticket("800"), buyer_hash="a")
    world.insert("shows", show(11), show(21, 2))
    world.build_models()
    same_rows_read_again = world.everything()

    world.fetched_at = "2026-03-31 10:00:00"
    refund: Row = {"refunded_at": "2026-03-30 12:00:00", "refunded_deduction_amount": "20"}
    world.order(
        1,
        "2025-12-29 10:00:00",
        ticket("500", **refund),
        ticket("600"),
        buyer_hash="a",
        updated_at="2026-03-30 12:00:00",
    )
    world.build_models()
    refund_of_a_december_sale = world.everything()

    world.build_models("--full-refresh")
    return Story(first_build, same_rows_read_again, refund_of_a_december_sale, world.everything())


def test_reading_the_same_rows_again_changes_nothing(story: Story) -> None:
    assert story.same_rows_read_again == story.first_build


def test_a_late_refund_changes_the_rows_it_should_and_no_other(story: Story) -> None:
    before, after = story.same_rows_read_again, story.refund_of_a_december_sale

    changed = {
        name: (len(set(before[name]) - set(after[name])), len(set(after[name]) - set(before[name])))
        for name in before
        if before[name] != after[name]
    }

    # The curve of the show has 161 days up to today. All of them change: one ticket fewer from
    # December on, and a smaller final number of tickets.
    assert changed.pop("fact_qtickets_sales_pace") == (161, 161)
    assert changed.pop("int_qtickets_show_curves") == (161, 161)
    assert changed.pop("fact_qtickets_refunds_daily") == (0, 1)
    # The December entry keeps its amount, and has a newer `_ver`. The refund and what was kept of
    # it are new entries in March.
    assert changed.pop("fact_qtickets_ledger_daily") == (1, 3)
    assert changed == {
        "stg_qtickets_api_orders_raw": (1, 1),
        "stg_qtickets_api_tickets_raw": (2, 2),
        "int_qtickets_tickets": (2, 2),
        "fact_qtickets_tickets": (2, 2),
        "fact_qtickets_sales_by_show_daily": (1, 1),
        "fact_qtickets_sales_daily": (1, 1),
        "fact_qtickets_sales_utm_daily": (1, 1),
        "fact_qtickets_inventory_by_show": (1, 1),
        "int_qtickets_forecast_points": (1, 1),
        "int_qtickets_forecasts": (1, 1),
        "fact_qtickets_forecast": (1, 1),
        "fact_qtickets_attendance": (1, 1),
        "dim_buyers": (1, 1),
        "v_qtickets_sales_utm_daily": (1, 1),
        "v_plan_vs_fact": (1, 1),
    }
    day = next(
        row for row in after["fact_qtickets_sales_daily"] if '"2025-12-29","event_id":"1"' in row
    )
    assert '"tickets_sold":1,"revenue":600,' in day.replace('"1"', "1")
    assert '"gross_revenue":1100,' in day


def test_a_closed_month_of_the_ledger_stays_when_its_sale_is_refunded_later(story: Story) -> None:
    def ledger(build: dict[str, list[str]], month: str) -> list[Row]:
        rows = [json.loads(row) for row in build["fact_qtickets_ledger_daily"]]
        # The version is that of the ticket, which has changed.
        return [
            {name: value for name, value in row.items() if name != "_ver"}
            for row in rows
            if row["entry_date"].startswith(month)
        ]

    before, after = story.first_build, story.refund_of_a_december_sale
    assert ledger(after, "2025-12") == ledger(before, "2025-12") != []
    assert ledger(after, "2026-03") != ledger(before, "2026-03")


def test_a_full_refresh_gives_the_same_tables_as_a_normal_build(story: Story) -> None:
    assert story.full_refresh == story.refund_of_a_december_sale


def test_a_load_cut_between_orders_and_tickets_keeps_the_previous_marts(world: MartsWorld) -> None:
    sales = ("--select", "+v_qtickets_sales_dashboard", "+dim_buyers")
    world.build_models(*sales)
    before = world.everything()
    world.order(4, "2026-03-31 08:00:00", ticket("900"), baskets_count=2)

    run = world.dbt("build", *sales)

    assert not run.success
    gate = next(name for name in run.statuses if name.startswith("every_ticket_arrived"))
    assert run.statuses[gate] == "fail"
    assert run.statuses["fact_qtickets_tickets"] == "skipped"
    assert run.statuses["fact_qtickets_sales_daily"] == "skipped"
    after = world.everything()
    facts = ("fact_qtickets_tickets", "fact_qtickets_sales_daily", "dim_buyers")
    for name in (*facts, "v_qtickets_sales_dashboard"):
        assert after[name] == before[name]
    rows = world.rows(f"SELECT * FROM zakaz_dbt_test__audit.{gate}")
    assert rows == [{"order_id": 4, "baskets_count": 2, "tickets": 1}]


def test_odd_prices_are_reported_and_the_marts_are_built(world: MartsWorld) -> None:
    """A price that is not the sum of its tickets, and a show whose first sale is negative."""
    world.order(5, "2026-03-30 08:00:00", ticket("900"), price="901")
    world.insert("shows", show(61))
    world.order(6, "2026-03-29 08:00:00", ticket("-100", 61))

    run = world.dbt("build")

    assert run.success, run
    warned = [name for name, status in run.statuses.items() if status == "warn"]
    assert sorted(warned) == [
        "no_negative_amount_and_a_currency",
        "order_price_is_the_sum_of_its_tickets_int_qtickets_tickets_",
        "revenue_of_a_curve_only_rises",
    ]


def test_exchanges_partial_refunds_and_cities_count_by_their_definitions(world: MartsWorld) -> None:
    world.empty_raw()
    world.insert(
        "events", event(1, city_name="Москва"), event(2, city_name="\u00a0Москва\u202f"), event(3)
    )
    exchanged = {"secondary_orders": '[{"id": 9}]', "updated_at": "2026-03-20 10:00:00"}
    # An exchanged order whose tickets came alive, one with a deleted ticket, and the new order.
    world.order(1, "2026-02-10 08:00:00", ticket("1000"), ticket("500"), **exchanged)
    moved = ticket("1000", deleted_at="2026-03-25 10:00:00")
    world.order(2, "2026-02-10 08:00:00", moved, ticket("300"), event_id=2, **exchanged)
    world.order(9, "2026-03-20 10:00:00", ticket("2600"))
    # Price 1000, of which 100 were returned; price 800 less a deduction of 50.
    world.order(
        3,
        "2026-02-11 08:00:00",
        ticket("1000", refunded_at="2026-03-26 10:00:00", refunded_amount="100"),
        ticket("800", refunded_at="2026-03-26 10:00:00", refunded_deduction_amount="50"),
    )

    world.build_models("--select", "+fact_qtickets_ledger_daily", "+fact_qtickets_refunds_daily")

    ledger = {
        (str(row["entry_date"]), row["entry_type"], row["event_id"]): (
            row["tickets"],
            row["amount"],
        )
        for row in world.rows("SELECT * FROM zakaz.fact_qtickets_ledger_daily")
    }
    assert ledger == {
        ("2026-02-10", "sale", "1"): (2, 1500),
        ("2026-02-10", "sale", "2"): (2, 1300),
        ("2026-02-11", "sale", "1"): (2, 1800),
        ("2026-03-20", "sale", "1"): (1, 2600),
        ("2026-03-20", "exchange", "1"): (-2, -1500),
        ("2026-03-25", "exchange", "2"): (-1, -1000),
        ("2026-03-26", "refund", "1"): (-2, -1800),
        ("2026-03-26", "refund_retained", "1"): (0, 950),
    }
    sold = world.row("SELECT sum(revenue) AS revenue FROM zakaz.fact_qtickets_sales_daily")
    assert sold["revenue"] == 2600 + 300
    refunds = world.row("SELECT * FROM zakaz.fact_qtickets_refunds_daily")
    assert (refunds["refunded_amount"], refunds["paid_back_amount"]) == (1800, 850)
    cities = world.rows("SELECT DISTINCT city FROM zakaz.fact_qtickets_sales_daily")
    assert cities == [{"city": "москва"}]


def test_a_ticket_that_an_exchange_moved_to_another_order_counts_there_only(
    world: MartsWorld,
) -> None:
    world.empty_raw()
    world.insert("events", event(1), event(2))
    models = ("--select", "+fact_qtickets_ledger_daily", "+dim_events", "+dim_shows")
    world.fetched_at = "2026-03-01 09:00:00"
    world.order(10, "2026-02-10 08:00:00", ticket("1000", id=5), ticket("300", id=6))
    world.build_models(*models)
    world.fetched_at = "2026-03-31 09:00:00"
    # Only the new order is marked. It has the ticket 5, at another price.
    new = {"primary_orders": '[{"id": 10}]', "event_id": 2}
    world.order(11, "2026-03-20 10:00:00", ticket("1200", id=5), **new)
    entries = (
        "SELECT toString(entry_date) AS day, entry_type, event_id, tickets, amount"
        " FROM zakaz.fact_qtickets_ledger_daily ORDER BY ALL"
    )

    world.build_models(*models, changed_since=datetime(2026, 3, 15, tzinfo=timezone.utc))
    partial = world.rows(entries)
    world.build_models(*models)

    assert [tuple(row.values()) for row in partial] == [
        ("2026-02-10", "sale", "1", 2, 1300),
        ("2026-03-20", "exchange", "1", -1, -1000),
        ("2026-03-20", "sale", "2", 1, 1200),
    ]
    assert world.rows(entries) == partial

    # Neither order is marked.
    world.order(12, "2026-03-21 10:00:00", ticket("300", id=6))
    run = world.dbt("build", "--select", "+fact_qtickets_tickets")
    assert run.statuses["no_ticket_is_sold_twice_int_qtickets_tickets_"] == "warn"


def test_dates_that_no_column_holds_become_the_last_one_and_are_reported(
    world: MartsWorld,
) -> None:
    world.empty_raw()
    world.insert("events", event(1))
    world.insert("shows", show(11, finish_date="9999-12-31 00:00:00"))
    world.order(1, "2150-01-01 10:00:00", ticket("100"))

    run = world.dbt("build", "--select", "+fact_qtickets_tickets", "+dim_shows")

    assert run.success, run
    for what in ("sale", "show"):
        assert run.statuses[f"no_{what}_in_a_year_that_no_column_holds"] == "warn"
    sold = world.row("SELECT sales_date, toYear(sale_ts) AS year FROM zakaz.fact_qtickets_tickets")
    assert sold == {"sales_date": date(2149, 6, 6), "year": 2106}
    ends = world.row("SELECT end_date, toYear(end_ts) AS year, is_over FROM zakaz.dim_shows")
    assert ends == {"end_date": date(2149, 6, 6), "year": 2106, "is_over": 0}


@pytest.mark.parametrize(
    ("zone", "now", "dates", "sold_today"),
    [
        # Sales at 12:00 and 23:30 UTC on 31 March: the second is on 1 April in Moscow and in
        # Vladivostok. One second before midnight in a zone, "today" is still the old day.
        ("Europe/Moscow", "2026-03-31 20:59:59", ["2026-03-31", "2026-04-01"], 1),
        ("Europe/Moscow", "2026-03-31 23:45:00", ["2026-03-31", "2026-04-01"], 1),
        ("Asia/Vladivostok", "2026-03-31 13:59:59", ["2026-03-31", "2026-04-01"], 1),
        ("America/New_York", "2026-04-01 03:59:59", ["2026-03-31", "2026-03-31"], 2),
        ("America/New_York", "2026-04-01 04:00:00", ["2026-03-31", "2026-03-31"], 0),
    ],
)
def test_dates_and_today_follow_the_reporting_time_zone(
    world: MartsWorld, zone: str, now: str, dates: list[str], sold_today: int
) -> None:
    world.empty_raw()
    world.insert("events", event(1))
    world.order(1, "2026-03-31 12:00:00", ticket("100"))
    world.order(2, "2026-03-31 23:30:00", ticket("100"))

    world.build_models("--select", "+v_qtickets_sales_dashboard", now=now, zone=zone)

    days = world.rows(
        "SELECT sales_date, tickets_sold FROM zakaz.fact_qtickets_sales_daily ORDER BY sales_date"
    )
    assert [day["sales_date"] for day in days for _ in range(day["tickets_sold"])] == [
        date.fromisoformat(text) for text in dates
    ]
    today = world.row("SELECT tickets_sold_today AS sold FROM zakaz.v_qtickets_sales_dashboard")
    assert today["sold"] == sold_today


@pytest.fixture
def project(tmp_path: Path) -> Path:
    """Return a copy of the dbt project, for another plan."""
    project = tmp_path / "dbt_project"
    shutil.copytree(DBT_PROJECT, project, ignore=shutil.ignore_patterns("target", "logs"))
    return project


def _write_plan(project: Path, plan: str) -> None:
    (project / "seeds" / "plan_sales.csv").write_text(
        f"sales_date,event_id,city,plan_tickets,plan_revenue\n{plan}", encoding="utf-8"
    )


def test_the_plan_is_compared_with_sales_and_a_bad_plan_changes_nothing(
    world: MartsWorld, project: Path
) -> None:
    plan = "2026-03-30,1,Москва,2,1000\n2026-03-30,2,,5,2500.50\n2026-03-29,1,москва,0,0\n"
    plan_and_fact = ("--select", "+v_plan_vs_fact")
    _write_plan(project, plan)
    world.build(*plan_and_fact, project=project)

    rows = world.rows(
        "SELECT toString(sales_date) AS d, event_id, city, plan_tickets, fact_tickets,"
        " diff_tickets, diff_tickets_pct, diff_revenue_pct, currency, is_planned"
        " FROM zakaz.v_plan_vs_fact WHERE sales_date > '2026-01-01' ORDER BY d, event_id"
    )
    assert [tuple(row.values()) for row in rows] == [
        ("2026-03-29", "1", "москва", 0, 0, 0, None, None, "RUB", 0),
        ("2026-03-30", "1", "москва", 2, 1, -1, -50.0, -20.0, "RUB", 1),
        ("2026-03-30", "2", "казань", 5, 0, -5, -100.0, -100.0, "RUB", 1),
    ]

    _write_plan(project, "2026-02-30,1,,2,1000\n2026-03-30,1,,-2,10\n2026-03-30,1, ,2,1e3\n")
    run = world.dbt("build", *plan_and_fact, project=project)

    assert run.statuses["plan_sales"] == "error"
    assert run.statuses["v_plan_vs_fact"] == "skipped"
    message = run.messages["plan_sales"]
    assert "line 2: sales_date '2026-02-30' is not a date" in message
    assert "line 3: plan_tickets '-2' is not a whole number" in message
    assert "line 4: plan_revenue '1e3' is not an amount" in message
    assert "line 4: the same day, event and city as line 3" in message
    assert world.row("SELECT count() AS n FROM zakaz.plan_sales") == {"n": 3}
