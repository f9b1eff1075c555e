"""Edits of single orders by a caller: sale, refund, cancellation, restoration, scan, exchange.

Each function takes the row of an order and returns the edited row; `Edits` stores the versions of
edited orders. After its first edit an order changes by further edits only.
"""

from bisect import bisect_right
from copy import deepcopy

from sandbox.world.order_payloads import Row, mark_refunded
from sandbox.world.timestamps import iso


def is_valid(ticket: Row) -> bool:
    """Return whether a ticket is neither cancelled nor refunded."""
    return ticket["deleted_at"] is None and ticket["refunded_at"] is None


def refund_order(order: Row, timestamp: int, ticket_ids: list[int] | None, deduction: float) -> Row:
    """Return the order with these tickets (by default all) refunded.

    The deduction is divided by price. As documented, refunded tickets get a `refunded_at` and stay
    in the list.

    Raises:
        ValueError: The order is unpaid, a ticket is not valid, or the deduction is too large.
    """
    row = deepcopy(order)
    chosen = [
        ticket
        for ticket in row["baskets"]
        if is_valid(ticket) and (ticket_ids is None or ticket["id"] in ticket_ids)
    ]
    if not row["payed"] or not chosen or (ticket_ids and len(chosen) < len(set(ticket_ids))):
        raise ValueError("only valid tickets of a paid order can be refunded")
    sums = [round(ticket["price"] * 100) * ticket["quantity"] for ticket in chosen]
    left = round(deduction * 100)
    if left > sum(sums):
        raise ValueError("the deduction is larger than the payment")
    for number, (ticket, paid) in enumerate(zip(chosen, sums, strict=True)):
        rest = sum(sums[number:])
        kept = paid * left // rest if rest else 0
        left -= kept
        mark_refunded(ticket, timestamp, paid, kept)
        ticket["updated_at"] = iso(timestamp)
        row["refunds"] += ticket["refunds"]
    row["updated_at"] = iso(timestamp)
    return row


def cancel_order(order: Row, timestamp: int) -> Row:
    """Return the order cancelled with all its tickets, without a refund.

    Raises:
        ValueError: The order is cancelled already.
    """
    if order["deleted_at"] is not None:
        raise ValueError("the order is cancelled already")
    row = deepcopy(order)
    row["deleted_at"] = row["updated_at"] = iso(timestamp)
    for ticket in row["baskets"]:
        if ticket["deleted_at"] is None:
            ticket["deleted_at"] = ticket["updated_at"] = iso(timestamp)
            if ticket["refunded_at"] is None:
                ticket["refunded_amount"] = ticket["refunded_deduction_amount"] = 0
    return row


def restore_order(order: Row, timestamp: int) -> Row:
    """Return a cancelled order restored.

    Raises:
        ValueError: It is not cancelled, or a ticket was refunded; the service refuses that too.
    """
    if order["deleted_at"] is None or any(ticket["refunded_at"] for ticket in order["baskets"]):
        raise ValueError("only a cancelled order without refunds can be restored")
    row = deepcopy(order)
    row["deleted_at"], row["updated_at"] = None, iso(timestamp)
    for ticket in row["baskets"]:
        ticket["deleted_at"] = ticket["refunded_amount"] = None
        ticket["refunded_deduction_amount"], ticket["updated_at"] = None, iso(timestamp)
    return row


def scan_ticket(order: Row, timestamp: int, ticket_id: int) -> Row:
    """Return the order with a ticket scanned. The order's own `updated_at` stays, as observed.

    Raises:
        ValueError: The order is unpaid, or the ticket is not valid.
    """
    row = deepcopy(order)
    ticket = next(ticket for ticket in row["baskets"] if ticket["id"] == ticket_id)
    if not row["payed"] or not is_valid(ticket):
        raise ValueError("only a valid ticket of a paid order can be scanned")
    ticket["checked_at"], ticket["updated_at"] = iso(timestamp), iso(timestamp + 3)
    return row


class Edits:
    """The versions of the edited and added orders, by id."""

    def __init__(self) -> None:
        self.version = 0
        """Number of edits so far, which invalidates cached results."""
        self._versions: dict[int, list[tuple[int, Row]]] = {}
        self.added: set[int] = set()
        """Ids of orders that are not generated: new sales, and replacements of exchanged orders."""
        self.erased: set[int] = set()
        """Ids of orders that no longer exist."""

    def add(self, row: Row, timestamp: int, added: bool = False) -> None:
        """Add a version of an order that is in force from `timestamp` on."""
        versions = self._versions.setdefault(row["id"], [])
        versions.append((timestamp, row))
        versions.sort(key=lambda version: version[0])
        if added:
            self.added.add(row["id"])
        self.version += 1

    def erase(self, order_id: int) -> None:
        """Remove an order as if it had never been."""
        self._versions.setdefault(order_id, [])
        self.erased.add(order_id)
        self.version += 1

    def current(self, order_id: int, now: int) -> Row | None:
        """Return the version of an order that is in force at `now`, None before its first edit."""
        versions = self._versions.get(order_id, [])
        found = bisect_right(versions, now, key=lambda version: version[0])
        return versions[found - 1][1] if found else None

    def rows(self, now: int) -> list[Row]:
        """Return the versions of all edited orders that are in force at `now`."""
        kept = sorted(self._versions.keys() - self.erased)
        rows = (self.current(order_id, now) for order_id in kept)
        return [row for row in rows if row is not None]

    def ids(self) -> list[int]:
        return sorted(self._versions)


def valid_tickets(order: Row) -> list[tuple[Row, bool]]:
    """Return the tickets of an order that occupy a seat, each with whether it is paid."""
    return [(ticket, bool(order["payed"])) for ticket in order["baskets"] if is_valid(ticket)]
