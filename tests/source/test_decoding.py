"""Orders decoded as records give the same rows as orders decoded as dicts, for any values."""

import json
from collections.abc import Callable
from datetime import datetime, timezone
from decimal import Decimal
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from qtickets_source.api.decoding import Record, decode_json
from qtickets_source.errors import BadRow
from qtickets_source.observations import Findings
from qtickets_source.rows.context import RowContext
from qtickets_source.rows.order_records import OrderRecord, TicketRecord, decode_order_page
from qtickets_source.rows.orders import order_tables
from sandbox import World
from tests.support.paths import REAL_PAGES

NOW = datetime(2026, 6, 15, tzinfo=timezone.utc)
ORDERS = World(orders=30, seed=5, start="2026-01-01", end="2026-06-01", now=NOW).orders()
ORDER_FIELDS = sorted({name for order in ORDERS for name in order})
TICKET_FIELDS = sorted({name for order in ORDERS for ticket in order["baskets"] for name in ticket})

ODD = [
    *("null", '""', "[]", "{}", "0", "1", "-1", "true", "false", '"0"', '"text"', "7.10", "7.125"),
    *("1e2", '"762.50"', "12345678901234567890123", '"NaN"', "NaN", "[1]", '{"ru": "Имя"}'),
    *('"2025-11-03T18:41:20+03:00"', '"2025-11-03T18:41:20"', '"9999-12-31T00:00:00+03:00"'),
    *('"half \\ud800"', '[{"uniqid": "secret", "mail": "a@b.ru", "id": 1, "price": 1.50}]', "-0"),
]


def page_of(orders: list[dict[str, Any]]) -> bytes:
    paging = {"perPage": 50, "currentPage": 1, "total": len(orders)}
    return json.dumps({"data": orders, "paging": paging}, ensure_ascii=False).encode()


def odd_page(place: int, of_ticket: bool, name: str, value: str | None) -> bytes:
    """Return a page with one odd field in an order or its first ticket.

    Args:
        value: The JSON of the field; None removes the field.
    """
    orders = json.loads(json.dumps(ORDERS))
    row = orders[place]["baskets"][0] if of_ticket else orders[place]
    if value is None:
        row.pop(name, None)
    else:
        row[name] = "<odd>"
    return page_of(orders).replace(b'"<odd>"', (value or "").encode())


def outcome(content: bytes, decode: Any) -> tuple[Any, Findings]:
    """Return the tables of a page, or the text of the error, and the findings."""
    context = RowContext(b"a salt for tests")
    rows = decode(content)["data"]
    for row in rows:
        row["_fetched_at"] = NOW
    try:
        return order_tables(rows, context), context.findings
    except BadRow as error:
        return str(error), context.findings


def test_live_pages_are_read_as_records() -> None:
    content = (REAL_PAGES / "orders_page.json").read_bytes()

    assert all(isinstance(row, Record) for row in decode_order_page(content)["data"])
    assert outcome(content, decode_order_page) == outcome(content, decode_json)


def test_records_look_for_fields_in_the_order_in_which_they_are_sent() -> None:
    orders = json.loads((REAL_PAGES / "orders_page.json").read_bytes())["data"]
    tickets = [ticket for order in orders for ticket in order["baskets"]]

    for record, rows in ((OrderRecord, orders), (TicketRecord, tickets)):
        for row in rows:
            assert [name for name in record.__struct_fields__ if name in row] == list(row)


@given(
    place=st.integers(0, len(ORDERS) - 1),
    field=st.sampled_from([*ORDER_FIELDS, "new_field"]),
    of_ticket=st.sampled_from([None, *TICKET_FIELDS, "new_field"]),
    value=st.sampled_from([*ODD, None]),
)
@settings(max_examples=400, deadline=None)
def test_an_odd_value_has_the_same_outcome_as_record_and_as_dict(
    place: int, field: str, of_ticket: str | None, value: str | None
) -> None:
    name = of_ticket or field
    if name == "id":
        return  # Pages are rejected earlier if an id is not an integer.
    content = odd_page(place, bool(of_ticket), name, value)

    assert outcome(content, decode_order_page) == outcome(content, decode_json)


@pytest.mark.parametrize(
    "text",
    [
        *('{"a": 1, "a": 2}', "[1.10, 1E400, -0.0, -0, 0.1]", "12345678901234567890123"),
        *('"half \\ud800"', '"\\ud83d\\ude00"', "\ufeff[]", "[NaN]"),
    ],
)
def test_numbers_and_texts_are_decoded_as_by_pythons_own_decoder(text: str) -> None:
    expected = json.loads(text.encode(), parse_float=Decimal)

    assert repr(decode_json(text.encode())) == repr(expected)


@pytest.mark.parametrize("content", [b"", b"{", b'"\xff"', b"[1,]", b"<html>"])
def test_invalid_json_is_refused(content: bytes) -> None:
    for decode in (decode_json, decode_order_page):
        with pytest.raises(ValueError):
            decode(content)


def test_invalid_utf_8_is_reported_as_invalid_json() -> None:
    content = odd_page(3, False, "utm", '{"utm_term": "BROKEN"}').replace(b"BROKEN", b"\xff\xfe")

    rows = decode_order_page(content)["data"]

    # The value is decoded only when the tables need it.
    assert all(isinstance(row, Record) for row in rows)
    assert "a page of orders is not JSON: 'utf-8' codec" in outcome(content, decode_order_page)[0]


@pytest.mark.parametrize("decode", [decode_json, decode_order_page])
def test_json_that_is_nested_without_end_is_no_json(decode: Callable[[bytes], Any]) -> None:
    with pytest.raises(ValueError, match="nested too deeply"):
        decode(b'{"data": ' + b"[" * 200_000 + b"]" * 200_000 + b"}")
