"""Successive runs: the marts follow every change of the account, and change for no other reason."""

from collections.abc import Callable
from datetime import datetime, timedelta

import pytest
from rich.console import Console

from pipelines.configuration.environment import Settings
from pipelines.run import run
from sandbox import World, serve
from tests.support.clickhouse import Marts
from tests.support.expected import Row
from tests.support.loaded_data import check_marts
from tests.support.runs import Runner, dashboard_only
from tests.support.worlds import report_now, world_until


@pytest.fixture
def now() -> datetime:
    return datetime.fromisoformat("2026-06-15T13:00:00+03:00")


def test_runs_follow_sales_refunds_and_the_clock_and_repetition_changes_nothing(
    now: datetime, settings_for: Callable[..., Settings], run_once: Runner, marts: Marts
) -> None:
    world = world_until(now, tenge_event=True)
    with serve(world) as server:
        with dashboard_only():
            run_once(settings_for(server.url, report_now=report_now(world)))
        check_marts(world, marts, world.now)
        first = marts.snapshot()
        assert {
            row["currency"]
            for row in marts.rows("SELECT currency FROM zakaz.fact_qtickets_sales_daily")
        } == {"RUB", "KZT"}

        run_once(settings_for(server.url, report_now=report_now(world)))
        assert marts.snapshot() == first, "a run with nothing new changed the marts"

        # Forty days without a run; after twenty of them, old sales are refunded and cancelled.
        world.advance(24 * 20)
        world.sell(tickets=3, price=1234.5)
        paid = [order for order in world.orders() if order["payed"] and not order["deleted_at"]]
        old = [order for order in paid if any(ticket["price"] for ticket in order["baskets"])]
        whole, single, cancelled = old[3], old[40], old[60]
        world.refund(whole["id"])
        world.refund(single["id"], [single["baskets"][0]["id"]], deduction=50)
        world.cancel(cancelled["id"])
        world.exchange(old[80]["id"])
        world.advance(24 * 20)
        report = run_once(settings_for(server.url, report_now=report_now(world)))
        check_marts(world, marts, world.now)
        assert marts.snapshot() != first
        assert report.load.rows["orders"] < world.count() / 2, "history was read again"

        world.restore(cancelled["id"])
        with dashboard_only():
            run_once(settings_for(server.url, report_now=report_now(world)))
        check_marts(world, marts, world.now)
        assert server.writes_received == 0

    runs = marts.rows("SELECT status, rows_processed FROM zakaz.meta_job_runs ORDER BY started_at")
    assert [run["status"] for run in runs] == ["ok"] * 4


def test_an_account_without_any_sales_has_empty_marts_and_a_successful_run(
    now: datetime, settings_for: Callable[..., Settings], run_once: Runner, marts: Marts
) -> None:
    world = World(orders=1, seed=1, start=now, end=now + timedelta(days=90), now=now)
    with serve(world) as server:
        report = run_once(settings_for(server.url, report_now=report_now(world)))

    assert report.marts.tests > 10
    assert marts.rows("SELECT * FROM zakaz.fact_qtickets_sales_daily") == []


def test_scans_of_old_orders_arrive_with_the_daily_reading_without_reading_history(
    now: datetime, settings_for: Callable[..., Settings], marts: Marts
) -> None:
    world = world_until(now)
    with serve(world) as server:
        settings = settings_for(server.url)
        run(settings, Console(quiet=True), skip_marts=True)
        # On the next day people come to the shows. Many bought their tickets weeks ago.
        world.advance(25)
        held = [
            show for event in world.events() for show in event["shows"] if _held(show, world.now)
        ]
        ticket = next(
            ticket
            for order in world.orders()
            if order["payed"]
            and datetime.fromisoformat(order["payed_at"]) < now - timedelta(days=8)
            for ticket in order["baskets"]
            if ticket["show_id"] in {show["id"] for show in held} and not ticket["deleted_at"]
        )
        world.scan(ticket["id"])
        report = run(settings, Console(quiet=True), skip_marts=True)

    scanned = marts.raw("SELECT id FROM zakaz_raw.tickets FINAL WHERE checked_at IS NOT NULL")
    expected = {
        ticket["id"]
        for order in world.orders()
        if order["payed"]
        for ticket in order["baskets"]
        if ticket["checked_at"]
    }
    assert ticket["id"] in expected
    assert {row["id"] for row in scanned} >= expected
    assert report.load.rows["orders"] < world.count() / 2, "history was read again"


def _held(show: Row, now: datetime) -> bool:
    """Return whether the show was open within the last day."""
    opens, ends = (datetime.fromisoformat(show[name]) for name in ("open_date", "finish_date"))
    return opens <= now and ends >= now - timedelta(days=1)
