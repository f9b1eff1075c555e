"""Orders and tickets in chunks of consecutive orders, as numpy columns that a search reads."""

from collections.abc import Callable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sandbox.search.query import Column, Condition, to_units
from sandbox.world.bounded_cache import BoundedCache
from sandbox.world.order_payloads import Row
from sandbox.world.plan import FIRST_ORDER_ID
from sandbox.world.seeded_random import Ints
from sandbox.world.timelines import TICKET_CHANGES_WITHIN, TICKETS_PER_ID, OrderTimelines
from sandbox.world.visible_orders import VisibleOrders

CHUNK = 16_384
"""Orders computed at once: columns of this length fit into the processor's cache."""

TIMESTAMP_COLUMNS = frozenset((
    "payed_at", "created_at", "updated_at", "deleted_at", "reserved_to", "checked_at",
    "refunded_at",
))  # fmt: skip
MONEY_COLUMNS = frozenset(("price", "original_price", "discount_value"))


class OrderChunks:
    """The visible orders of a world, cut into chunks by their index."""

    def __init__(self, orders: VisibleOrders) -> None:
        self.orders, self.plan, self.edits = orders, orders.plan, orders.edits
        self._timelines = BoundedCache(8)
        self._starts = self.plan.demand.created(
            np.minimum(np.arange(0, self.plan.orders + CHUNK, CHUNK), self.plan.orders - 1)
        )

    def timelines(self, number: int, now: int) -> OrderTimelines:
        """Return the timelines of the orders of a chunk that have been made by `now`."""
        stop = min((number + 1) * CHUNK, self.orders.generated(now))
        key = (number, stop)
        if key not in self._timelines:
            index = np.arange(number * CHUNK, max(stop, number * CHUNK), dtype=np.int64)
            self._timelines.store(key, OrderTimelines(self.plan, index))
        found: OrderTimelines = self._timelines[key]
        return found

    def candidates(self, where: Sequence[Condition], now: int, within: int) -> list[int]:
        """Return the chunks that may contain matches, by the period and the ids of the filter.

        A generated order changes for at most `within` seconds after it was made. An edited order
        may change at any time, so its chunk is always a candidate.
        """
        first, last = 0, (self.orders.generated(now) - 1) // CHUNK
        for condition in where:
            if condition.operator not in ("=", "<", "<=", ">", ">="):
                continue
            if condition.column in TIMESTAMP_COLUMNS:
                timestamp = Column("timestamp", np.zeros(0)).convert_value(condition.value)
                if "<" not in condition.operator:
                    earliest = timestamp - within
                    first = max(first, int(np.searchsorted(self._starts, earliest)) - 1)
                if ">" not in condition.operator:
                    # Tickets are put into the basket up to a minute before the order is made.
                    last = min(
                        last, int(np.searchsorted(self._starts, timestamp + 60, "right")) - 1
                    )
            elif condition.column in ("id", "order_id"):
                value = float(Column("number", np.zeros(0)).convert_value(condition.value))
                per_order = TICKETS_PER_ID if within == TICKET_CHANGES_WITHIN else 1
                per_order = 1 if condition.column == "order_id" else per_order
                chunk = int(max(value / per_order - FIRST_ORDER_ID, 0) // self.plan.stride // CHUNK)
                first = max(first, chunk) if "<" not in condition.operator else first
                last = min(last, chunk) if ">" not in condition.operator else last
        return sorted({*range(max(first, 0), last + 1), *self._edited()})

    def _edited(self) -> set[int]:
        """Return the chunks of all edited orders."""
        return {self._chunk_of(order_id) for order_id in self.edits.ids()}

    def _chunk_of(self, order_id: int) -> int:
        return self.plan.index_of(order_id) // CHUNK

    def frozen(self, now: int, within: int) -> int:
        """Return how many chunks, counted from the oldest, can no longer change."""
        past = int(np.searchsorted(self._starts, now - within)) - 1
        return min([max(past, 0), *self._edited()])

    def edited_in(self, number: int, now: int) -> tuple[Ints, list[Row]]:
        """Return (ids of the edited and erased orders of a chunk, rows of the edited at `now`).

        An edit that is not yet in force leaves the order as generated.
        """
        rows = [row for row in self.edits.rows(now) if self._chunk_of(row["id"]) == number]
        erased = [id_ for id_ in self.edits.erased if self._chunk_of(id_) == number]
        return np.array([*(row["id"] for row in rows), *erased], dtype=np.int64), rows


class MergedChunk:
    """The generated rows of a chunk, with edited orders in place of the generated ones."""

    def __init__(
        self,
        generated: Callable[[str], NDArray[Any]],
        order_of: Ints,
        edited_orders: Ints,
        edited_rows: list[Row],
    ) -> None:
        self._generated, self._edited_rows = generated, edited_rows
        self._has_edits = len(edited_orders) > 0
        self._unedited = ~np.isin(order_of, edited_orders)
        keys = self._merged("id", 1)
        self._by_key = np.argsort(keys, kind="stable")
        self.keys: Ints = keys[self._by_key]

    def _merged(self, name: str, scale: int) -> NDArray[Any]:
        values = self._generated(name)
        if not self._has_edits:
            return values
        kind = "timestamp" if name in TIMESTAMP_COLUMNS else "number"
        added = [
            row[name] if values.dtype == object else to_units(row[name], kind, scale)
            for row in self._edited_rows
        ]
        return np.concatenate([values[self._unedited], np.array(added, dtype=values.dtype)])

    def column(self, name: str) -> Column:
        scale = 100 if name in MONEY_COLUMNS else 1
        values = self._merged(name, scale)
        if self._has_edits:
            values = values[self._by_key]
        text = "text" if values.dtype == object else "number"
        return Column("timestamp" if name in TIMESTAMP_COLUMNS else text, values, scale)


class RowsChunk:
    """A chunk of rows that are in memory; their positions are the keys."""

    def __init__(self, keys: Ints, column: Callable[[str], Column]) -> None:
        self.keys, self.column = keys, column
