"""The daily digest: what sold, what is nearly sold out, and what failed, in one short message.

It is sent to the targets of alerts, by the first run after the hour that is configured. Every
number in it is one of the marts.
"""

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from clickhouse_connect.driver.client import Client

from pipelines.configuration.environment import Settings
from pipelines.warehouse.server import open_warehouse

LONGEST = 1000
BEST_SELLERS, NEARLY_SOLD_OUT = 3, 3
NEARLY = 0.9
"""Share of the seats from which a show is nearly sold out."""


def is_due(settings: Settings, now: datetime, last_sent: datetime | None) -> bool:
    """Return whether the digest of today is to be sent.

    Args:
        settings: `qtickets_digest_at` is the local time, None for no digest.
        now: UTC.
        last_sent: When one was sent last, UTC.
    """
    if settings.qtickets_digest_at is None:
        return False
    zone = ZoneInfo(settings.report_tz)
    due = datetime.combine(now.astimezone(zone).date(), settings.qtickets_digest_at, zone)
    return now >= due and (last_sent is None or last_sent < due)


def digest(settings: Settings, now: datetime) -> str:
    """Return the text of the digest, at most `LONGEST` characters.

    Raises:
        ClickHouseError: ClickHouse cannot be read.
    """
    with open_warehouse(settings) as warehouse, warehouse.connect(warehouse.transformer) as client:
        text = _text(client, warehouse.marts_db, now, settings)
    return text if len(text) <= LONGEST else f"{text[: LONGEST - 1]}…"


def _text(client: Client, db: str, now: datetime, settings: Settings) -> str:
    today = now.astimezone(ZoneInfo(settings.report_tz)).date()

    def rows(sql: str, **parameters: Any) -> list[Any]:
        return list(client.query(sql.format(db=f"`{db}`"), parameters=parameters).result_rows)

    sums = (
        "SELECT currency, sum(tickets_sold), sum(revenue) FROM {db}.fact_qtickets_sales_daily"
        " WHERE sales_date BETWEEN {{first:Date}} AND {{last:Date}}"
        " GROUP BY currency ORDER BY currency"
    )
    lines = [
        f"Today: {_sales(rows(sums, first=today, last=today))}",
        f"7 days: {_sales(rows(sums, first=today - timedelta(days=6), last=today))}",
    ]
    best = rows(
        "SELECT any(events.event_name), sum(sales.tickets_sold) AS tickets, sum(sales.revenue),"
        " any(sales.currency) FROM {db}.fact_qtickets_sales_daily AS sales"
        " INNER JOIN {db}.dim_events AS events ON sales.event_id = events.event_id"
        " WHERE sales.sales_date BETWEEN {{first:Date}} AND {{last:Date}}"
        " GROUP BY sales.event_id, sales.currency HAVING tickets > 0"
        " ORDER BY tickets DESC, sales.event_id LIMIT {{limit:UInt8}}",
        first=today - timedelta(days=6),
        last=today,
        limit=BEST_SELLERS,
    )
    lines += [f"Sells: {_short(name)}: {n} tickets, {_money(m)} {c}" for name, n, m, c in best]
    nearly = rows(
        "SELECT DISTINCT shows.event_name, shows.start_local, seats.tickets_left,"
        " seats.tickets_total FROM {db}.fact_qtickets_inventory_by_show AS seats"
        " INNER JOIN {db}.dim_shows AS shows ON seats.show_id = shows.show_id"
        " WHERE NOT shows.is_over AND NOT shows.is_deleted AND seats.tickets_left > 0"
        " AND seats.sell_through >= {{nearly:Float64}}"
        " ORDER BY seats.tickets_left, shows.show_id LIMIT {{limit:UInt8}}",
        nearly=NEARLY,
        limit=NEARLY_SOLD_OUT,
    )
    lines += [
        f"Nearly sold out: {_short(name)}, {start}: {left} of {total} left"
        for name, start, left, total in nearly
    ]
    ((runs, failed),) = rows(
        "SELECT count(), countIf(status != 'ok') FROM {db}.meta_job_runs"
        " WHERE job = {{job:String}} AND started_at >= {{since:DateTime}}",
        job=settings.job_name,
        since=now.astimezone(timezone.utc) - timedelta(days=1),
    )
    lines.append(f"Runs in 24 hours: {runs}, failed: {failed}")
    return "\n".join(lines)


def _sales(sums: list[Any]) -> str:
    return "; ".join(f"{n} tickets, {_money(m)} {c}" for c, n, m in sums) or "no sales"


def _money(amount: Decimal) -> str:
    return f"{amount:,.2f}"


def _short(name: str) -> str:
    return name if len(name) <= 60 else f"{name[:59]}…"
