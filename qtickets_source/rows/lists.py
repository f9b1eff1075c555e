"""The lesser lists: discounts, promo codes, price shades, buyers, barcodes, partner tickets.

Every function takes rows that carry `_fetched_at`, and raises BadRow for a value that cannot be
read.
"""

import re
from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from ..privacy import hashes
from .context import RowContext
from .schema import (
    BARCODES,
    CLIENTS,
    DISCOUNTS,
    PARTNER_TICKETS,
    PRICE_SHADES,
    PROMO_CODES,
)
from .table import Fields, make_table

Row = dict[str, Any]


def discount_table(discounts: Sequence[Row], context: RowContext) -> pa.Table:
    """Return rows of `discounts`; the events and shows they apply to stay JSON text."""
    return make_table(DISCOUNTS, "discount", discounts, context)


def promo_code_table(codes: Sequence[Row], context: RowContext) -> pa.Table:
    """Return rows of `promo_codes`."""
    return make_table(PROMO_CODES, "promo code", codes, context)


def price_shade_table(shades: Sequence[Row], context: RowContext) -> pa.Table:
    """Return rows of `price_shades`: the colours of price zones on a seat plan."""
    return make_table(PRICE_SHADES, "price shade", shades, context)


def client_table(clients: Sequence[Row], context: RowContext) -> pa.Table:
    """Return buyers as hashes; the hash of the id is that of `orders.buyer_hash`."""
    details = [client.get("details") or {} for client in clients]
    return make_table(
        CLIENTS,
        "client",
        clients,
        context,
        _fetched_at=[client["_fetched_at"] for client in clients],
        id_hash=hashes(context.salt, "client", Fields(clients)["id"]),
        email_hash=hashes(
            context.salt, "email", [_normalized_email(c.get("email")) for c in clients]
        ),
        phone_hash=hashes(context.salt, "phone", [_digits(d.get("phone")) for d in details]),
    )


def barcode_table(show_id: int, tickets: Sequence[Row], context: RowContext) -> pa.Table:
    """Return the valid tickets of a show; the hash is that of `tickets.barcode_hash`."""
    return make_table(
        BARCODES,
        f"show {show_id}, ticket",
        tickets,
        context,
        show_id=[show_id] * len(tickets),
        barcode_hash=hashes(context.salt, "barcode", Fields(tickets)["barcode"]),
    )


def partner_ticket_table(tickets: Sequence[Row], context: RowContext) -> pa.Table:
    """Return tickets of the Partners API; the partner's own numbers become hashes."""
    return make_table(
        PARTNER_TICKETS,
        "partner ticket",
        tickets,
        context,
        barcode_hash=hashes(context.salt, "barcode", Fields(tickets)["barcode"]),
        external_order_hash=hashes(
            context.salt, "external order", Fields(tickets)["external_order_id"]
        ),
        external_hash=hashes(context.salt, "external", Fields(tickets)["external_id"]),
    )


def _normalized_email(text: Any) -> str | None:
    """Return an e-mail address in lower case, without blanks around it."""
    return str(text).strip().lower() if text else None


def _digits(text: Any) -> str | None:
    """Return the digits of a phone number."""
    return re.sub(r"\D", "", str(text)) if text else None
