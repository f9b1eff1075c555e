"""The raw tables are held against the service, and what differs is mended."""

import json
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest
from rich.console import Console

from local_clickhouse import LocalServer
from pipelines.configuration.environment import Settings
from pipelines.errors import ServiceError
from pipelines.loading.pipeline import LoadSession
from pipelines.loading.reconciliation import ReconciliationJob
from pipelines.loading.reconciliation_result import Reconciliation
from pipelines.run import run
from sandbox import Fault, Server, World
from tests.support.account import Account
from tests.support.clickhouse import Marts, query
from tests.support.runs import Runner

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
TOKEN = "sandbox-token"


@pytest.fixture
def world() -> World:
    return World(orders=300, seed=21, start=NOW - timedelta(days=75), end=NOW, now=NOW)


def reconciled(settings: Settings, **job: Any) -> Reconciliation:
    report = run(settings, Console(quiet=True), reconciliation=ReconciliationJob(**job))
    assert report.load.reconciliation
    return report.load.reconciliation


def paid(world: World) -> list[dict[str, Any]]:
    return [order for order in world.orders() if order["payed"]]


def loaded(marts: Marts) -> dict[int, str]:
    rows = marts.rows(
        "SELECT id, toString(payed_at) AS payed_at FROM zakaz_raw.orders FINAL WHERE payed"
    )
    return {row["id"]: row["payed_at"] for row in rows}


def test_a_history_that_is_equal_costs_two_requests_a_month(
    settings: Settings, run_once: Runner, marts: Marts, service: Server, world: World
) -> None:
    first = run_once(settings)
    result = first.load.reconciliation

    assert result and result.is_full and not result.differing
    assert sum(month.orders_at_service for month in result.months) == len(paid(world))
    assert run_once(settings).load.reconciliation is None, "once a day is enough"
    service.requests.clear()
    result = reconciled(settings)
    assert not result.differing
    assert len(service.requests) <= 2 * len(result.months) + 3
    rows = marts.rows("SELECT * FROM zakaz.v_qtickets_reconciliation")
    assert {row["month"]: row["orders_at_service"] for row in rows} == {
        month.month: month.orders_at_service for month in result.months
    }
    assert not any(row["differed"] for row in rows)


def test_what_is_missing_or_has_moved_is_loaded_and_the_marts_are_right(
    settings: Settings, run_once: Runner, marts: Marts, server: LocalServer
) -> None:
    run_once(settings)
    before, built = loaded(marts), marts.snapshot()
    lost = sorted(before)[10:14]
    for table, key in (("orders", "id"), ("tickets", "order_id")):
        query(
            server,
            "loader",
            f"ALTER TABLE zakaz_raw.{table} DELETE WHERE {key} IN {tuple(lost)}"
            " SETTINGS mutations_sync = 1",
        )
    # A payment that was moved by a month without any sweep seeing it.
    query(
        server,
        "loader",
        "INSERT INTO zakaz_raw.orders SELECT * REPLACE(payed_at - INTERVAL 30 DAY AS payed_at,"
        f" _fetched_at + INTERVAL 1 MICROSECOND AS _fetched_at) FROM zakaz_raw.orders FINAL"
        f" WHERE id = {max(before)}",
    )

    only_told = reconciled(settings, repair=False)
    assert only_told.differing and not only_told.is_repaired
    assert not set(lost) & set(loaded(marts)), "nothing is loaded without --repair"

    result = reconciled(settings)

    assert result.missing == lost or set(lost) <= set(result.missing)
    assert loaded(marts) == before
    assert marts.snapshot() == built
    assert not reconciled(settings).differing


def test_orders_dated_before_the_first_one_or_not_at_all_count(
    settings: Settings, run_once: Runner, marts: Marts, world: World
) -> None:
    orders = paid(world)
    early, undated, later = (order["id"] for order in orders[5:8])
    world.change(early, payed_at="2024-02-03T10:00:00+03:00")
    world.change(undated, payed_at=None)
    run_once(settings)

    assert loaded(marts)[early].startswith("2024-02-03")
    assert undated in loaded(marts)
    # A payment moves to before everything that is loaded: its old day must not keep it.
    world.advance(1)
    world.change(later, payed_at="2023-05-05T10:00:00+03:00")
    run_once(settings)
    assert loaded(marts)[later].startswith("2023-05-05")


def test_an_order_that_no_longer_exists_leaves_revenue_after_two_reconciliations_a_day_apart(
    settings: Settings, run_once: Runner, marts: Marts, world: World
) -> None:
    run_once(settings)
    sold = marts.rows("SELECT sum(revenue) AS revenue FROM zakaz.fact_qtickets_sales_daily")
    candidates = [
        order
        for order in paid(world)
        if order["deleted_at"] is None and all(t["deleted_at"] is None for t in order["baskets"])
    ]
    gone = max(candidates, key=lambda order: order["price"])
    world.erase(gone["id"])

    assert reconciled(settings).not_found == [gone["id"]]
    world.advance(2)
    run_once(settings)
    assert reconciled(settings).not_found == [gone["id"]], "two hours are not enough"
    assert marts.rows("SELECT sum(revenue) AS revenue FROM zakaz.fact_qtickets_sales_daily") == sold
    world.advance(24)
    run_once(settings)
    result = reconciled(settings)

    assert result.vanished == [gone["id"]]
    states = marts.rows(
        "SELECT DISTINCT ticket_state FROM zakaz.fact_qtickets_tickets"
        f" WHERE order_id = {gone['id']}"
    )
    assert states == [{"ticket_state": "vanished"}]
    (entry,) = marts.rows(
        "SELECT sum(amount) AS amount, toString(any(entry_date)) AS day"
        " FROM zakaz.fact_qtickets_ledger_daily WHERE entry_type = 'vanished'"
    )
    assert entry["amount"] == -sum(
        Decimal(str(t["price"])) * t["quantity"] for t in gone["baskets"]
    )
    assert date.fromisoformat(entry["day"]) >= date.today() - timedelta(days=1), "no closed month"

    world.advance(24)
    run_once(settings)
    assert not reconciled(settings).differing, "what has vanished is not looked for again"


