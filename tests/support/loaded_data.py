"""The contents of the raw tables and the marts, and comparisons with the data of the service."""

from datetime import datetime, timezone
from typing import Any

from local_clickhouse import LocalServer
from sandbox import World
from tests.support.clickhouse import DATABASE, Marts
from tests.support.expected import (
    Row,
    actual_daily,
    actual_dashboard,
    dashboard,
    revenue_by_day,
    sales_daily,
)

RAW = f"{DATABASE}_raw"
Rows = dict[str, list[tuple[Any, ...]]]


def raw_rows(server: LocalServer) -> Rows:
    """Return the newest version of each row of the raw tables, without `_fetched_at`.

    The seats are left out: every run adds its own snapshot of them.
    """
    marts = Marts(server)
    tables = marts.raw(
        f"SELECT name FROM system.tables WHERE database = '{RAW}'"
        " AND NOT startsWith(name, '_dlt') AND name NOT IN ('inventory', 'dlt_sentinel_table')"
    )
    found = {}
    for name in sorted(row["name"] for row in tables):
        rows = marts.raw(f"SELECT * FROM {RAW}.{name} FINAL ORDER BY ALL")
        found[name] = [
            tuple(value for column, value in row.items() if column != "_fetched_at") for row in rows
        ]
        found[name].sort(key=repr)
    return found


def marts_rows(server: LocalServer) -> Rows:
    """Return every row of the public marts, without the columns with the time of the snapshot."""
    marts = Marts(server)
    tables = marts.rows(
        f"SELECT name FROM system.tables WHERE database = '{DATABASE}'"
        " AND match(name, '^(dim|fact|mv|v)_') ORDER BY name"
    )
    observed = {"snapshot_ts", "snapshot_at", "inventory_updated_at", "_loaded_at", "_ver"}
    found = {}
    for name in (row["name"] for row in tables):
        # These depend on the number and the times of runs.
        if name in (
            "v_qtickets_freshness",
            "fact_qtickets_inventory_history",
            "v_qtickets_reconciliation",
        ):
            continue
        rows = marts.rows(f"SELECT * FROM {DATABASE}.{name}")
        found[name] = sorted(
            (
                tuple(value for column, value in row.items() if column not in observed)
                for row in rows
            ),
            key=repr,
        )
    return found


def check_raw(world: World, server: LocalServer) -> None:
    """Check that paid orders and their tickets equal those of the service."""
    marts = Marts(server)
    orders = marts.raw(f"SELECT id, updated_at, deleted_at FROM {RAW}.orders FINAL WHERE payed")
    tickets = marts.raw(
        f"SELECT id, order_id, price, quantity, refunded_at, deleted_at FROM {RAW}.tickets FINAL"
        f" WHERE order_id IN (SELECT id FROM {RAW}.orders FINAL WHERE payed)"
    )
    paid = [order for order in world.orders() if order["payed"]]
    assert {row["id"]: (_utc(row["updated_at"]), _utc(row["deleted_at"])) for row in orders} == {
        order["id"]: (_utc(order["updated_at"]), _utc(order["deleted_at"])) for order in paid
    }
    assert {
        (row["order_id"], row["id"]): (
            float(row["price"]),
            row["quantity"],
            _utc(row["refunded_at"]),
            _utc(row["deleted_at"]),
        )
        for row in tickets
    } == {
        (order["id"], ticket["id"]): (
            float(ticket["price"]),
            ticket["quantity"],
            _utc(ticket["refunded_at"]),
            _utc(ticket["deleted_at"]),
        )
        for order in paid
        for ticket in order["baskets"]
    }


def check_marts(world: World, marts: Marts, now: datetime) -> None:
    """Check that the daily fact and the dashboard equal the numbers computed in Python."""
    daily = actual_daily(marts.rows(f"SELECT * FROM {DATABASE}.fact_qtickets_sales_daily"))
    board = actual_dashboard(marts.rows(f"SELECT * FROM {DATABASE}.v_qtickets_sales_dashboard"))
    assert daily == sales_daily(world.orders(), world.events())
    check_ledger(world, marts)
    assert board == expected_dashboard(world, now)


def check_ledger(world: World, marts: Marts) -> None:
    """Check that the ledger up to any day adds up to the revenue as it stood on that day."""
    entries = marts.rows(
        f"SELECT entry_date, currency, amount FROM {DATABASE}.fact_qtickets_ledger_daily"
        " WHERE entry_type != 'refund_retained'"
    )
    # A tenth of the days, and the last one.
    days = sorted({entry["entry_date"] for entry in entries})
    expected = revenue_by_day(world.orders(), [*days[::10], *days[-1:]])
    assert expected == {
        (day, currency): sum(
            entry["amount"]
            for entry in entries
            if entry["entry_date"] <= day and entry["currency"] == currency
        )
        for day, currency in expected
    }


def expected_dashboard(world: World, now: datetime) -> dict[tuple[str, str, str], Row]:
    """Return the rows that `v_qtickets_sales_dashboard` must have for a world."""
    shows = {show["id"] for event in world.events() for show in event["shows"]}
    return dashboard(
        world.orders(), world.events(), now, {show: world.seats(show) for show in shows}
    )


def _utc(moment: datetime | str | None) -> datetime | None:
    if isinstance(moment, str):
        return datetime.fromisoformat(moment).astimezone(timezone.utc).replace(tzinfo=None)
    return moment.replace(tzinfo=None) if moment else None
