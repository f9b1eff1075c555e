"""Every measure of the dashboards, computed in plain Python from the rows of its table.

It shares no formula with the definition, so a mistake in either shows as a difference.
"""

from collections.abc import Callable
from decimal import Decimal
from typing import Any

Row = dict[str, Any]
Compute = Callable[[list[Row]], Any]


def total(column: str, **where: Any) -> Compute:
    """Return the sum of a column over the rows that have the given values; null over nulls."""

    def compute(rows: list[Row]) -> Any:
        wanted = [row for row in rows if all(row[name] == value for name, value in where.items())]
        values = [row[column] for row in wanted if row[column] is not None]
        return sum(values) if values or not rows or not wanted else None

    return compute


def ratio(above: Compute, below: Compute) -> Compute:
    """Return the quotient as a float; null if the divisor is zero or null."""

    def compute(rows: list[Row]) -> Any:
        divisor = below(rows)
        return float(Decimal(above(rows)) / Decimal(divisor)) if divisor else None

    return compute


def newest(column: str) -> Compute:
    return lambda rows: max((r[column] for r in rows if r[column] is not None), default=None)


def count_kinds(*kinds: str) -> Compute:
    return lambda rows: sum(row["kind"] in kinds for row in rows)


def one_of(compute: Compute, *columns: str) -> Compute:
    """Return null over several values of a column."""

    def guarded(rows: list[Row]) -> Any:
        single = all(len({row[column] for row in rows}) <= 1 for column in columns)
        return compute(rows) if single else None

    return guarded


def of_currency(compute: Compute) -> Compute:
    return one_of(compute, "currency")


def of_show(column: str) -> Compute:
    """Return the value of the one row of a show and currency."""
    return one_of(newest(column), "show_id", "currency")


def of_backtest(column: str) -> Compute:
    return one_of(newest(column), "horizon_days", "method")


def _sold_share(rows: list[Row]) -> Any:
    seats, left = total("tickets_total")(rows), total("tickets_left")(rows)
    return float(Decimal(seats - left) / seats) if seats else None


def _ledger(*types: str, sign: int = 1) -> Compute:
    return lambda rows: sign * sum(row["amount"] for row in rows if row["entry_type"] in types)


ENDINGS = ("cancellation", "exchange", "vanished")
MEASURES: dict[str, Compute] = {
    "revenue_today": of_currency(total("revenue_today")),
    "tickets_today": total("tickets_sold_today"),
    "revenue_14d": of_currency(total("revenue_14d")),
    "tickets_14d": total("tickets_sold_14d"),
    "seats_total": of_currency(total("tickets_total")),
    "seats_left": of_currency(total("tickets_left")),
    "sold_share": of_currency(_sold_share),
    "seats_read_at": newest("inventory_updated_at"),
    "recent_revenue": of_currency(total("revenue")),
    "recent_tickets": total("tickets_sold"),
    "revenue": of_currency(total("revenue")),
    "tickets": total("tickets_sold"),
    "orders": total("orders"),
    "gross_revenue": of_currency(total("gross_revenue")),
    "average_price": of_currency(ratio(total("revenue"), total("tickets_sold"))),
    "average_order": of_currency(ratio(total("revenue"), total("orders"))),
    "discounts": of_currency(total("discount_amount")),
    "service_fees": of_currency(total("service_fee_amount")),
    "refund_share": of_currency(ratio(total("refunded_amount"), total("gross_revenue"))),
    "ledger_sales": of_currency(_ledger("sale")),
    "ledger_refunds": of_currency(_ledger("refund", sign=-1)),
    "ledger_cancelled": of_currency(_ledger(*ENDINGS, sign=-1)),
    "ledger_net": of_currency(_ledger("sale", "refund", *ENDINGS)),
    "ledger_retained": of_currency(_ledger("refund_retained")),
    "refunded_tickets": total("tickets_refunded"),
    "refunded_amount": of_currency(total("refunded_amount")),
    "paid_back": of_currency(total("paid_back_amount")),
    "utm_revenue": of_currency(total("revenue")),
    "utm_tickets": total("tickets_sold"),
    "utm_known_share": of_currency(
        ratio(
            lambda rows: sum(row["revenue"] for row in rows if row["utm_source"].strip()),
            total("revenue"),
        )
    ),
    "promo_uses": total("uses"),
    "promo_revenue": of_currency(total("revenue")),
    "promo_discount": of_currency(total("discount_amount")),
    "promo_discount_share": of_currency(
        ratio(
            total("discount_amount"),
            lambda rows: sum(row["revenue"] + row["discount_amount"] for row in rows),
        )
    ),
    "plan_revenue": of_currency(total("plan_revenue")),
    "actual_revenue": of_currency(total("fact_revenue", is_planned=1)),
    "plan_difference": of_currency(
        lambda rows: total("fact_revenue", is_planned=1)(rows) - total("plan_revenue")(rows)
    ),
    "plan_done": of_currency(ratio(total("fact_revenue", is_planned=1), total("plan_revenue"))),
    "pace_tickets": one_of(total("tickets_so_far"), "days_before_show"),
    "pace_typical_share": one_of(newest("usual_share"), "show_id", "currency", "days_before_show"),
    "forecast_sold": of_show("tickets_so_far"),
    "forecast_tickets": of_show("tickets_p50"),
    "forecast_low": of_show("tickets_p10"),
    "forecast_high": of_show("tickets_p90"),
    "forecast_revenue": of_show("revenue_p50"),
    "forecast_sellout": of_show("sellout_probability"),
    "past_shows": of_backtest("shows"),
    "forecast_error": of_backtest("wape"),
    "forecast_bias": of_backtest("bias"),
    "forecast_coverage": of_backtest("coverage_80"),
    "zone_total": total("tickets_total"),
    "zone_left": total("tickets_left"),
    "zone_sold_share": ratio(total("tickets_taken"), total("tickets_total")),
    "attendance_sold": total("tickets_sold"),
    "attendance_scanned": total("tickets_scanned"),
    "attendance_share": ratio(
        total("tickets_scanned"),
        lambda rows: sum(row["tickets_sold"] for row in rows if row["tickets_scanned"]),
    ),
    "buyers": lambda rows: len({row["buyer_hash"] for row in rows}),
    "returning_share": ratio(count_kinds("returning"), count_kinds("new", "returning")),
    "latest_load": newest("latest_ts"),
    "age": newest("age_hours"),
}
