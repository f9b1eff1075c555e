"""Orders and their tickets, as rows of `orders` and `tickets`."""

from collections.abc import Sequence
from itertools import chain
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import BadRow
from ..privacy import hashes
from .columns import as_rows, flag
from .context import RowContext
from .schema import ORDERS, TICKETS
from .season_tickets import Ticket, with_related_tickets
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
    baskets = [
        _without_doubles(order["id"], with_related_tickets(tickets))
        for order, tickets in zip(orders, _baskets(order_fields, context), strict=True)
    ]
    tickets = list(chain.from_iterable(baskets))
    ticket_fields = Fields([ticket.row for ticket in tickets])
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
        # Who sold it at the box office is a person, and is withheld.
        is_box_office=[_is_set(user) for user in order_fields["backend_user_id"]],
    )
    order_of_ticket = pa.array(
        (place for place, of_order in enumerate(baskets) for _ in of_order), pa.int32()
    )
    ticket_table = make_table(
        TICKETS,
        "ticket",
        ticket_fields,
        context,
        _fetched_at=order_table["_fetched_at"].take(order_of_ticket),
        order_id=order_table["id"].take(order_of_ticket),
        barcode_hash=hashes(context.salt, "barcode", ticket_fields["barcode"]),
        main_ticket_id=[ticket.main_ticket_id for ticket in tickets],
        related_tickets=[ticket.related_tickets for ticket in tickets],
    )
    _check_quantities(ticket_table)
    return order_table, ticket_table


def _without_doubles(order_id: Any, tickets: list[Ticket]) -> list[Ticket]:
    """Return the tickets of an order, checked to be different ones.

    Raises:
        BadRow: An id comes twice: one of the two would be lost.
    """
    ids = [str(ticket.row.get("id")) for ticket in tickets]
    if len(set(ids)) < len(ids):
        double = next(id_ for id_ in ids if ids.count(id_) > 1)
        raise BadRow(
            f"order {order_id}: ticket {double} comes twice. Nothing of the order was loaded.",
            f"order {order_id}: ticket {double} comes twice",
        )
    return tickets


def _is_set(user: Any) -> bool:
    """Return whether a withheld id was sent; in a record it is JSON."""
    if isinstance(user, msgspec.Raw):
        return bytes(user) not in (b"null", b"0", b'""')
    return flag(user)


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
