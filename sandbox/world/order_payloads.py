"""Rows of `/orders` with the fields of the live service, and their tickets in `baskets`."""

from base64 import b64encode
from collections.abc import Sequence
from typing import Any, NamedTuple

import numpy as np

from sandbox.world.buyers import clients
from sandbox.world.plan import WorldPlan
from sandbox.world.seeded_random import Ints
from sandbox.world.timelines import TICKETS_PER_ID, OrderTimelines
from sandbox.world.timestamps import NEVER, iso

Row = dict[str, Any]

SITE_ID, PAYMENT_ID = 1356, 12133
_CAMPAIGNS = (
    {"utm_source": "vk", "utm_medium": "posty", "utm_campaign": "anons2"},
    {"utm_source": "insta", "utm_medium": "opisanie", "utm_campaign": "profil"},
    {"utm_source": "yandex", "utm_medium": "cpc", "utm_campaign": "62384014",
     "utm_content": "10766679603", "utm_term": "афиша выставки"},
    {"utm_source": "yandex", "utm_medium": "cpc", "utm_campaign": "62384026",
     "utm_content": "10766679831", "utm_term": "куда сходить с детьми"},
    {"utm_source": "telegram", "utm_medium": "video", "utm_campaign": "organizovannaya"},
)  # fmt: skip


class Ticket(NamedTuple):
    """The data of a ticket: money in kopecks, times in seconds, NEVER for null."""

    id: int
    bits: int
    """64 random bits, from which its codes are made."""
    show_id: int
    seat_id: str
    seat_name: str
    original: int
    discount: int
    quantity: int
    created: int
    paid: int
    deleted: int
    refunded: int
    scanned: int
    updated: int


class Order(NamedTuple):
    """The data of an order, in the same units."""

    id: int
    bits: int
    client: Row
    event_id: int
    currency: str
    discount_id: int | None
    promo_code_id: int | None
    created: int
    paid: int
    updated: int
    deleted: int
    reserved_to: int
    extended: bool
    tickets: list[Ticket]


def amount(kopecks: int) -> int | float:
    """Return money as the service writes it: 343, or 343.5 if there are kopecks."""
    return kopecks // 100 if kopecks % 100 == 0 else kopecks / 100


def deduction_of(ticket_id: int, paid: int) -> int:
    """Return the deduction of a refund in kopecks: 10 % for every third order, else 0."""
    return paid // 1000 * 100 if ticket_id // TICKETS_PER_ID % 3 == 0 else 0


def _code(bits: int) -> str:
    """Return a code of ten letters and digits."""
    return b64encode(bits.to_bytes(8, "big"), b"qt")[:10].decode()


def order_row(order: Order) -> Row:
    """Return a row of `/orders`."""
    first = order.bits
    code, secret = _code(first), f"{first:016x}{first ^ order.id:016x}"
    paid = order.paid < NEVER
    total = sum(ticket.quantity * (ticket.original - ticket.discount) for ticket in order.tickets)
    payment = first % 100
    by_card = payment < 80
    company = _company(first) if first >> 8 & 127 == 0 else None
    tickets = [ticket_row(ticket, order.client, company) for ticket in order.tickets]
    return {
        "id": order.id,
        "uniqid": code,
        "payed": paid,
        "payed_at": iso(order.paid),
        "client_id": order.client["id"],
        "client": order.client,
        "site_id": SITE_ID,
        "site": {"id": SITE_ID, "host": "tickets.example.ru"},
        "payment_id": PAYMENT_ID,
        "payment_type_id": "card" if by_card else "4326371" if payment < 94 else "3449832",
        "payment_card_number": f"{400000 + first % 199999}******{first % 9973:04d}"
        if paid and by_card and total
        else None,
        "payment_url": f"https://qtickets.ru/pay/{code}",
        "cancel_url": f"https://qtickets.ru/cancel-order/{code}/{secret}",
        "basket_user_id": 5_000_000 + order.id // 5,
        "backend_user_id": None,
        "access_code_id": None,
        "discount_id": order.discount_id,
        "promo_code_id": order.promo_code_id,
        "reserved": False,
        "reserved_to": iso(order.reserved_to),
        "reserve_extended": order.extended,
        "event_id": order.event_id,
        "price": amount(total),
        "original_price": amount(sum(t.quantity * t.original for t in order.tickets)),
        "currency_id": order.currency,
        "utm": dict(_CAMPAIGNS[first % 5]) if first >> 16 & 15 < 9 else [],
        "custom": "",
        "fields": {"organization_name": company["organization_name"]} if company else [],
        "baskets": tickets,
        "refunds": [refund for ticket in tickets for refund in ticket["refunds"]],
        "integrations": [],
        "created_at": iso(order.created),
        "updated_at": iso(order.updated),
        "deleted_at": iso(order.deleted),
    }


