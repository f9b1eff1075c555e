"""Paid orders that cannot be read: they are left out of the tables until they can.

The orders are kept in the source's state, so they are committed together with the rows of the same
pages. A version of the order that was loaded earlier stays.
"""

from collections.abc import Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import pyarrow as pa

from ..errors import BadRow
from ..observations import Findings
from ..rows.columns import flag
from ..rows.context import RowContext
from ..rows.orders import order_tables
from ..rows.unreadable import split_unreadable

Row = dict[str, Any]

MOST_NEW = 100
"""Orders that one run puts into quarantine. If more cannot be read, the API has changed."""
MOST_ASKED_AGAIN = 50


class Quarantine:
    """The orders in quarantine.

    Args:
        orders: `{"reason": …, "since": …}` by order id, from the state.
        findings: Collects unpaid orders that cannot be read; no number depends on them.
    """

    def __init__(self, orders: Mapping[str, Mapping[str, Any]], findings: Findings) -> None:
        self._orders = {id_: dict(order) for id_, order in orders.items()}
        self._before = frozenset(self._orders)
        self._findings = findings

    def tables(
        self, orders: Sequence[Row], context: RowContext
    ) -> Iterator[tuple[pa.Table, pa.Table]]:
        """Yield the tables of the orders that can be read, and quarantine the others.

        Raises:
            BadRow: More than `MOST_NEW` orders cannot be read.
        """
        made, unreadable = split_unreadable(orders, lambda rows: order_tables(rows, context))
        for order, error in unreadable:
            self.add(order, error)
        for order_table, ticket_table in made:
            self.release(order_table["id"].to_pylist())
            yield order_table, ticket_table

    def add(self, order: Row, error: BadRow) -> None:
        """Put an order into quarantine; it may be there already.

        Raises:
            BadRow: It is one too many.
        """
        if not flag(order.get("payed")):
            self._findings.bad_rows.setdefault("orders", []).append(error.reason)
            return
        id_ = str(order["id"])
        since = self._orders.get(id_, {}).get("since") or order.get("_fetched_at")
        self._orders[id_] = {"reason": error.reason, "since": since}
        if len(self._orders.keys() - self._before) > MOST_NEW:
            raise BadRow(
                f"more than {MOST_NEW} paid orders cannot be read, so the API has changed. Nothing"
                f" was loaded. The first one: {error.reason}. Report it as a changed API.",
                error.reason,
            ) from error

    def release(self, ids: Sequence[int]) -> None:
        """Take orders out of quarantine: they have been read, or no longer exist."""
        for id_ in ids if self._orders else ():
            self._orders.pop(str(id_), None)

    @property
    def asked_again(self) -> list[int]:
        """The orders that each run asks for again, whether or not they have changed."""
        return sorted(map(int, self._orders))[:MOST_ASKED_AGAIN]

    def as_state(self) -> dict[str, dict[str, Any]]:
        """Return the orders for the next run."""
        return self._orders


def quarantined(state: Mapping[str, Any]) -> list[tuple[int, str, datetime]]:
    """Return (order id, reason, since) of the orders in quarantine, from the source's state."""
    orders: Mapping[str, Any] = state.get("quarantine", {})
    return [(int(id_), order["reason"], order["since"]) for id_, order in orders.items()]
