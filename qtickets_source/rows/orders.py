"""Orders and their tickets, as rows of `orders` and `tickets`."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import pyarrow as pa
import pyarrow.compute as pc

from ..errors import BadRow
from ..privacy import hashes
from .columns import as_rows
from .context import RowContext
from .schema import ORDERS, TICKETS
from .table import Fields, make_table, record_nested_type

Row = dict[str, Any]

LARGEST_QUANTITY = 1_000_000
"""Tickets of one row; the largest halls have a tenth of that."""


def order_tables(orders: Sequence[Row], context: RowContext) -> tuple[pa.Table, pa.Table]:
    """Return (rows of `orders`, rows of `tickets`) of orders that carry `_fetched_at`.

    Raises:
        BadRow: An order came without its tickets, or a value cannot be read.
    """
    order_fields = Fields(orders)
    baskets = _baskets(order_fields, context)
    ticket_fields = Fields(list(chain.from_iterable(baskets)))
    order_table = make_table(
        ORDERS,
        "order",
        order_fields,
        context,
        # 0 stands for no client; all such orders together are not one buyer.
        buyer_hash=hashes(
            context.salt, "client", [id_ or None for id_ in order_fields["client_id"]]
        ),
        baskets_count=list(map(len, baskets)),
        vanished_at=[None] * len(baskets),
    )
    order_of_ticket = pa.array(
        (place for place, tickets in enumerate(baskets) for _ in tickets), pa.int32()
    )
    ticket_table = make_table(
        TICKETS,
        "ticket",
        ticket_fields,
        context,
        _fetched_at=order_table["_fetched_at"].take(order_of_ticket),
        order_id=order_table["id"].take(order_of_ticket),
        barcode_hash=hashes(context.salt, "barcode", ticket_fields["barcode"]),
    )
    _check_quantities(ticket_table)
    return order_table, ticket_table


def _check_quantities(tickets: pa.Table) -> None:
    """Check the numbers of tickets: a negative one would become billions in an unsigned sum."""
    quantities = tickets["quantity"].combine_chunks()
    extremes = pc.min_max(quantities).as_py()
    if tickets.num_rows and (extremes["min"] < 0 or extremes["max"] > LARGEST_QUANTITY):
        wrong = pc.or_(pc.less(quantities, 0), pc.greater(quantities, LARGEST_QUANTITY))
        place = wrong.index(True).as_py()
        where = f"ticket {tickets['id'][place]}: `quantity`"
        raise BadRow(
            f"{where} is {quantities[place]}, not a number of tickets. Nothing was loaded.",
            f"{where} is not a number of tickets",
        )


def _baskets(orders: Fields, context: RowContext) -> list[list[Row]]:
    """Return the tickets of each order."""
    values = orders["baskets"]
    if orders.are_records:
        return values
    record_nested_type("orders.baskets", list, values, context)
    baskets = []
    for order, value in zip(orders.rows, values, strict=True):
        tickets = as_rows(value)
        if tickets is None:
            raise BadRow(
                f"order {order.get('id')} came without its tickets (`baskets`). Nothing was loaded:"
                " it would count as an order that sold nothing. Report it as a changed API.",
                f"order {order.get('id')}: `baskets` is not a list of tickets",
            )
        baskets.append(tickets)
    return baskets
