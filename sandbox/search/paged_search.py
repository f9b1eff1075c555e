"""Search: pages of the rows of a table that match a query, found chunk by chunk.

A table of ten million rows is never in memory: its columns are computed in chunks. The number of
matches of each chunk is computed once and cached, so further pages of the same query cost only
their own chunk.
"""

from collections.abc import Iterable, Sequence
from threading import RLock
from typing import Any, Protocol

import numpy as np

from sandbox.search.query import Column, Condition, Query, QueryError
from sandbox.world.bounded_cache import BoundedCache
from sandbox.world.order_payloads import Row
from sandbox.world.seeded_random import Ints
from sandbox.world.timestamps import NEVER

_KEY_BITS = 33
_OLDEST = 1_262_304_000
"""2010-01-01: a sort key holds 30 bits of seconds since then, and below them the key of the row."""


class Chunk(Protocol):
    """Consecutive rows of a table: their keys in ascending order, and their columns."""

    keys: Ints

    def column(self, name: str) -> Column:
        """Return a column.

        Raises:
            QueryError: The service cannot filter by it.
        """


class Table(Protocol):
    """A list of the API. A key identifies a row, and the list is sorted by key."""

    name: str
    per_page: int
    max_per_page: int

    def version(self) -> int: ...
    def columns(self) -> frozenset[str]: ...
    def chunks(self, where: Sequence[Condition], now: int, /) -> Iterable[int]: ...
    def chunk(self, number: int, now: int, /) -> Chunk: ...
    def frozen_chunks(self, now: int, /) -> int: ...
    def rows(self, keys: list[int], now: int, /) -> list[Row]: ...
    def get(self, id_: int, now: int, /) -> Row | None: ...


class PagedSearch:
    """Searches the tables of one world and caches the numbers of matches."""

    def __init__(self) -> None:
        self._counts, self._matches = BoundedCache(64), BoundedCache(24)
        self._sorted = BoundedCache(1)
        self._lock = RLock()
        self.chunks_scanned = 0
        """Number of chunks searched so far, for tests and statistics."""

    def page(self, table: Table, query: Query, now: int) -> tuple[list[Row], Row]:
        """Return (rows, paging) of a query.

        Raises:
            QueryError: The service does not understand the query.
        """
        size = min(query.per_page, table.max_per_page) or table.per_page
        keys, total = self.keys(table, query, now, (query.page - 1) * size, size)
        paging = {"perPage": size, "currentPage": query.page, "total": total}
        return table.rows(keys, now), paging

    def keys(
        self, table: Table, query: Query, now: int, offset: int, size: int
    ) -> tuple[list[int], int]:
        """Return (keys of `size` matches from `offset` on, number of all matches)."""
        for name in {condition.column for condition in query.where} | {query.order_by or "id"}:
            if name not in table.columns():
                raise QueryError(f"unknown column {name}")
        with self._lock:
            if query.order_by not in ("", "id", "created_at"):
                packed = self._sort(table, query, now)
                in_order = packed[::-1] if query.descending else packed
                keys = in_order[offset : offset + size] & ((1 << _KEY_BITS) - 1)
                return keys.tolist(), len(packed)
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
        """Return (numbers of the chunks searched, number of matches in each)."""
        known = self._counts.get((table.name, where))
        if known is None or known[0] != table.version():
            known = self._counts.store((table.name, where), (table.version(), {}, {}))
        _, frozen, latest = known
        if latest.get("now") == now:
            return latest["numbers"], latest["counts"]
        numbers, limit = list(table.chunks(where, now)), table.frozen_chunks(now)
        counts = []
        for number in numbers:
            count = frozen.get(number) if number < limit else None
            if count is None:
                count = len(self._match(table, where, number, now))
                if number < limit:
                    frozen[number] = count
            counts.append(count)
        latest |= {"now": now, "numbers": numbers, "counts": np.array(counts, dtype=np.int64)}
        return numbers, latest["counts"]

    def _match(self, table: Table, where: tuple[Condition, ...], number: int, now: int) -> Ints:
        """Return the keys of the matches in a chunk."""
        key = (table.name, where, number, now, table.version())
        if key in self._matches:
            found: Ints = self._matches[key]
            return found
        self.chunks_scanned += 1
        chunk = table.chunk(number, now)
        mask = np.ones(len(chunk.keys), dtype=np.bool_)
        for condition in where:
            mask &= condition.mask(chunk.column(condition.column))
        matched: Ints = self._matches.store(key, chunk.keys[mask])
        return matched

    def _slice(
        self,
        table: Table,
        where: tuple[Condition, ...],
        now: int,
        counted: tuple[list[int], Ints],
        span: range,
    ) -> list[int]:
        """Return the keys of the matches at the positions of `span`."""
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

    def _sort(self, table: Table, query: Query, now: int) -> Ints:
        """Return all matches sorted by a column: value and key packed into one integer each."""
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
        ordered: Ints = self._sorted.store(name, packed)
        return ordered


def _sortable(column: Column, values: Any) -> Ints:
    """Return values as 30-bit integers in the same order, nulls first."""
    if column.kind == "text":
        texts = np.array([value or "" for value in values])
        return np.unique(texts, return_inverse=True)[1].astype(np.int64)
    shifted = values - (_OLDEST if column.kind == "timestamp" else 0)
    return np.where(values >= NEVER, 0, np.clip(shifted + 1, 1, 2**30 - 1)).astype(np.int64)
