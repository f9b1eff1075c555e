"""Changes made on purpose: a sale, refund, cancellation, restoration, scan or exchange.

Each is a function of an order's row that returns the changed row; `Changes` keeps the versions of
the rows so changed. An order that was once changed so lives by such changes alone.
"""

from bisect import bisect_right
from copy import deepcopy

from sandbox.world.orders import Row, mark_refunded
from sandbox.world.timestamps import iso


def is_live(ticket: Row) -> bool:
    """Neither cancelled nor refunded."""
    return ticket["deleted_at"] is None and ticket["refunded_at"] is None


def refunded(order: Row, moment: int, ticket_ids: list[int] | None, deduction: float) -> Row:
    """The order with these tickets (all, by default) refunded, the deduction shared out by price.

    As documented, refunded tickets are marked with `refunded_at` and stay in the list.
    """
    row = deepcopy(order)
    chosen = [
        ticket
        for ticket in row["baskets"]
        if is_live(ticket) and (ticket_ids is None or ticket["id"] in ticket_ids)
    ]
    if not row["payed"] or not chosen or (ticket_ids and len(chosen) < len(set(ticket_ids))):
        raise ValueError("only live tickets of a paid order can be refunded")
    sums = [round(ticket["price"] * 100) * ticket["quantity"] for ticket in chosen]
    left = round(deduction * 100)
    if left > sum(sums):
        raise ValueError("the deduction is more than was paid")
    for number, (ticket, paid) in enumerate(zip(chosen, sums, strict=True)):
        rest = sum(sums[number:])
        kept = paid * left // rest if rest else 0
        left -= kept
        mark_refunded(ticket, moment, paid, kept)
        ticket["updated_at"] = iso(moment)
        row["refunds"] += ticket["refunds"]
    row["updated_at"] = iso(moment)
    return row


def cancelled(order: Row, moment: int) -> Row:
    """The order cancelled with all its tickets; nothing is paid back."""
    if order["deleted_at"] is not None:
        raise ValueError("the order is cancelled already")
    row = deepcopy(order)
    row["deleted_at"] = row["updated_at"] = iso(moment)
    for ticket in row["baskets"]:
        if ticket["deleted_at"] is None:
            ticket["deleted_at"] = ticket["updated_at"] = iso(moment)
            if ticket["refunded_at"] is None:
                ticket["refunded_amount"] = ticket["refunded_deduction_amount"] = 0
    return row


def restored(order: Row, moment: int) -> Row:
    """The cancelled order alive again; the service refuses if anything was refunded."""
    if order["deleted_at"] is None or any(ticket["refunded_at"] for ticket in order["baskets"]):
        raise ValueError("only a cancelled order without refunds can be restored")
    row = deepcopy(order)
    row["deleted_at"], row["updated_at"] = None, iso(moment)
    for ticket in row["baskets"]:
        ticket["deleted_at"] = ticket["refunded_amount"] = None
        ticket["refunded_deduction_amount"], ticket["updated_at"] = None, iso(moment)
    return row


def scanned(order: Row, moment: int, ticket_id: int) -> Row:
    """A ticket scanned at the door. The order's `updated_at` stays, as seen."""
    row = deepcopy(order)
    ticket = next(ticket for ticket in row["baskets"] if ticket["id"] == ticket_id)
    if not row["payed"] or not is_live(ticket):
        raise ValueError("only a live ticket of a paid order can be scanned")
    ticket["checked_at"], ticket["updated_at"] = iso(moment), iso(moment + 3)
    return row


class Changes:
    """The changed and added orders: for each id its versions, oldest first."""

    def __init__(self) -> None:
        self.version = 0
        """Counts the changes, so that whoever remembers answers knows them to be old."""
        self._versions: dict[int, list[tuple[int, Row]]] = {}
        self.added: set[int] = set()
        """Ids of orders that aren't generated: sold or exchanged for on purpose."""

    def keep(self, row: Row, moment: int, added: bool = False) -> None:
        """Keeps a version of an order that is in force from `moment` on."""
        versions = self._versions.setdefault(row["id"], [])
        versions.append((moment, row))
        versions.sort(key=lambda version: version[0])
        if added:
            self.added.add(row["id"])
        self.version += 1

    def current(self, order_id: int, now: int) -> Row | None:
        """The changed row in force at `now`, None if there is none yet."""
        versions = self._versions.get(order_id, [])
        found = bisect_right(versions, now, key=lambda version: version[0])
        return versions[found - 1][1] if found else None

    def rows(self, now: int) -> list[Row]:
        """All changed rows in force at `now`."""
        rows = (self.current(order_id, now) for order_id in sorted(self._versions))
        return [row for row in rows if row is not None]

    def ids(self) -> list[int]:
        return sorted(self._versions)


def holds(order: Row) -> list[tuple[Row, bool]]:
    """The tickets of an order that hold a seat, each with whether it is paid."""
    return [(ticket, bool(order["payed"])) for ticket in order["baskets"] if is_live(ticket)]
