"""The sales facts by their definitions, computed from API answers in plain Python.

The pipeline shares no code with this module, so a mistake in either shows as a difference.
"""

from collections import defaultdict
from collections.abc import Iterable
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

Row = dict[str, Any]
Key = tuple[date, str, str, str]


def money(value: Any) -> Decimal:
    return Decimal(str(value or 0))


def city_of(event: Row | None) -> str:
    name = ((event or {}).get("city") or {}).get("name") or ""
    return name.strip().lower() or "unknown"


def sales_daily(
    orders: Iterable[Row], events: Iterable[Row], zone: str = "Europe/Moscow"
) -> dict[Key, Row]:
    """Return `fact_qtickets_sales_daily` by (sales_date, event_id, city, currency)."""
    cities = {event["id"]: city_of(event) for event in events}
    facts: dict[Key, Row] = defaultdict(
        lambda: {
            "tickets_sold": 0,
            "revenue": Decimal(0),
            "orders": set(),
            "gross_revenue": Decimal(0),
            "discount_amount": Decimal(0),
            "service_fee_amount": Decimal(0),
            "refunded_amount": Decimal(0),
            "tickets_refunded": 0,
            "cancelled_amount": Decimal(0),
            "tickets_cancelled": 0,
            "refund_deduction_amount": Decimal(0),
        }
    )
    for order in orders:
        if not order["payed"]:
            continue
        paid_at = datetime.fromisoformat(order["payed_at"]).astimezone(ZoneInfo(zone))
        city = cities.get(order["event_id"], "unknown")
        for ticket in order["baskets"]:
            fact = facts[paid_at.date(), str(order["event_id"]), city, order["currency_id"]]
            amount = money(ticket["price"]) * ticket["quantity"]
            fact["gross_revenue"] += amount
            if ticket["refunded_at"]:
                fact["refunded_amount"] += amount
                fact["tickets_refunded"] += ticket["quantity"]
                fact["refund_deduction_amount"] += money(ticket["refunded_deduction_amount"])
            elif ticket["deleted_at"] or order["deleted_at"]:
                fact["cancelled_amount"] += amount
                fact["tickets_cancelled"] += ticket["quantity"]
            else:
                fact["tickets_sold"] += ticket["quantity"]
                fact["revenue"] += amount
                fact["orders"].add(order["id"])
                fact["discount_amount"] += money(ticket["discount_value"]) * ticket["quantity"]
                fact["service_fee_amount"] += (
                    money(ticket["service_fee_amount"]) * ticket["quantity"]
                )
    return {key: {**fact, "orders": len(fact["orders"])} for key, fact in facts.items()}


def actual_daily(rows: Iterable[Row]) -> dict[Key, Row]:
    """Return rows of the mart in the shape of `sales_daily`."""
    numbers = sales_daily([], [])
    return numbers | {
        (row["sales_date"], row["event_id"], row["city"], row["currency"]): {
            name: row[name]
            for name in (
                "tickets_sold",
                "revenue",
                "orders",
                "gross_revenue",
                "discount_amount",
                "service_fee_amount",
                "refunded_amount",
                "tickets_refunded",
                "cancelled_amount",
                "tickets_cancelled",
                "refund_deduction_amount",
            )
        }
        for row in rows
    }


def revenue_by_day(
    orders: Iterable[Row], days: Iterable[date], zone: str = "Europe/Moscow"
) -> dict[tuple[date, str], Decimal]:
    """Return the revenue by (day, currency) as it stood at the end of the day.

    That is the price of the tickets that were paid by then, and neither refunded nor cancelled nor
    exchanged by then.
    """

    def day_of(text: str) -> date:
        return datetime.fromisoformat(text).astimezone(ZoneInfo(zone)).date()

    tickets = []
    for order in orders:
        if not order["payed"]:
            continue
        deleted = [ticket["deleted_at"] or order["deleted_at"] for ticket in order["baskets"]]
        unmarked_exchange = bool(order.get("secondary_orders")) and not any(deleted)
        for ticket, deleted_at in zip(order["baskets"], deleted, strict=True):
            ended_at = ticket["refunded_at"] or deleted_at
            if unmarked_exchange:
                ended_at = ended_at or order["updated_at"]
            amount = money(ticket["price"]) * ticket["quantity"]
            end = day_of(ended_at) if ended_at else date.max
            tickets.append((day_of(order["payed_at"]), end, order["currency_id"], amount))
    currencies = {currency for _, _, currency, _ in tickets}
    return {
        (day, currency): sum(
            (
                amount
                for paid, ended, of_ticket, amount in tickets
                if paid <= day < ended and of_ticket == currency
            ),
            Decimal(0),
        )
        for day in days
        for currency in currencies
    }


def dashboard(
    orders: Iterable[Row],
    events: Iterable[Row],
    now: datetime,
    seats: dict[int, list[Row] | None],
    zone: str = "Europe/Moscow",
) -> dict[tuple[str, str, str], Row]:
    """Return the numbers of `v_qtickets_sales_dashboard` by (event_id, city, currency).

    Args:
        seats: Seats of each show that is neither deleted nor past; None if unreadable.
    """
    events = list(events)
    daily = sales_daily(orders, events, zone)
    local = ZoneInfo(zone)
    today = now.astimezone(local).date()
    rows = {}
    for event in events:
        if event["deleted_at"]:
            continue
        event_id = str(event["id"])
        sold = [(key, fact) for key, fact in daily.items() if key[1] == event_id]
        recent = [
            (key, fact) for key, fact in sold if today - timedelta(days=13) <= key[0] <= today
        ]
        shows = [show for show in event["shows"] if not show["deleted_at"]]
        open_shows = [show["id"] for show in shows if (end := _ends(show)) is None or end >= now]
        starts = [_moment(show["start_date"] or show["open_date"]) for show in shows]
        ends = [_ends(show) for show in shows]
        unknown = not open_shows or any(seats.get(show) is None for show in open_shows)
        plans = [
            seat for show in open_shows for seat in seats.get(show) or () if not seat["disabled"]
        ]
        for currency in {key[3] for key, _ in sold} or {event["currency_id"]}:
            mine = [(key, fact) for key, fact in recent if key[3] == currency]
            now_sold = [fact for key, fact in mine if key[0] == today]
            rows[event_id, city_of(event), currency] = {
                "event_name": event["name"],
                "tickets_sold_today": sum(fact["tickets_sold"] for fact in now_sold),
                "revenue_today": sum((fact["revenue"] for fact in now_sold), Decimal(0)),
                "tickets_sold_14d": sum(fact["tickets_sold"] for _, fact in mine),
                "revenue_14d": sum((fact["revenue"] for _, fact in mine), Decimal(0)),
                "tickets_total": None if unknown else sum(seat["max_quantity"] for seat in plans),
                "tickets_left": None if unknown else sum(seat["free_quantity"] for seat in plans),
                "start_date": min((m.astimezone(local).date() for m in starts if m), default=None),
                "end_date": max((m.astimezone(local).date() for m in ends if m), default=None),
                "is_over": int(bool(shows) and not open_shows),
            }
    return rows


def actual_dashboard(rows: Iterable[Row]) -> dict[tuple[str, str, str], Row]:
    """Return rows of the view in the shape of `dashboard`."""
    return {
        (row["event_id"], row["city"], row["currency"]): {
            name: value
            for name, value in row.items()
            if name not in ("event_id", "city", "currency", "inventory_updated_at")
        }
        for row in rows
    }


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _ends(show: Row) -> datetime | None:
    return _moment(show["finish_date"] or show["start_date"] or show["open_date"])
