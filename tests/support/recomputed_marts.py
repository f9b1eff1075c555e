"""Every mart of sales, computed from the service's answers in plain Python, by the definitions.

It shares no code with the models. Keys and values are text, numbers and Decimals, as `SELECT`
returns them with dates and times as text.
"""

import json
from collections import defaultdict
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import date, datetime, timedelta
from decimal import Decimal
from typing import Any
from zoneinfo import ZoneInfo

from tests.support.expected import city_of, money

Row = dict[str, Any]
Facts = dict[tuple[Any, ...], Row]
UTM = ("utm_source", "utm_medium", "utm_campaign", "utm_content", "utm_term")
ENTRIES = {
    **{"refunded": "refund", "cancelled": "cancellation"},
    **{"exchanged": "exchange", "vanished": "vanished"},
}


class Recomputed:
    """The marts of an account, in a reporting time zone.

    Attributes:
        tickets: The rows of `fact_qtickets_tickets`, with `buyer` (the client's ID, or None) in
            place of the hash, and without `zone`.
    """

    def __init__(
        self,
        orders: Iterable[Row],
        events: Iterable[Row],
        zone: str,
        vanished: Mapping[int, datetime],
    ) -> None:
        """Compute the tickets.

        Args:
            vanished: When it was sure that the service no longer listed an order.
        """
        self._zone = ZoneInfo(zone)
        self._vanished = vanished
        self.events = {event["id"]: event for event in events}
        self.shows = {
            show["id"]: show | {"event_id": event["id"]}
            for event in self.events.values()
            for show in event["shows"]
        }
        self.tickets = [row for order in orders if order["payed"] for row in self._tickets(order)]

    # Tickets ------------------------------------------------------------------------------------

    def _tickets(self, order: Row) -> Iterator[Row]:
        baskets, main_of = _with_related(order["baskets"])
        by_id = {basket["id"]: basket for basket in baskets}
        related_of: dict[int, list[Row]] = defaultdict(list)
        for related_id, main_id in main_of.items():
            related_of[main_id].append(by_id[related_id])
        is_exchanged = bool(order.get("secondary_orders"))
        some_deleted = any(basket["deleted_at"] for basket in baskets)
        for basket in baskets:
            main = by_id.get(main_of.get(basket["id"], 0))
            related = related_of.get(basket["id"], [])
            family = related or (related_of[main["id"]] if main else [])
            money_is_theirs = any(money(each["price"]) for each in family)
            has_amount = not family or bool(main) == money_is_theirs
            refunded, deleted = basket["refunded_at"], basket["deleted_at"]
            if main and not deleted:
                refunded = refunded or main["refunded_at"]
            if main:
                deleted = deleted or main["deleted_at"]
            if related and not any(_is_active(each) for each in related):
                refunded = refunded or _last(each["refunded_at"] for each in related)
                deleted = deleted or _last(each["deleted_at"] for each in related)
            if refunded:
                state = "refunded"
            elif is_exchanged and (deleted or order["deleted_at"] or not some_deleted):
                state = "exchanged"
            else:
                state = "cancelled" if deleted or order["deleted_at"] else "sold"
            vanished = self._vanished.get(order["id"])
            if state == "sold" and vanished:
                state = "vanished"
            ended = deleted or order["deleted_at"] or order["updated_at"]
            quantity = basket["quantity"] if has_amount else 0
            amount = money(basket["price"]) * quantity
            paid_back = Decimal(0)
            if refunded:
                paid_back = amount - money(basket["refunded_deduction_amount"])
                if money(basket["refunded_amount"]):
                    paid_back = money(basket["refunded_amount"])
                    if related and basket["refunded_at"] and money_is_theirs:
                        active = [each for each in related if _is_active(each)]
                        paid_back -= sum(money(each["price"]) for each in active)
            show = self.shows.get(basket["show_id"])
            starts = (show["start_date"] or show["open_date"]) if show else None
            sold_on = self._day(order["payed_at"])
            show_date = self._day(starts) if starts else None
            event = self.events.get(order["event_id"])
            utm = order["utm"] or {}
            yield {
                "order_id": order["id"],
                "ticket_id": basket["id"],
                "event_id": str(order["event_id"]),
                "show_id": basket["show_id"],
                "city": city_of(event),
                "currency": order["currency_id"],
                "buyer": order["client_id"] or None,
                "ticket_state": state,
                "quantity": 0 if main else basket["quantity"],
                "entrances": 0 if related else basket["quantity"],
                "amount": amount,
                "discount_amount": money(basket["discount_value"]) * quantity,
                "service_fee_amount": money(basket["service_fee_amount"]) * quantity,
                "refund_deduction_amount": money(basket["refunded_deduction_amount"]),
                "paid_back_amount": paid_back,
                "sales_date": str(sold_on),
                "sale_ts": self._time(order["payed_at"]),
                "refund_ts": self._time(refunded),
                "cancellation_ts": self._time(
                    vanished.isoformat()
                    if vanished and state == "vanished"
                    else ended
                    if state in ("cancelled", "exchanged")
                    else None
                ),
                "scan_ts": self._time(basket["checked_at"]),
                "show_date": str(show_date) if show_date else None,
                "days_before_show": (show_date - sold_on).days if show_date else None,
                "payment_type": order["payment_type_id"] or "",
                "site_id": order["site_id"] or 0,
                "is_box_office": int(bool(order["backend_user_id"])),
                "tariff": basket["multiprice_code"] or "",
                "is_free": int(has_amount and not main and money(basket["price"]) == 0),
                "is_season_ticket": int(bool(related)),
                "main_ticket_id": main["id"] if main else 0,
                "promo_code_id": order["promo_code_id"] or 0,
                "discount_id": order["discount_id"] or 0,
                **{name: utm.get(name) or "" for name in UTM},
                **self._in_the_city(event, order["payed_at"], basket["checked_at"]),
            }

    def _in_the_city(self, event: Row | None, sold: str, scanned: str | None) -> Row:
        """Return the hours and weekdays of a ticket in the time zone of its event's city."""
        zone = self._zone_of(event)
        found: Row = {"time_zone": zone.key}
        for name, text in (("sale", sold), ("scan", scanned)):
            local = _moment(text).astimezone(zone) if text else None
            found[f"{name}_local_hour"] = local.hour if local else None
            found[f"{name}_local_weekday"] = local.isoweekday() if local else None
        return found

    def _zone_of(self, event: Row | None) -> ZoneInfo:
        name = ((event or {}).get("city") or {}).get("timezone")
        return ZoneInfo(name) if name else self._zone

    def _local(self, text: str) -> datetime:
        return datetime.fromisoformat(text).astimezone(self._zone)

    def _day(self, text: str) -> date:
        return self._local(text).date()

    def _time(self, text: str | None) -> str | None:
        return f"{self._local(text):%Y-%m-%d %H:%M:%S}" if text else None

    # Facts --------------------------------------------------------------------------------------

    def _grouped(self, *keys: str) -> dict[tuple[Any, ...], list[Row]]:
        groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for ticket in self.tickets:
            groups[tuple(ticket[key] for key in keys)].append(ticket)
        return groups

    def sales(self, *keys: str) -> Facts:
        """Return the measures of the sales facts by `keys`."""
        return {key: _measures(rows) for key, rows in self._grouped(*keys).items()}

    def attendance(self) -> Facts:
        """Return `fact_qtickets_attendance` by show, event and city."""
        facts = {}
        for key, rows in self._grouped("show_id", "event_id", "city").items():
            sold = [row for row in rows if row["ticket_state"] == "sold"]
            scanned = [row for row in sold if row["scan_ts"]]
            if not _sum(sold, "entrances") and _sum(sold, "quantity"):
                continue
            facts[key] = {
                "tickets_sold": _sum(sold, "entrances"),
                "tickets_scanned": _sum(scanned, "entrances"),
                "first_scan_ts": min((row["scan_ts"] for row in scanned), default=None),
                "last_scan_ts": max((row["scan_ts"] for row in scanned), default=None),
            }
        return facts

    def ledger(self) -> Facts:
        """Return `fact_qtickets_ledger_daily` by date, type, event, city and currency."""
        facts: Facts = defaultdict(lambda: {"tickets": 0, "amount": Decimal(0)})

        def enter(row: Row, day: str, kind: str, tickets: int, amount: Decimal) -> None:
            fact = facts[day[:10], kind, row["event_id"], row["city"], row["currency"]]
            fact["tickets"] += tickets
            fact["amount"] += amount

        for row in self.tickets:
            enter(row, row["sales_date"], "sale", row["quantity"], row["amount"])
            if row["ticket_state"] == "sold":
                continue
            ended = row["refund_ts"] or row["cancellation_ts"]
            entry = ENTRIES[row["ticket_state"]]
            enter(row, ended, entry, -row["quantity"], -row["amount"])
            if entry == "refund" and row["amount"] != row["paid_back_amount"]:
                kept = row["amount"] - row["paid_back_amount"]
                enter(row, ended, "refund_retained", 0, kept)
        return dict(facts)

    def utm_view(self) -> Facts:
        """Return `v_qtickets_sales_utm_daily` by all its keys, with the name of the channel."""
        keys = ("sales_date", "event_id", "city", "currency", *UTM)
        return {
            key: {
                "utm_group": str(key[4]).strip().lower() or "unknown",
                "tickets_sold": fact["tickets_sold"],
                "revenue": fact["revenue"],
            }
            for key, fact in self.sales(*keys).items()
        }

    def plan_and_sales(
        self, plan: Mapping[tuple[str, str, str, str], tuple[int, Decimal]]
    ) -> Facts:
        """Return `v_plan_vs_fact` by date, event, city and currency, without the percentages.

        Args:
            plan: Tickets and revenue above 0, by the same keys.
        """
        sales = self.sales("sales_date", "event_id", "city", "currency")
        facts = {}
        for key in sales.keys() | plan.keys():
            tickets, revenue = plan.get(key, (0, Decimal(0)))
            sold = sales.get(key, {"tickets_sold": 0, "revenue": Decimal(0)})
            days = [day for day, *place in plan if place == list(key[1:])]
            facts[key] = {
                "plan_tickets": tickets,
                "plan_revenue": revenue,
                "fact_tickets": sold["tickets_sold"],
                "fact_revenue": sold["revenue"],
                "diff_tickets": sold["tickets_sold"] - tickets,
                "diff_revenue": sold["revenue"] - revenue,
                "is_planned": int(bool(days) and min(days) <= key[0] <= max(days)),
            }
        return facts

    def refunds(self) -> Facts:
        """Return `fact_qtickets_refunds_daily` by date, event, city and currency."""
        groups: dict[tuple[Any, ...], list[Row]] = defaultdict(list)
        for row in self.tickets:
            if row["ticket_state"] == "refunded":
                key = (row["refund_ts"][:10], row["event_id"], row["city"], row["currency"])
                groups[key].append(row)
        return {
            key: {
                "tickets_refunded": _sum(rows, "quantity"),
                "orders": len({row["order_id"] for row in rows}),
                "refunded_amount": _sum(rows, "amount"),
                "refund_deduction_amount": _sum(rows, "refund_deduction_amount"),
                "paid_back_amount": _sum(rows, "paid_back_amount"),
                "first_sales_date": min(row["sales_date"] for row in rows),
                "last_sales_date": max(row["sales_date"] for row in rows),
            }
            for key, rows in groups.items()
        }

    def promo(self) -> Facts:
        """Return `fact_qtickets_promo_daily` by date, event, city, code, discount and currency."""
        keys = ("sales_date", "event_id", "city", "promo_code_id", "discount_id", "currency")
        facts = {}
        for key, rows in self._grouped(*keys).items():
            used = [r for r in rows if key[3] or key[4] or r["discount_amount"] > 0]
            if used:
                measures = _measures(used)
                facts[key] = {
                    "uses": len({row["order_id"] for row in used}),
                    **{n: measures[n] for n in ("tickets_sold", "revenue", "discount_amount")},
                }
        return facts

    def buyers(self) -> list[Row]:
        """Return the rows of `dim_buyers`, without the hashes."""
        found = []
        for (buyer,), rows in self._grouped("buyer").items():
            if buyer is None:
                continue
            measures = _measures(rows)
            orders, currencies = measures["orders"], {row["currency"] for row in rows}
            single = len(currencies) == 1
            scans = [row["scan_ts"] for row in rows if row["scan_ts"]]
            found.append(
                {
                    "first_order_ts": min(row["sale_ts"] for row in rows),
                    "last_order_ts": max(row["sale_ts"] for row in rows),
                    "orders": orders,
                    "tickets_sold": measures["tickets_sold"],
                    "events": len({row["event_id"] for row in rows}),
                    "kind": "none" if not orders else "new" if orders == 1 else "returning",
                    "orders_ever": len({row["order_id"] for row in rows}),
                    "currency": next(iter(currencies)) if single else "",
                    "revenue": measures["revenue"] if single else None,
                    "refunded_amount": measures["refunded_amount"] if single else None,
                    "tickets_refunded": measures["tickets_refunded"],
                    "first_visit_ts": min(scans, default=None),
                    "last_visit_ts": max(scans, default=None),
                }
            )
        return found

    # Curves -------------------------------------------------------------------------------------

    def pace(self, now: datetime) -> Facts:
        """Return `fact_qtickets_sales_pace` by show, currency and day; shares are rounded by it."""
        curves = list(self._curves(now))
        facts: Facts = {}
        for curve in curves:
            others = [
                other
                for other in curves
                if other["show_id"] != curve["show_id"] and other["currency"] == curve["currency"]
            ]
            like = {
                "event": [other for other in others if other["event_id"] == curve["event_id"]],
                "city": [other for other in others if other["city"] == curve["city"]],
            }
            past = {
                kind: [other for other in found if other["is_over"] and other["is_complete"]]
                for kind, found in like.items()
            }
            kind = next((kind for kind in like if len(past[kind]) >= 3), "none")
            for day, (sold, revenue, so_far, revenue_so_far) in curve["days"].items():
                shares = [other["days"][day][2] / other["final"] for other in past.get(kind, ())]
                facts[curve["show_id"], curve["currency"], day] = {
                    "event_id": curve["event_id"],
                    "city": curve["city"],
                    "tickets_sold": sold,
                    "revenue": revenue,
                    "tickets_so_far": so_far,
                    "revenue_so_far": revenue_so_far,
                    "is_over": int(curve["is_over"]),
                    "compared_with": kind,
                    "compared_shows": len(shares),
                    "left_out_shows": sum(
                        other["is_over"] and not other["is_complete"]
                        for other in like["city" if kind == "none" else kind]
                    ),
                    "usual_share": sum(shares) / len(shares) if shares else None,
                }
        return facts

    def _curves(self, now: datetime) -> Iterator[Row]:
        """Yield each show and currency that sold, with day: (tickets, revenue, both so far)."""
        today = now.astimezone(self._zone).date()
        first_loaded = min(date.fromisoformat(row["sales_date"]) for row in self.tickets)
        daily: dict[tuple[int, str], list[tuple[date, Row]]] = defaultdict(list)
        for (day, show_id, _, _, currency), fact in self.sales(
            "sales_date", "show_id", "event_id", "city", "currency"
        ).items():
            daily[show_id, currency].append((date.fromisoformat(day), fact))
        for (show_id, currency), sales in daily.items():
            show = self.shows.get(show_id)
            event = self.events[show["event_id"]] if show else None
            if not show or not event or show["deleted_at"] or event["deleted_at"]:
                continue
            if not (starts := show["start_date"] or show["open_date"]):
                continue
            last_day = max(self._day(_end(show)), self._day(starts))
            is_over = _moment(_end(show)) < now
            sold: dict[int, list[Any]] = defaultdict(lambda: [0, Decimal(0)])
            for day, fact in sales:
                if fact["tickets_sold"]:
                    counted = sold[min(max((last_day - day).days, 0), 180)]
                    counted[0] += fact["tickets_sold"]
                    counted[1] += fact["revenue"]
            if not sold:
                continue
            days, so_far, revenue_so_far = {}, 0, Decimal(0)
            first = 0 if is_over else max((last_day - today).days, 0)
            for number in range(180, first - 1, -1):
                tickets, revenue = sold[number]
                so_far += tickets
                revenue_so_far += revenue
                days[number] = (tickets, revenue, so_far, revenue_so_far)
            known = [day for day, _ in sales if day < today]
            announced = show["sale_start_date"]
            on_sale = self._day(announced) if announced else min(known, default=None)
            margin = timedelta(0 if announced else 7)
            yield {
                "show_id": show_id,
                "currency": currency,
                "event_id": str(show["event_id"]),
                "city": city_of(event),
                "days": days,
                "final": so_far,
                "is_over": is_over,
                "is_complete": bool(known and on_sale and on_sale >= first_loaded + margin),
            }

    # Dimensions ---------------------------------------------------------------------------------

    def events_over(self, now: datetime) -> Facts:
        """Return dates and state of the listed events, by event."""
        facts = {}
        for id_, event in self.events.items():
            shows = [show for show in event["shows"] if not show["deleted_at"]]
            starts = [text for show in shows if (text := show["start_date"] or show["open_date"])]
            ends = [text for show in shows if (text := _end(show))]
            open_shows = [s for s in shows if not _end(s) or _moment(_end(s)) >= now]
            facts[str(id_),] = {
                "event_name": event["name"],
                "city": city_of(event),
                "start_date": str(min(map(self._day, starts))) if starts else None,
                "end_date": str(max(map(self._day, ends))) if ends else None,
                "currency": event["currency_id"],
                "is_deleted": int(bool(event["deleted_at"])),
                "is_over": int(bool(shows) and not open_shows),
                "venue": (event["place_name"] or "").strip(),
                "venue_address": (event["place_address"] or "").strip(),
                "event_type_id": event["event_type_id"] or 0,
                "age": event["age"] or "",
                "time_zone": self._zone_of(event).key,
            }
        return facts

    def show_times(self, now: datetime) -> Facts:
        """Return times and state of the shows, by show."""
        return {
            (id_,): {
                "event_id": str(show["event_id"]),
                "city": city_of(self.events[show["event_id"]]),
                "start_ts": self._time(start := show["start_date"] or show["open_date"]),
                "end_ts": self._time(_end(show)),
                "time_zone": (zone := self._zone_of(self.events[show["event_id"]])).key,
                "start_local": f"{_moment(start).astimezone(zone):%Y-%m-%d %H:%M}"
                if start
                else None,
                "is_deleted": int(
                    bool(show["deleted_at"] or self.events[show["event_id"]]["deleted_at"])
                ),
                "is_over": int(bool(_end(show)) and _moment(_end(show)) < now),
            }
            for id_, show in self.shows.items()
        }


