"""Rows from answers with PHP's odd types, and with new, missing and changed fields."""

import json
from datetime import datetime, timezone
from typing import Any

import pytest

from qtickets_source.errors import BadRow
from qtickets_source.rows.context import RowContext
from qtickets_source.rows.events import event_tables
from qtickets_source.rows.orders import order_tables
from tests.support.paths import REAL_PAGES

Row = dict[str, Any]


@pytest.fixture
def context() -> RowContext:
    return RowContext(b"a salt for tests")


def live_rows(name: str) -> list[Row]:
    rows = json.loads((REAL_PAGES / f"{name}_page.json").read_text())["data"]
    return [{**row, "_fetched_at": datetime.now(timezone.utc)} for row in rows]


def test_a_list_that_came_as_an_object_is_the_same_list(context: RowContext) -> None:
    order, event = live_rows("orders")[4], live_rows("events")[4]
    as_objects = {**order, "baskets": {str(2 * n): t for n, t in enumerate(order["baskets"])}}
    event_as_objects = {**event, "shows": {str(n): s for n, s in enumerate(event["shows"])}}

    assert order_tables([as_objects], context) == order_tables([order], context)
    assert event_tables([event_as_objects], context) == event_tables([event], context)


@pytest.mark.parametrize("baskets", [None, "", [None], "tickets"])
def test_an_order_whose_tickets_cannot_be_read_is_named(baskets: Any, context: RowContext) -> None:
    order = {**live_rows("orders")[0], "baskets": baskets}

    with pytest.raises(BadRow, match=f"order {order['id']} "):
        order_tables([order], context)


def test_a_city_that_is_text_is_an_unknown_city(context: RowContext) -> None:
    event = {**live_rows("events")[0], "city": "Томск"}

    events, _ = event_tables([event], context)

    assert events["city_name"].to_pylist() == [None]


def test_a_field_that_is_no_longer_sent_is_reported_and_breaks_nothing(
    context: RowContext,
) -> None:
    orders = live_rows("orders")
    for order in orders:
        del order["site_id"]

    rows, _ = order_tables(orders, context)

    assert rows["site_id"].null_count == len(orders)
    assert context.findings.missing == {"orders.site_id"}


def test_fields_that_change_their_type_are_loaded_where_they_fit_and_reported(
    context: RowContext,
) -> None:
    orders, events = live_rows("orders"), live_rows("events")
    before, _ = order_tables(orders, context)
    _, shows_before = event_tables(events, context)
    assert context.findings.changed_types == set()

    for order in orders:
        order["price"] = str(order["price"])
        order["utm"] = "utm_source=mail"
        order["baskets"] = {str(place): row for place, row in enumerate(order["baskets"])}
    for event in events:
        event["shows"] = {str(place): row for place, row in enumerate(event["shows"])}
        event["city"] = "Томск"
    after, tickets = order_tables(orders, context)
    _, shows_after = event_tables(events, context)

    assert after["price"] == before["price"]
    assert tickets.num_rows > 0
    assert shows_after["id"] == shows_before["id"]
    assert context.findings.changed_types == {
        "orders.price (text)",
        "orders.utm (text)",
        "orders.baskets (object)",
        "events.shows (object)",
        "events.city (text)",
    }


def test_new_fields_that_differ_in_case_only_have_columns_of_their_own(
    context: RowContext,
) -> None:
    order = {**live_rows("orders")[0], "Price": "x", "loyalty": 1, "Loyalty": 2}

    rows, _ = order_tables([order], context)

    assert rows["price"].to_pylist() == [4]
    assert sorted(name for name in rows.column_names if "loyalty" in name) == [
        "loyalty",
        "loyalty_x",
    ]
    assert rows["price_x"].to_pylist() == ["x"]
