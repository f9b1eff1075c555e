"""Recorded live answers are loaded over HTTP, and every number in the marts is compared."""

import json
from collections.abc import Callable, Iterator
from datetime import datetime, timezone

import pytest
from rich.console import Console

from pipelines.configuration.environment import Settings
from pipelines.run import run
from pipelines.run_report import RunReport
from sandbox import RecordedWorld, serve
from sandbox.server.http import Server
from tests.support.clickhouse import Marts
from tests.support.expected import actual_daily, actual_dashboard, dashboard, sales_daily
from tests.support.paths import REAL_PAGES

# A moment in the middle of the recorded sales, with two events still on sale.
NOW = datetime(2021, 6, 8, 9, 0, tzinfo=timezone.utc)


@pytest.fixture
def service() -> Iterator[Server]:
    world = RecordedWorld(REAL_PAGES, now="2026-01-01")
    world.now = NOW
    with serve(world) as server:
        yield server
        assert server.writes_received == 0


def test_every_number_of_the_live_pages_reaches_the_marts(
    service: Server,
    settings_for: Callable[..., Settings],
    run_once: Callable[[Settings], RunReport],
    marts: Marts,
) -> None:
    report = run_once(settings_for(service.url, report_now="2021-06-08 09:00:00"))
    orders = json.loads((REAL_PAGES / "orders_page.json").read_text())["data"]
    events = json.loads((REAL_PAGES / "events_page.json").read_text())["data"]
    shows = [show["id"] for event in events for show in event["shows"]]

    daily = marts.rows("SELECT * FROM zakaz.fact_qtickets_sales_daily")
    board = marts.rows("SELECT * FROM zakaz.v_qtickets_sales_dashboard")

    assert actual_daily(daily) == sales_daily(orders, events)
    assert actual_dashboard(board) == dashboard(
        orders, events, NOW, {show: service.world.seats(show) for show in shows}
    )
    assert sum(row["revenue"] for row in daily) > 5000
    assert sum(row["tickets_sold_14d"] for row in board) > 50
    assert any(row["tickets_left"] for row in board)
    assert report.load.observed.findings.new_columns == set()
    assert report.load.observed.findings.withheld == set()


def test_no_personal_data_of_the_live_pages_is_in_the_raw_tables(
    service: Server, settings_for: Callable[..., Settings], marts: Marts
) -> None:
    run(settings_for(service.url), Console(quiet=True), skip_marts=True)
    orders = json.loads((REAL_PAGES / "orders_page.json").read_text())["data"]
    secrets = {
        str(order[key]) for order in orders for key in ("uniqid", "payment_url", "client_id")
    }
    secrets |= {order["client"]["email"] for order in orders}
    secrets |= {order["client"]["details"]["phone"] for order in orders}
    secrets |= {ticket["barcode"] for order in orders for ticket in order["baskets"]} - {None}

    for table in ("orders", "tickets", "events", "shows", "discounts", "promo_codes"):
        text = "\n".join(str(row) for row in marts.raw(f"SELECT * FROM zakaz_raw.{table}"))
        found = {secret for secret in secrets if secret in text}
        assert found == set(), f"personal data in raw table {table}"