def _company(bits: int) -> Row:
    number = bits % 10**7
    return {
        "organization_name": f"ООО Пример-{number}",
        "legal_name": f"Общество с ограниченной ответственностью Пример-{number}",
        "work_position": "бухгалтер",
        "inn": f"540{number:07d}",
        "kpp": f"54{number:07d}",
        "comment": f"Нужен счёт, телефон приёмной 8 (383) {number:07d}",
    }


_NO_COMPANY = dict.fromkeys(_company(0))


def ticket_row(ticket: Ticket, client: Row, company: Row | None) -> Row:
    """Return a row of an order's `baskets`. A ticket has a barcode once its order is paid."""
    details, bits = client["details"], ticket.bits
    paid = ticket.paid < NEVER
    code, secret = _code(bits), f"{bits:016x}{bits ^ 0x5DEECE66D1234567:016x}"
    price = ticket.original - ticket.discount
    row: Row = {
        "id": ticket.id,
        "series": "252092613",
        "barcode": f"87{bits % 10**10:010d}" if paid else None,
        "show_id": ticket.show_id,
        "seat_id": ticket.seat_id,
        "seat_name": ticket.seat_name,
        "original_price": amount(ticket.original),
        "ticket_original_price": amount(ticket.original),
        "discount_value": amount(ticket.discount),
        "price": amount(price),
        "ticket_amount": amount(price),
        "service_fee_amount": 0,
        "multiprice_code": None,
        "quantity": ticket.quantity,
        "client_email": client["email"],
        "client_phone": details["phone"],
        "client_name": details["name"],
        "client_surname": details["surname"] or "",
        "client_middlename": details["middlename"],
        **(company or _NO_COMPANY),
        "pdf_url": f"https://qtickets.ru/ticket/pdf/{code}/{secret}" if paid else None,
        "passbook_url": f"https://qtickets.ru/ticket/passbook/{code}/{secret[::-1]}"
        if paid
        else None,
        "related_baskets": [],
        "services": [],
        "checked_at": iso(ticket.scanned),
        "created_at": iso(ticket.created),
        "updated_at": iso(ticket.updated),
        "deleted_at": iso(ticket.deleted),
        "refunded_at": None,
        "refunded_amount": None if ticket.deleted == NEVER else 0,
        "refunded_deduction_amount": None if ticket.deleted == NEVER else 0,
        "refunds": [],
    }
    if ticket.refunded < NEVER:
        amount_paid = price * ticket.quantity
        mark_refunded(row, ticket.refunded, amount_paid, deduction_of(ticket.id, amount_paid))
    return row


def mark_refunded(row: Row, timestamp: int, paid: int, deduction: int) -> None:
    """Mark a ticket as refunded: `paid - deduction` kopecks were paid back."""
    row["refunded_at"] = iso(timestamp)
    row["refunded_amount"] = amount(paid - deduction)
    row["refunded_deduction_amount"] = amount(deduction)
    row["refunds"] = [
        {
            "id": row["id"] // 3,
            "basket_id": row["id"],
            "amount": amount(paid - deduction),
            "deduction_amount": amount(deduction),
            "created_at": iso(timestamp),
        }
    ]


def short_order(row: Row) -> Row:
    """Return the short form that `primary_orders` and `secondary_orders` contain."""
    names = (
        "id", "uniqid", "payed", "payed_at", "price", "original_price", "currency_id",
        "created_at", "updated_at", "deleted_at",
    )  # fmt: skip
    return {name: row[name] for name in names}


