"""Tables: what can be listed, with the columns that a filter can name and the page sizes seen."""

from collections.abc import Callable, Iterable, Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sandbox.search.query import Column, Condition, column_of, in_units
from sandbox.search.search import Chunk, Memory
from sandbox.world.buyers import client_id, client_number, clients, clients_after
from sandbox.world.edits import Changes
from sandbox.world.orders import Row, order_rows
from sandbox.world.seeded_random import Ints
from sandbox.world.timelines import (
    FIRST_ORDER_ID,
    ORDER_CHANGES_WITHIN,
    TICKET_CHANGES_WITHIN,
    TICKETS_PER_ID,
    Blueprint,
    Lives,
)

CHUNK = 16_384
"""Orders worked out at once: columns of this length stay in the processor's cache."""

MOMENTS = frozenset((
    "payed_at", "created_at", "updated_at", "deleted_at", "reserved_to", "checked_at",
    "refunded_at",
))  # fmt: skip
MONEY = frozenset(("price", "original_price", "discount_value"))


class History:
    """The visible orders of a world: its generated ones, with those changed on purpose in place."""

    def __init__(self, plan: Blueprint, changes: Changes) -> None:
        self.plan, self.changes = plan, changes
        self._lives = Memory(8)
        self._chunk_starts = plan.demand.created(
            np.minimum(np.arange(0, plan.orders + CHUNK, CHUNK), plan.orders - 1)
        )

    def visible(self, now: int) -> int:
        """How many generated orders are made by `now`."""
        return self.plan.demand.made_by(now)

    def lives(self, number: int, now: int) -> Lives:
        """The lives of a chunk's orders made by `now`."""
        stop = min((number + 1) * CHUNK, self.visible(now))
        key = (number, stop)
        if key not in self._lives:
            index = np.arange(number * CHUNK, max(stop, number * CHUNK), dtype=np.int64)
            self._lives.keep(key, Lives(self.plan, index))
        found: Lives = self._lives[key]
        return found

    def chunk_of(self, order_id: int) -> int:
        return self.plan.index_of(order_id) // CHUNK

    def chunks(self, where: Sequence[Condition], now: int, within: int) -> list[int]:
        """Chunks that may hold matches: those of the orders made in the filter's stretch of time.

        Whatever happens to an order happens at most `within` seconds after it was made; orders
        changed on purpose may change at any time, so their chunks always stay.
        """
        first, last = 0, (self.visible(now) - 1) // CHUNK
        for condition in where:
            if condition.operator not in ("=", "<", "<=", ">", ">="):
                continue
            if condition.column in MOMENTS:
                moment = Column("moment", np.zeros(0)).coerced(condition.value)
                if "<" not in condition.operator:
                    earliest = moment - within
                    first = max(first, int(np.searchsorted(self._chunk_starts, earliest)) - 1)
                if ">" not in condition.operator:
                    # Tickets are put into the basket up to a minute before the order is made.
                    last = min(
                        last, int(np.searchsorted(self._chunk_starts, moment + 60, "right")) - 1
                    )
            elif condition.column in ("id", "order_id"):
                value = float(Column("number", np.zeros(0)).coerced(condition.value))
                per_order = TICKETS_PER_ID if within == TICKET_CHANGES_WITHIN else 1
                per_order = 1 if condition.column == "order_id" else per_order
                place = int(max(value / per_order - FIRST_ORDER_ID, 0) // self.plan.stride // CHUNK)
                first = max(first, place) if "<" not in condition.operator else first
                last = min(last, place) if ">" not in condition.operator else last
        numbers = set(range(max(first, 0), last + 1))
        numbers |= {self.chunk_of(order_id) for order_id in self.changes.ids()}
        return sorted(numbers)

    def settled(self, now: int, within: int) -> int:
        """How many chunks, from the oldest, nothing can happen to any more."""
        past = int(np.searchsorted(self._chunk_starts, now - within)) - 1
        changed = [self.chunk_of(order_id) for order_id in self.changes.ids()]
        return min([max(past, 0), *changed])

    def changed_in(self, number: int, now: int) -> tuple[Ints, list[Row]]:
        """(ids of the orders of a chunk that were ever changed, their rows at `now`).

        A changed row that isn't in force yet leaves its order as generated.
        """
        rows = [row for row in self.changes.rows(now) if self.chunk_of(row["id"]) == number]
        return np.array([row["id"] for row in rows], dtype=np.int64), rows

    def order_rows(self, ids: Sequence[int], now: int) -> list[Row]:
        """The orders with these ids as they are at `now`, in the order of the ids."""
        rows = {id_: self.changes.current(id_, now) for id_ in ids}
        generated = [id_ for id_ in ids if rows[id_] is None]
        index = [self.plan.index_of(id_) for id_ in generated]
        if index:
            rows |= zip(generated, order_rows(self.plan, index, now), strict=True)
        return [row for id_ in ids if (row := rows[id_]) is not None]

    def order(self, order_id: int, now: int) -> Row | None:
        """One order, None if there is none with this id by `now`."""
        row = self.changes.current(order_id, now)
        index = self.plan.index_of(order_id)
        if row is None and 0 <= index < self.visible(now):
            (found,) = order_rows(self.plan, [index], now)
            return found if found["id"] == order_id else None
        return row


class MergedChunk:
    """Generated rows of a chunk with the changed ones in their places."""

    def __init__(
        self,
        generated: Callable[[str], NDArray[Any]],
        order_of: Ints,
        changed_orders: Ints,
        changed_rows: list[Row],
    ) -> None:
        self._generated, self._changed = generated, changed_rows
        self._keep = ~np.isin(order_of, changed_orders)
        keys = self._merged("id", 1)
        self._line = np.argsort(keys, kind="stable")
        self.keys: Ints = keys[self._line]

    def _merged(self, name: str, scale: int) -> NDArray[Any]:
        values = self._generated(name)
        if not self._changed:
            return values
        kind = "moment" if name in MOMENTS else "number"
        added = [
            row[name] if values.dtype == object else in_units(row[name], kind, scale)
            for row in self._changed
        ]
        return np.concatenate([values[self._keep], np.array(added, dtype=values.dtype)])

    def column(self, name: str) -> Column:
        scale = 100 if name in MONEY else 1
        values = self._merged(name, scale)
        if self._changed:
            values = values[self._line]
        kind = "moment" if name in MOMENTS else "text" if values.dtype == object else "number"
        return Column(kind, values, scale)


class OrdersTable:
    """`/orders`, and what it has in common with the list of their tickets."""

    name, per_page, max_per_page = "orders", 50, 200
    within = ORDER_CHANGES_WITHIN
    names = frozenset((
        "id", "payed", "payed_at", "created_at", "updated_at", "deleted_at", "reserved_to",
        "reserve_extended", "event_id", "client_id", "discount_id", "promo_code_id",
        "original_price", "price", "currency_id",
    ))  # fmt: skip

    def __init__(self, history: History) -> None:
        self.history = history

    def version(self) -> int:
        return self.history.changes.version

    def columns(self) -> frozenset[str]:
        return self.names

    def chunks(self, where: Sequence[Condition], now: int, /) -> Iterable[int]:
        return self.history.chunks(where, now, self.within)

    def settled(self, now: int, /) -> int:
        return self.history.settled(now, self.within)

    def chunk(self, number: int, now: int, /) -> Chunk:
        lives = self.history.lives(number, now)
        changed = self.history.changed_in(number, now)
        return MergedChunk(lambda name: lives.column(name, now), lives.id, *changed)

    def rows(self, keys: list[int], now: int, /) -> list[Row]:
        return self.history.order_rows(keys, now)

    def get(self, id_: int, now: int) -> Row | None:
        return self.history.order(id_, now)


class TicketsTable(OrdersTable):
    """`/baskets`: all tickets, each with the `order_id` that it doesn't need inside an order."""

    name, per_page, max_per_page = "baskets", 100, 500
    within = TICKET_CHANGES_WITHIN
    names = frozenset((
        "id", "order_id", "show_id", "quantity", "price", "original_price", "discount_value",
        "checked_at", "created_at", "updated_at", "deleted_at", "refunded_at",
    ))  # fmt: skip

    def chunk(self, number: int, now: int, /) -> Chunk:
        lives = self.history.lives(number, now)
        changed, orders = self.history.changed_in(number, now)
        order_of = lives.ticket_column("order_id", now)
        return MergedChunk(
            lambda name: lives.ticket_column(name, now), order_of, changed, tickets_of(orders)
        )

    def rows(self, keys: list[int], now: int) -> list[Row]:
        order_ids = list(dict.fromkeys(key // TICKETS_PER_ID for key in keys))
        tickets = {row["id"]: row for row in tickets_of(self.history.order_rows(order_ids, now))}
        return [tickets[key] for key in keys]

    def get(self, id_: int, now: int) -> Row | None:
        order = self.history.order(id_ // TICKETS_PER_ID, now)
        found = (row for row in tickets_of([order] if order else []) if row["id"] == id_)
        return next(found, None)


def tickets_of(orders: list[Row]) -> list[Row]:
    """The tickets of orders, each with the id of its order."""
    return [{**ticket, "order_id": order["id"]} for order in orders for ticket in order["baskets"]]


class RowsChunk:
    """Rows at hand; their places are the keys."""

    def __init__(self, keys: Ints, column: Callable[[str], Column]) -> None:
        self.keys, self.column = keys, column


class ClientsTable(OrdersTable):
    """`/clients`: everyone who made an order so far. Only `id` can be filtered by."""

    name, per_page, max_per_page = "clients", 100, 500
    names = frozenset(["id"])

    def _count(self, now: int) -> int:
        return clients_after(self.history.visible(now))

    def chunks(self, _where: Sequence[Condition], now: int) -> Iterable[int]:
        return range(-(-self._count(now) // CHUNK))

    def settled(self, _now: int) -> int:
        return 0

    def chunk(self, number: int, now: int) -> Chunk:
        numbers = np.arange(number * CHUNK, min((number + 1) * CHUNK, self._count(now)))
        ids = client_id(self.history.plan.dice, numbers)
        return RowsChunk(ids, lambda _: Column("number", ids))

    def rows(self, keys: list[int], _now: int) -> list[Row]:
        return clients(self.history.plan.dice, [client_number(key) for key in keys])

    def get(self, id_: int, now: int) -> Row | None:
        number = client_number(id_)
        if not 0 <= number < self._count(now):
            return None
        (row,) = clients(self.history.plan.dice, [number])
        return row if row["id"] == id_ else None


class ListTable:
    """A short list: `rows_at(now)` gives its rows, `full` completes the ones that are served."""

    def __init__(
        self,
        name: str,
        per_page: int,
        columns: Iterable[str],
        rows_at: Callable[[int], list[Row]],
        full: Callable[[Row, int], Row] = lambda row, _now: row,
    ) -> None:
        self.name, self.per_page, self.max_per_page = name, per_page, per_page * 5
        self._names, self._rows_at, self._full = frozenset(columns), rows_at, full

    def version(self) -> int:
        return 0

    def columns(self) -> frozenset[str]:
        return self._names

    def chunks(self, _where: Sequence[Condition], _now: int) -> Iterable[int]:
        return [0]

    def settled(self, _now: int) -> int:
        return 0

    def chunk(self, _number: int, now: int) -> Chunk:
        rows = self._rows_at(now)
        keys = np.arange(len(rows), dtype=np.int64)
        return RowsChunk(keys, lambda name: column_of([row.get(name) for row in rows]))

    def rows(self, keys: list[int], now: int) -> list[Row]:
        rows = self._rows_at(now)
        return [self._full(rows[key], now) for key in keys]

    def get(self, id_: int, now: int) -> Row | None:
        found = (row for row in self._rows_at(now) if row["id"] == id_)
        return next((self._full(row, now) for row in found), None)