def _with_related(baskets: list[Row]) -> tuple[list[Row], dict[int, int]]:
    """Return all tickets of an order, nested ones included, and main tickets by related ones."""
    found, main_of = list(baskets), {}
    listed = {basket["id"] for basket in baskets}
    for main in baskets:
        for related in main["related_baskets"] or ():
            id_ = related["id"] if isinstance(related, dict) else related
            main_of[id_] = main["id"]
            if id_ not in listed:
                found.append(related)
    return found, main_of


def _is_active(basket: Row) -> bool:
    return not basket["refunded_at"] and not basket["deleted_at"]


def _last(texts: Iterable[str | None]) -> str | None:
    return max((text for text in texts if text), key=_moment, default=None)


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


def _end(show: Row) -> str:
    return show["finish_date"] or show["start_date"] or show["open_date"] or ""


def _sum(rows: Iterable[Row], name: str) -> Any:
    return sum((row[name] for row in rows), Decimal(0) if name.endswith("amount") else 0)


def _measures(rows: list[Row]) -> Row:
    states: Callable[..., list[Row]] = lambda *names: [  # noqa: E731
        row for row in rows if row["ticket_state"] in names
    ]
    sold, refunded = states("sold"), states("refunded")
    cancelled = states("cancelled", "exchanged", "vanished")
    return {
        "tickets_sold": _sum(sold, "quantity"),
        "revenue": _sum(sold, "amount"),
        "orders": len({row["order_id"] for row in sold}),
        "gross_revenue": _sum(rows, "amount"),
        "discount_amount": _sum(sold, "discount_amount"),
        "service_fee_amount": _sum(sold, "service_fee_amount"),
        "refunded_amount": _sum(refunded, "amount"),
        "tickets_refunded": _sum(refunded, "quantity"),
        "cancelled_amount": _sum(cancelled, "amount"),
        "tickets_cancelled": _sum(cancelled, "quantity"),
        "refund_deduction_amount": _sum(refunded, "refund_deduction_amount"),
    }


def as_text(rows: Iterable[Row]) -> list[str]:
    """Return rows in an order that does not depend on keys, to compare them as a multiset."""
    return sorted(json.dumps(row, default="{:.2f}".format, sort_keys=True) for row in rows)
