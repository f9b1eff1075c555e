"""The lists of the API as searchable tables: their columns and page sizes."""

from collections.abc import Callable, Iterable, Sequence

import numpy as np

from sandbox.search.order_chunks import CHUNK, MergedChunk, OrderChunks, RowsChunk
from sandbox.search.paged_search import Chunk
from sandbox.search.query import Column, Condition, infer_column
from sandbox.world.buyers import client_id, client_number, clients, clients_after
from sandbox.world.order_payloads import Row
from sandbox.world.timelines import ORDER_CHANGES_WITHIN, TICKET_CHANGES_WITHIN, TICKETS_PER_ID


class OrdersTable:
    """The list `/orders`; the lists of tickets and buyers are derived from it."""

    name, per_page, max_per_page = "orders", 50, 200
    within = ORDER_CHANGES_WITHIN
    names = frozenset((
        "id", "payed", "payed_at", "created_at", "updated_at", "deleted_at", "reserved_to",
        "reserve_extended", "event_id", "client_id", "discount_id", "promo_code_id",
        "original_price", "price", "currency_id",
    ))  # fmt: skip

    def __init__(self, chunks: OrderChunks) -> None:
        self._chunks, self._orders = chunks, chunks.orders

    def version(self) -> int:
        return self._orders.edits.version

    def columns(self) -> frozenset[str]:
        return self.names

    def chunks(self, where: Sequence[Condition], now: int, /) -> Iterable[int]:
        return self._chunks.candidates(where, now, self.within)

    def frozen_chunks(self, now: int, /) -> int:
        return self._chunks.frozen(now, self.within)

    def chunk(self, number: int, now: int, /) -> Chunk:
        timelines = self._chunks.timelines(number, now)
        edited = self._chunks.edited_in(number, now)
        return MergedChunk(lambda name: timelines.column(name, now), timelines.id, *edited)

    def rows(self, keys: list[int], now: int, /) -> list[Row]:
        return self._orders.rows(keys, now)

    def get(self, id_: int, now: int, /) -> Row | None:
        return self._orders.row(id_, now)


class TicketsTable(OrdersTable):
    """The list `/baskets`: all tickets, each with the `order_id` that it lacks inside an order."""

    name, per_page, max_per_page = "baskets", 100, 500
    within = TICKET_CHANGES_WITHIN
    names = frozenset((
        "id", "order_id", "show_id", "quantity", "price", "original_price", "discount_value",
        "checked_at", "created_at", "updated_at", "deleted_at", "refunded_at",
    ))  # fmt: skip

    def chunk(self, number: int, now: int, /) -> Chunk:
        timelines = self._chunks.timelines(number, now)
        edited, orders = self._chunks.edited_in(number, now)
        order_of = timelines.ticket_column("order_id", now)
        return MergedChunk(
            lambda name: timelines.ticket_column(name, now), order_of, edited, tickets_of(orders)
        )

    def rows(self, keys: list[int], now: int, /) -> list[Row]:
        order_ids = list(dict.fromkeys(key // TICKETS_PER_ID for key in keys))
        tickets = {row["id"]: row for row in tickets_of(self._orders.rows(order_ids, now))}
        return [tickets[key] for key in keys]

    def get(self, id_: int, now: int, /) -> Row | None:
        order = self._orders.row(id_ // TICKETS_PER_ID, now)
        found = (row for row in tickets_of([order] if order else []) if row["id"] == id_)
        return next(found, None)


def tickets_of(orders: list[Row]) -> list[Row]:
    """Return the tickets of orders, each with the id of its order."""
    return [{**ticket, "order_id": order["id"]} for order in orders for ticket in order["baskets"]]


class ClientsTable(OrdersTable):
    """The list `/clients`: all buyers so far. `id` is the only column for filters."""

    name, per_page, max_per_page = "clients", 100, 500
    names = frozenset(["id"])

    def _count(self, now: int) -> int:
        return clients_after(self._orders.generated(now))

    def chunks(self, _where: Sequence[Condition], now: int, /) -> Iterable[int]:
        return range(-(-self._count(now) // CHUNK))

    def frozen_chunks(self, _now: int, /) -> int:
        return 0

    def chunk(self, number: int, now: int, /) -> Chunk:
        numbers = np.arange(number * CHUNK, min((number + 1) * CHUNK, self._count(now)))
        ids = client_id(self._orders.plan.random, numbers)
        return RowsChunk(ids, lambda _: Column("number", ids))

    def rows(self, keys: list[int], _now: int, /) -> list[Row]:
        return clients(self._orders.plan.random, [client_number(key) for key in keys])

    def get(self, id_: int, now: int, /) -> Row | None:
        number = client_number(id_)
        if not 0 <= number < self._count(now):
            return None
        (row,) = clients(self._orders.plan.random, [number])
        return row if row["id"] == id_ else None


class ListTable:
    """A short list in memory.

    Args:
        rows_at: Returns the rows at a given time, with the columns that filters can name.
        complete: Returns the full row to serve for one of them.
    """

    def __init__(
        self,
        name: str,
        per_page: int,
        columns: Iterable[str],
        rows_at: Callable[[int], list[Row]],
        complete: Callable[[Row, int], Row] = lambda row, _now: row,
    ) -> None:
        self.name, self.per_page, self.max_per_page = name, per_page, per_page * 5
        self._names, self._rows_at, self._complete = frozenset(columns), rows_at, complete

    def version(self) -> int:
        return 0

    def columns(self) -> frozenset[str]:
        return self._names

    def chunks(self, _where: Sequence[Condition], _now: int, /) -> Iterable[int]:
        return [0]

    def frozen_chunks(self, _now: int, /) -> int:
        return 0

    def chunk(self, _number: int, now: int, /) -> Chunk:
        rows = self._rows_at(now)
        keys = np.arange(len(rows), dtype=np.int64)
        return RowsChunk(keys, lambda name: infer_column([row.get(name) for row in rows]))

    def rows(self, keys: list[int], now: int, /) -> list[Row]:
        rows = self._rows_at(now)
        return [self._complete(rows[key], now) for key in keys]

    def get(self, id_: int, now: int, /) -> Row | None:
        found = (row for row in self._rows_at(now) if row["id"] == id_)
        return next((self._complete(row, now) for row in found), None)