def test_a_column_that_an_earlier_release_did_not_have_is_added(
    settings: Settings, run_once: Runner, marts: Marts, server: LocalServer, world: World
) -> None:
    run_once(settings)
    query(server, "loader", "ALTER TABLE zakaz_raw.orders DROP COLUMN vanished_at")
    world.advance(1)

    assert run_once(settings).marts.models
    assert marts.rows("SELECT count(vanished_at) AS marked FROM zakaz_raw.orders") == [
        {"marked": 0}
    ]


def test_a_deep_one_compares_money_and_mends_it(
    settings: Settings, run_once: Runner, marts: Marts, server: LocalServer
) -> None:
    run_once(settings)
    built = marts.snapshot()
    query(
        server,
        "loader",
        "INSERT INTO zakaz_raw.tickets SELECT * REPLACE(price + 100 AS price,"
        " _fetched_at + INTERVAL 1 MICROSECOND AS _fetched_at) FROM zakaz_raw.tickets FINAL"
        " WHERE order_id = (SELECT max(id) FROM zakaz_raw.orders WHERE payed)",
    )
    query(
        server,
        "loader",
        "INSERT INTO zakaz_raw.orders SELECT * REPLACE("
        " _fetched_at + INTERVAL 1 MICROSECOND AS _fetched_at) FROM zakaz_raw.orders FINAL"
        " WHERE id = (SELECT max(id) FROM zakaz_raw.orders WHERE payed)",
    )
    assert not reconciled(settings).differing, "its number of orders is equal"

    result = reconciled(settings, deep=True)

    assert [month.amounts_differ for month in result.differing] == [True]
    assert "tickets or money differed" in result.sentence
    assert marts.snapshot() == built


def test_a_deep_one_that_was_interrupted_continues_and_still_knows_what_differed(
    settings: Settings,
    run_once: Runner,
    marts: Marts,
    server: LocalServer,
    service: Server,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    run_once(settings)
    built = marts.snapshot()
    first = "(SELECT argMin(id, payed_at) FROM zakaz_raw.orders WHERE payed)"
    for table, key, more in (
        ("tickets", "order_id", "price + 100 AS price,"),
        ("orders", "id", ""),
    ):
        query(
            server,
            "loader",
            f"INSERT INTO zakaz_raw.{table} SELECT * REPLACE({more}"
            " _fetched_at + INTERVAL 1 MICROSECOND AS _fetched_at)"
            f" FROM zakaz_raw.{table} FINAL WHERE {key} = {first}",
        )
    # A part is a month; the service goes down after the first one.
    monkeypatch.setattr("pipelines.loading.history.ORDERS_PER_PART", 0)
    load_part, parts = LoadSession.run, 0

    def interrupted(session: LoadSession, source: Any) -> None:
        nonlocal parts
        parts += 1
        if parts == 2:
            raise ServiceError("the service went down")
        load_part(session, source)

    with monkeypatch.context() as patch, pytest.raises(ServiceError):
        patch.setattr(LoadSession, "run", interrupted)
        reconciled(settings, deep=True)
    first_month = periods(service)[-1]
    assert first_month[1].startswith("2026-05-01")
    service.requests.clear()

    result = reconciled(settings, deep=True)

    assert first_month not in periods(service), "the first month is not read again"
    assert [month.amounts_differ for month in result.differing] == [True]
    assert result.differing[0].month == "2026-04"
    assert marts.snapshot() == built


def periods(service: Server) -> list[tuple[str, ...]]:
    """Return the bounds of payment of the lists of orders that were read page by page."""
    return [
        tuple(line["value"] for line in body["where"] if line["column"] == "payed_at")
        for _, path, body, _ in service.requests
        if path.endswith("/orders") and body and body.get("where") and "perPage" in body
    ]


def test_the_command_says_what_it_found_and_check_knows_it(account: Account) -> None:
    result = account.command("reconcile", "--no-repair")
    assert result.exit_code == 0, result.output
    assert "equal those of QTickets" in " ".join(result.output.split())

    health = json.loads(account.command("check", "--format", "json").output)
    (found,) = [check for check in health["checks"] if check["name"] == "reconciliation"]
    assert found["status"] == "ok"
    assert account.command("reconcile", "--since", "yesterday").exit_code == 2


def test_a_service_that_fails_while_it_is_compared_stops_no_run(
    settings: Settings, run_once: Runner, service: Server
) -> None:
    service.faults.append(
        Fault("/orders", kind="refuse", column="payed_at", operator="<", status=422)
    )
    report = run_once(settings)

    assert report.marts.models
    assert report.load.reconciliation