PLACES_IN_ROW = 25


def seat_of(zone: tuple[str, str], numbered: bool, places: int, bits: int) -> tuple[str, str]:
    """Return (seat_id, seat_name) of a random place of a zone, or of an admission zone."""
    slug, name = zone
    if not numbered:
        return f"{slug}-1;1", name
    row, place = divmod(bits % places, PLACES_IN_ROW)
    return f"{slug}-{row + 1};{place + 1}", f"{name}: Ряд {row + 1}, Место {place + 1}"


def order_rows(
    plan: WorldPlan, index: Sequence[int] | Ints, now: int, linked: bool = True
) -> list[Row]:
    """Return the orders with these indices as they are at `now`.

    Args:
        linked: Fill `primary_orders` and `secondary_orders` of exchanged orders.
    """
    timelines = OrderTimelines(plan, np.asarray(index, dtype=np.int64))
    if not len(timelines.index):
        return []
    tickets = _tickets(timelines, now)
    orders = zip(
        timelines.id.tolist(),
        plan.random.bits("order", timelines.id).tolist(),
        clients(plan.random, timelines.client.tolist()),
        timelines.column("event_id", now).tolist(),
        timelines.column("currency_id", now).tolist(),
        _nullable(timelines.column("discount_id", now)),
        _nullable(timelines.column("promo_code_id", now)),
        timelines.created.tolist(),
        timelines.column("payed_at", now).tolist(),
        timelines.updated_at(now).tolist(),
        timelines.deleted_at(now).tolist(),
        timelines.reserved_to.tolist(),
        timelines.extended.tolist(),
        (
            tickets[start : start + count]
            for start, count in zip(
                timelines.starts.tolist(), timelines.count.tolist(), strict=True
            )
        ),
        strict=True,
    )
    rows = [order_row(Order(*order)) for order in orders]
    if linked:
        _link_exchanges(timelines, rows, now)
    return rows


def _tickets(timelines: OrderTimelines, now: int) -> list[Ticket]:
    """Return the tickets of all orders, in the order of the orders."""
    plan, show, zone, order_of = (
        timelines.plan,
        timelines.ticket_show,
        timelines.zone,
        timelines.order_of,
    )
    ids = timelines.ticket_column("id", now)
    bits = plan.random.bits("ticket", ids).tolist()
    zones = [
        plan.schedule.shows[number].zones()[place]
        for number, place in zip(show.tolist(), zone.tolist(), strict=True)
    ]
    numbered = plan.numbered[show, zone].tolist()
    seats = map(seat_of, zones, numbered, plan.seats_planned[show, zone].tolist(), bits)
    seat_ids, seat_names = zip(*seats, strict=True)
    return list(
        map(
            Ticket,
            ids.tolist(),
            bits,
            plan.schedule.show_id[show].tolist(),
            seat_ids,
            seat_names,
            timelines.original_price.tolist(),
            timelines.discount_value.tolist(),
            timelines.quantity.tolist(),
            timelines.ticket_column("created_at", now).tolist(),
            timelines.column("payed_at", now)[order_of].tolist(),
            timelines.ticket_column("deleted_at", now).tolist(),
            timelines.ticket_column("refunded_at", now).tolist(),
            timelines.ticket_column("checked_at", now).tolist(),
            timelines.ticket_updated_at(now).tolist(),
        )
    )


def _link_exchanges(timelines: OrderTimelines, rows: list[Row], now: int) -> None:
    """Fill `primary_orders` and `secondary_orders` of exchanged orders and replacements."""
    linked = (timelines.exchanged & (timelines.outcome_at <= now)) | timelines.replacement
    gap = timelines.plan.exchange_gap
    others = (timelines.index + np.where(timelines.replacement, -gap, gap))[linked]
    for place, other in zip(
        np.flatnonzero(linked), order_rows(timelines.plan, others, now, linked=False), strict=True
    ):
        links = [[short_order(other)], []]
        old, new = links if timelines.replacement[place] else links[::-1]
        rows[place]["primary_orders"], rows[place]["secondary_orders"] = old, new


def _nullable(column: Ints) -> list[int | None]:
    return [value if value < NEVER else None for value in column.tolist()]
