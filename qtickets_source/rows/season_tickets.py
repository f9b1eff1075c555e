"""Season tickets: a main ticket and its related ones, one for each show, as rows of one order.

The documentation leaves open whether `related_baskets` holds ids or objects, and whether the
related tickets are listed among the order's tickets as well. Here each related ticket becomes one
row that names its main ticket, whichever way it came.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from ..api.decoding import Record

Row = dict[str, Any]


@dataclass
class Ticket:
    """A ticket of an order.

    Attributes:
        row: The service's object.
        main_ticket_id: The season ticket to which it belongs, if any.
        related_tickets: Number of tickets that belong to it.
    """

    row: Any
    main_ticket_id: Any = None
    related_tickets: int | None = None


def with_related_tickets(tickets: Sequence[Any]) -> list[Ticket]:
    """Return an order's tickets, and the related ones that are not listed among them."""
    found = [Ticket(ticket) for ticket in tickets]
    if not any(map(_related, tickets)):
        return found
    listed = {str(ticket.get("id")): place for place, ticket in enumerate(tickets)}
    for main in found[: len(tickets)]:
        related = _related(main.row)
        for one in related:
            id_ = one.get("id") if isinstance(one, dict) else one
            place = listed.get(str(id_))
            if place is not None:
                found[place].main_ticket_id = main.row.get("id")
            elif isinstance(one, dict):
                listed[str(id_)] = len(found)
                found.append(Ticket(_completed(one, main.row), main.row.get("id")))
        if related:
            main.related_tickets = len(related)
    return found


def _related(ticket: Any) -> list[Any]:
    """Return the related tickets of a ticket, as ids or objects that have one."""
    # Pages with season tickets do not come as records.
    value = None if isinstance(ticket, Record) else ticket.get("related_baskets")
    items = list(value.values()) if isinstance(value, dict) else value
    if not isinstance(items, list):
        return []
    return [item for item in items if (item.get("id") if isinstance(item, dict) else item)]


def _completed(related: Row, main: Row) -> Row:
    """Return a related ticket with what it need not carry: one ticket, without a price."""
    completed = dict(related)
    for name, value in (("quantity", 1), ("price", 0), ("show_id", main.get("show_id"))):
        if completed.get(name) is None:
            completed[name] = value
    return completed
