"""The JSON of an answer, numbers exactly as they were written.

Orders, of which there are millions, are decoded as `OrderRecord`s where they have the fields that
the service has always sent: none that is not known, none missing. What is withheld is then not even
looked at, which makes rows of a page in six tenths of the time. A page with anything else about it
comes as dicts. The rows are the same either way.
"""

import json
from collections.abc import Callable, Sequence
from decimal import Decimal
from typing import Any

import msgspec

from .tables import ORDERS, TICKETS, RawTable

Decode = Callable[[bytes], Any]

_exact = msgspec.json.Decoder(float_hook=Decimal)


def decoded(content: bytes) -> Any:
    """The JSON value, as dicts, with `Decimal` for every number that has a point.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        return _exact.decode(content)
    except ValueError:
        # Half of a character, which a text that was cut in the middle may end in, a byte order
        # mark: Python's own takes some of what a strict decoder refuses.
        return json.loads(content, parse_float=Decimal)


class Record(msgspec.Struct, gc=False, forbid_unknown_fields=True, kw_only=True):
    """A row of the service by its fields; `row["name"]` and `row.get("name")` as for a dict."""

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def get(self, name: str) -> Any:
        return getattr(self, name, None)


ORDER_AS_SENT = tuple(
    "id uniqid payed payed_at client_id client site_id site payment_id payment_type_id"
    " payment_card_number payment_url cancel_url basket_user_id backend_user_id access_code_id"
    " discount_id promo_code_id reserved reserved_to reserve_extended event_id price"
    " original_price currency_id utm custom fields baskets refunds integrations created_at"
    " updated_at deleted_at".split()
)
TICKET_AS_SENT = tuple(
    "id series barcode show_id seat_id seat_name original_price ticket_original_price"
    " discount_value price ticket_amount service_fee_amount multiprice_code quantity client_email"
    " client_phone client_name client_surname client_middlename organization_name legal_name"
    " work_position inn kpp comment pdf_url passbook_url related_baskets services checked_at"
    " created_at updated_at deleted_at refunded_at refunded_amount refunded_deduction_amount"
    " refunds".split()
)
"""Fields in the order in which the service sends them. In another order they are decoded as well,
but a field is looked for from the last one on: found at once, a page takes two thirds of the time.
"""


def _record(name: str, table: RawTable, as_sent: Sequence[str], hashed: str, **nested: Any) -> Any:
    """The record of a table's row: it has all fields that make columns, and no unknown ones.

    Args:
        name: Of the class.
        table: Whose fields.
        as_sent: Their order.
        hashed: The withheld field that becomes a hash; the others are skipped over, and what
            stays JSON text is left as it was sent.
        nested: Types of fields that become rows elsewhere.
    """
    kept: dict[str, type] = {
        c.name: msgspec.Raw if c.kind == "json" else Any for c in table.field_columns
    }
    fields: list[Any] = [
        *((field, kind) for field, kind in kept.items() if field not in table.occasional),
        *((field, kept[field], _NULL) for field in table.occasional),
        *((field, Any, None) for field in ("_fetched_at", hashed)),
        *((field, msgspec.Raw, _NULL) for field in table.withheld - {hashed}),
        *nested.items(),
    ]
    places = {field: place for place, field in enumerate(as_sent)}
    fields.sort(key=lambda field: places.get(field[0], len(places)))
    return msgspec.defstruct(
        name, fields, bases=(Record,), kw_only=True, gc=False, forbid_unknown_fields=True
    )


_NULL = msgspec.Raw(b"null")

TicketRecord: Any = _record("TicketRecord", TICKETS, TICKET_AS_SENT, "barcode")
OrderRecord: Any = _record(
    "OrderRecord", ORDERS, ORDER_AS_SENT, "client_id", baskets=list[TicketRecord]
)


class _OrderPage(msgspec.Struct):
    data: list[OrderRecord]
    paging: dict[str, Any]


class OrderHead(Record, forbid_unknown_fields=False):
    """What of an order a page is checked by; the rest stays in the bytes of its page."""

    id: Any
    payed_at: Any
    _fetched_at: Any = None
    content: bytes = b""


class _HeadPage(msgspec.Struct):
    data: list[OrderHead]
    paging: dict[str, Any]


_orders = msgspec.json.Decoder(_OrderPage, float_hook=Decimal)
_heads = msgspec.json.Decoder(_HeadPage, float_hook=Decimal)


def order_page(content: bytes) -> Any:
    """A page of `/orders`, with records for rows if all are as ever, else as `decoded` has it.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        page = _orders.decode(content)
    except ValueError:
        return decoded(content)
    return {"data": page.data, "paging": page.paging}


def order_heads(content: bytes) -> Any:
    """A page of `/orders` with `OrderHead`s for rows, else as `decoded` has it.

    Raises:
        ValueError: It is no JSON.
    """
    try:
        page = _heads.decode(content)
    except ValueError:
        return decoded(content)
    for head in page.data:
        head.content = content
    return {"data": page.data, "paging": page.paging}
