"""Check of the marts: do tickets and revenue of the facts equal those of the raw tables?"""

from datetime import datetime
from decimal import Decimal
from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from pipelines.operations.checks.health import Check
from pipelines.operations.checks.times import ago
from pipelines.warehouse.server import Warehouse

FACTS = ("fact_qtickets_sales_daily", "fact_qtickets_sales_utm_daily")
RAW_TABLES = ("orders", "tickets")
QUERY_SECONDS = 60


class Sums(NamedTuple):
    """Sold tickets, revenue and gross revenue in one currency."""

    tickets_sold: int
    revenue: Decimal
    gross_revenue: Decimal


SumsByCurrency = dict[str, Sums]


def read_differences(warehouse: Warehouse, client: Client) -> dict[str, SumsByCurrency]:
    """Return the sums of the raw tables and of each fact that differs; empty if all are equal."""
    sold = (
        "tickets.refunded_at IS NULL AND tickets.deleted_at IS NULL AND orders.deleted_at IS NULL"
    )
    raw_db = warehouse.raw_db
    raw = _sums(
        client,
        f"SELECT orders.currency_id, sumIf(quantity, {sold}), sumIf(price * quantity, {sold}),"  # noqa: S608
        f" sum(price * quantity) FROM `{raw_db}`.tickets AS tickets FINAL INNER JOIN ("
        f"SELECT id, _fetched_at, currency_id, deleted_at FROM `{raw_db}`.orders FINAL WHERE payed"
        ") AS orders ON tickets.order_id = orders.id AND tickets._fetched_at = orders._fetched_at"
        " GROUP BY orders.currency_id",
    )
    facts = {
        fact: _sums(
            client,
            "SELECT currency, sum(tickets_sold), sum(revenue), sum(gross_revenue)"  # noqa: S608
            f" FROM `{warehouse.marts_db}`.`{fact}` GROUP BY currency",
        )
        for fact in FACTS
    }
    different = {fact: sums for fact, sums in facts.items() if sums != raw}
    return {"raw": raw, **different} if different else {}


def check_marts(
    differences: dict[str, SumsByCurrency] | None,
    unfinished_since: datetime | None,
    now: datetime,
) -> Check:
    """Return an error if facts and raw tables differ, unless a run is in progress.

    Args:
        differences: As of `read_differences`; None if a table is missing.
        unfinished_since: Start of a run that has not ended.
        now: The time of the check.
    """
    if differences is None:
        return Check("marts", "error", "The marts have not been built. The next run builds them.")
    if not differences:
        return Check(
            "marts", "ok", "Tickets and revenue of the facts equal those of the raw tables."
        )
    values = {
        "sums": {
            table: {
                currency: {
                    "tickets_sold": sums.tickets_sold,
                    "revenue": str(sums.revenue),
                    "gross_revenue": str(sums.gross_revenue),
                }
                for currency, sums in by_currency.items()
            }
            for table, by_currency in differences.items()
        }
    }
    if unfinished_since:
        return Check(
            "marts",
            "ok",
            f"Not compared with the raw tables: a run that started {ago(unfinished_since, now)}"
            " has not ended.",
            values,
        )
    listed = "; ".join(
        f"{table}: "
        + ", ".join(
            f"{sums.tickets_sold:,} tickets, {sums.revenue:,} {currency}"
            for currency, sums in by_currency.items()
        )
        for table, by_currency in differences.items()
    )
    return Check(
        "marts",
        "error",
        f"Facts and raw tables differ ({listed}). The next run without --skip-marts rebuilds the"
        " facts.",
        values,
    )


def _sums(client: Client, sql: str) -> SumsByCurrency:
    rows = client.query(sql, settings={"max_execution_time": QUERY_SECONDS}).result_rows
    return {
        str(currency): Sums(int(sold), Decimal(revenue), Decimal(gross))
        for currency, sold, revenue, gross in rows
    }
