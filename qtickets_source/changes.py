"""What a run read before and reads again unchanged: not loaded again.

Every run reads more than is new: overlaps, whole lists, all seats. To load that again would do no
harm (the newest version counts), but it would grow the raw tables, and make it look as if something
had happened: whoever builds on them could not tell a quiet hour from a busy one.

Digests live in the state of the source, so they are committed with the rows they stand for. They
are keyed with the salt, and so tell nothing about a row to those who lack it.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

import orjson
import pyarrow as pa

from .rows import RowContext

Row = dict[str, Any]

# So many orders are remembered from run to run, those with the highest ids: the state is stored
# with each load. What is forgotten is loaded again, as it would be without any memory.
REMEMBERED_ORDERS = 5_000


def digest(content: Any, context: RowContext) -> str:
    """A short hash of an answer, or of rows, with all that decides what becomes of it."""
    try:
        # An account's seat schemes are megabytes; orjson is many times as fast as `repr`.
        text = orjson.dumps(content, default=str)
    except TypeError:
        # Half of a character, which a text that was cut in the middle may end in.
        text = repr(content).encode("utf-8", "surrogatepass")
    allowed = repr(sorted(context.allowed_fields)).encode()
    return blake2b(allowed + text, digest_size=9, key=context.salt[:64]).hexdigest()


def changed_rows(
    rows: Sequence[Row], digests: MutableMapping[str, Any], context: RowContext
) -> list[Row]:
    """Rows that differ from those of the same id before; the digests follow."""
    changed = []
    for row in rows:
        key, new = str(row.get("id")), digest(_content(row), context)
        if digests.get(key) != new:
            digests[key] = new
            changed.append(row)
    return changed


def has_changed(
    page: Sequence[Row], digests: MutableMapping[str, Any], context: RowContext
) -> bool:
    """Whether a page of a list differs from the one that began with the same row before."""
    key = str(page[0].get("id")) if page else ""
    new = digest([_content(row) for row in page], context)
    differs = digests.get(key) != new
    digests[key] = new
    return differs


def tables_differ(
    table: pa.Table,
    key: str,
    last: MutableMapping[str, Any],
    context: RowContext,
    *,
    at: datetime,
    at_most: timedelta,
) -> bool:
    """Whether what was seen at a moment differs from what was last loaded, or that is long ago.

    Args:
        table: What was seen, with the moments in columns `_fetched_at` and `snapshot_at`.
        key: What was looked at.
        last: By key, digest and moment of what was last loaded; follows.
        context: How answers become rows.
        at: The moment.
        at_most: How long what was loaded may stand for what was seen since.
    """
    moments = [name for name in ("_fetched_at", "snapshot_at") if name in table.column_names]
    new = digest(table.drop_columns(moments).to_pylist(), context)
    before = last.get(key)
    if before and before["digest"] == new and timedelta() <= at - before["at"] < at_most:
        return False
    last[key] = {"digest": new, "at": at}
    return True


class OrderMemory:
    """The orders that the last run read, and those that this one has read so far.

    Args:
        last_run: Digests by order id, from the state.
        context: How answers become rows.
    """

    def __init__(self, last_run: Mapping[str, str], context: RowContext) -> None:
        self._last_run = last_run
        self._context = context
        self._read: dict[str, str] = {}

    def news(self, orders: Sequence[Row]) -> list[Row]:
        """The orders that neither the last run nor this one has read just as they are."""
        return [order for order in orders if self.remember(order)]

    def remember(self, order: Row) -> bool:
        """Whether the order is news."""
        key, new = str(order.get("id")), digest(_content(order), self._context)
        known = self._read.get(key, self._last_run.get(key))
        # Read twice in one run, and changed in between: which of the two came last is not known
        # here, so neither is taken for what was loaded.
        self._read[key] = new if self._read.get(key, new) == new else ""
        return known != new

    def as_state(self) -> dict[str, str]:
        """Digests by order id, for the next run."""
        newest = sorted(self._read, key=lambda key: (len(key), key))[-REMEMBERED_ORDERS:]
        return {key: self._read[key] for key in newest}


def _content(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "_fetched_at"}
