"""Search: pages of a table that match a query, found chunk by chunk.

A table of ten million rows is never held: its columns are worked out in chunks, the matches of
every chunk counted once, and the counts kept so that the next pages of the same query cost no
more than their own chunk.
"""

from collections import OrderedDict
from collections.abc import Hashable, Iterable, Sequence
from threading import RLock
from typing import Any, Protocol

import numpy as np

from sandbox.search.query import Column, Condition, Query, QueryError
from sandbox.world.seeded_random import Ints
from sandbox.world.timestamps import NEVER

Row = dict[str, Any]

_KEY_BITS = 33
_OLDEST = 1_262_304_000
"""2010-01-01: sort keys hold moments since then in 30 bits, together with the row's key."""


class Chunk(Protocol):
    """A stretch of a table: the keys of its rows, ascending, and their columns."""

    keys: Ints

    def column(self, name: str) -> Column:
        """Raises QueryError for a column that the service doesn't have."""


class Table(Protocol):
    """Something that can be listed. A key identifies a row and orders the list."""

    name: str
    per_page: int
    max_per_page: int

    def version(self) -> int: ...
    def columns(self) -> frozenset[str]: ...
    def chunks(self, where: Sequence[Condition], now: int, /) -> Iterable[int]: ...
    def chunk(self, number: int, now: int, /) -> Chunk: ...
    def settled(self, now: int, /) -> int: ...
    def rows(self, keys: list[int], now: int, /) -> list[Row]: ...
    def get(self, id_: int, now: int, /) -> Row | None: ...


class Memory(OrderedDict[Hashable, Any]):
    """The latest few results, the oldest forgotten first."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def keep(self, key: Hashable, value: Any) -> Any:
        self[key] = value
        self.move_to_end(key)
        while len(self) > self.size:
            self.popitem(last=False)
        return value


class Search:
    """Answers queries over the tables of one world, remembering match counts."""

    def __init__(self) -> None:
        self._counts, self._matches, self._sorted = Memory(64), Memory(24), Memory(1)
        self._lock = RLock()
        self.chunks_scanned = 0
        """How many chunks were matched so far: the work done, for tests and statistics."""

    def page(self, table: Table, query: Query, now: int) -> tuple[list[Row], Row]:
        """(rows, paging) of a query. Raises QueryError."""
        size = min(query.per_page, table.max_per_page) or table.per_page
        keys, total = self.keys(table, query, now, (query.page - 1) * size, size)
        paging = {"perPage": size, "currentPage": query.page, "total": total}
        return table.rows(keys, now), paging

    def keys(
        self, table: Table, query: Query, now: int, offset: int, size: int
    ) -> tuple[list[int], int]:
        """(keys of the rows at offset … offset + size of the matches, number of all matches)."""
        for name in {condition.column for condition in query.where} | {query.order_by or "id"}:
            if name not in table.columns():
                raise QueryError(f"unknown column {name}")
        with self._lock:
            if query.order_by not in ("", "id", "created_at"):
                order = self._order(table, query, now)
                picked = order[::-1] if query.descending else order
                keys = picked[offset : offset + size] & ((1 << _KEY_BITS) - 1)
                return keys.tolist(), len(order)
            counted = self._count(table, query.where, now)
            total = int(counted[1].sum())
            if query.descending:
                span = range(max(total - offset - size, 0), max(total - offset, 0))
                return self._slice(table, query.where, now, counted, span)[::-1], total
            span = range(offset, min(offset + size, total))
            return self._slice(table, query.where, now, counted, span), total

    def _count(
        self, table: Table, where: tuple[Condition, ...], now: int
    ) -> tuple[list[int], Ints]:
        known = self._counts.get((table.name, where))
        if known is None or known[0] != table.version():
            known = self._counts.keep((table.name, where), (table.version(), {}, {}))
        _, settled, latest = known
        if latest.get("now") == now:
            return latest["numbers"], latest["counts"]
        numbers, limit = list(table.chunks(where, now)), table.settled(now)
        counts = []
        for number in numbers:
            count = settled.get(number) if number < limit else None
            if count is None:
                count = len(self._match(table, where, number, now))
                if number < limit:
                    settled[number] = count
            counts.append(count)
        latest |= {"now": now, "numbers": numbers, "counts": np.array(counts, dtype=np.int64)}
        return numbers, latest["counts"]

    def _match(self, table: Table, where: tuple[Condition, ...], number: int, now: int) -> Ints:
        key = (table.name, where, number, now, table.version())
        if key in self._matches:
            found: Ints = self._matches[key]
            return found
        self.chunks_scanned += 1
        chunk = table.chunk(number, now)
        mask = np.ones(len(chunk.keys), dtype=np.bool_)
        for condition in where:
            mask &= condition.accepts(chunk.column(condition.column))
        matched: Ints = self._matches.keep(key, chunk.keys[mask])
        return matched

    def _slice(
        self,
        table: Table,
        where: tuple[Condition, ...],
        now: int,
        counted: tuple[list[int], Ints],
        span: range,
    ) -> list[int]:
        """The keys of the matches number span.start … span.stop - 1."""
        numbers, counts = counted
        ends = np.cumsum(counts)
        found: list[int] = []
        start = span.start
        position = int(np.searchsorted(ends, start, side="right"))
        while start < span.stop:
            first = int(ends[position] - counts[position])
            keys = self._match(table, where, numbers[position], now)
            found += keys[start - first : span.stop - first].tolist()
            start, position = int(ends[position]), position + 1
        return found

    def _order(self, table: Table, query: Query, now: int) -> Ints:
        """All matches in the order of a column: one int64 a row, value and key packed."""
        name = (table.name, query.where, query.order_by, now, table.version())
        if name in self._sorted:
            known: Ints = self._sorted[name]
            return known
        self._sorted.clear()
        numbers, counts = self._count(table, query.where, now)
        packed = np.empty(int(counts.sum()), dtype=np.int64)
        filled = 0
        for number, count in zip(numbers, counts.tolist(), strict=True):
            if count:
                keys = self._match(table, query.where, number, now)
                chunk = table.chunk(number, now)
                column = chunk.column(query.order_by)
                values = column.values[np.searchsorted(chunk.keys, keys)]
                packed[filled : filled + count] = (_sortable(column, values) << _KEY_BITS) | keys
                filled += count
        packed.sort()
        ordered: Ints = self._sorted.keep(name, packed)
        return ordered


def _sortable(column: Column, values: Any) -> Ints:
    """Values as 30-bit integers in the same order, nulls first."""
    if column.kind == "text":
        texts = np.array([value or "" for value in values])
        return np.unique(texts, return_inverse=True)[1].astype(np.int64)
    shifted = values - (_OLDEST if column.kind == "moment" else 0)
    return np.where(values >= NEVER, 0, np.clip(shifted + 1, 1, 2**30 - 1)).astype(np.int64)
