"""The JSON of an answer, numbers exactly as they were written.

Orders, of which there are millions, are decoded as `OrderRecord`s where they have the fields that
the service has always sent: none that is not known, none missing. What is withheld is then not even
looked at, which makes rows of a page in two thirds of the time. A page with anything else about it
comes as dicts. The rows are the same either way.
"""

import json
from collections.abc import Callable
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


def _record(name: str, table: RawTable, hashed: str, **nested: Any) -> Any:
    """The record of a table's row: it has all fields that make columns, and no unknown ones.

    Args:
        name: Of the class.
        table: Whose fields.
        hashed: The withheld field that becomes a hash; the others are skipped over.
        nested: Types of fields that become rows elsewhere.
    """
    needed = [c.name for c in table.field_columns if c.name not in table.occasional]
    fields: list[Any] = [
        *((field, Any) for field in needed),
        *((field, Any, None) for field in (*table.occasional, "_fetched_at", hashed)),
        *((field, msgspec.Raw, _SKIPPED) for field in table.withheld - {hashed}),
        *nested.items(),
    ]
    return msgspec.defstruct(
        name, fields, bases=(Record,), kw_only=True, gc=False, forbid_unknown_fields=True
    )


_SKIPPED = msgspec.Raw(b"null")

TicketRecord: Any = _record("TicketRecord", TICKETS, "barcode")
OrderRecord: Any = _record("OrderRecord", ORDERS, "client_id", baskets=list[TicketRecord])


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
