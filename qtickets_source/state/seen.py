"""Skip rows that have not changed since they were last loaded.

Every run reads more than is new: overlaps, whole lists, all seats. Loading that again would do no
harm, since the newest version counts, but it would grow the raw tables, and a quiet hour would look
like a busy one to everything that is built on them.

Digests are kept in dlt's source state, so they are committed together with the rows they stand for.
They are keyed with the salt and reveal nothing about a row without it.
"""

from collections.abc import Mapping, MutableMapping, Sequence
from datetime import datetime, timedelta
from hashlib import blake2b
from typing import Any

import orjson
import pyarrow as pa

from ..rows.context import RowContext

Row = dict[str, Any]

REMEMBERED_ORDERS = 5_000
"""Orders whose digests are kept from run to run, those with the highest ids: the state is stored
with each load. Others are loaded again when they are read again.
"""


def digest(content: Any, context: RowContext) -> str:
    """Return a short hash of an answer, or of rows, and of the settings that affect its rows."""
    try:
        # An account's seat schemes are megabytes; orjson is many times as fast as `repr`.
        text = orjson.dumps(content, default=str)
    except TypeError:
        # A lone surrogate, left by a truncated string.
        text = repr(content).encode("utf-8", "surrogatepass")
    allowed = repr(sorted(context.allowed_fields)).encode()
    return blake2b(allowed + text, digest_size=9, key=context.salt[:64]).hexdigest()


def record_changed_rows(
    rows: Sequence[Row], digests: MutableMapping[str, Any], context: RowContext
) -> list[Row]:
    """Return the rows whose digest differs from the recorded one of their id, and record it."""
    changed = []
    for row in rows:
        key, new = str(row.get("id")), digest(_content(row), context)
        if digests.get(key) != new:
            digests[key] = new
            changed.append(row)
    return changed


def record_if_changed(
    page: Sequence[Row], digests: MutableMapping[str, Any], context: RowContext
) -> bool:
    """Return whether a page differs from the recorded one with the same first id; record it."""
    key = str(page[0].get("id")) if page else ""
    new = digest([_content(row) for row in page], context)
    differs = digests.get(key) != new
    digests[key] = new
    return differs


def record_if_due(
    table: pa.Table,
    key: str,
    recorded: MutableMapping[str, Any],
    context: RowContext,
    *,
    at: datetime,
    valid_for: timedelta,
) -> bool:
    """Return whether a snapshot must be loaded: it changed, or the last loaded one is old.

    Args:
        table: The snapshot, with its moments in columns `_fetched_at` and `snapshot_at`.
        key: What it is a snapshot of.
        recorded: By key, digest and moment of the last loaded snapshot; updated.
        context: Keys the digest.
        at: The moment of the snapshot.
        valid_for: How long a loaded snapshot stands for later ones that are equal to it.
    """
    moments = [name for name in ("_fetched_at", "snapshot_at") if name in table.column_names]
    new = digest(table.drop_columns(moments).to_pylist(), context)
    last = recorded.get(key)
    if last and last["digest"] == new and timedelta() <= at - last["at"] < valid_for:
        return False
    recorded[key] = {"digest": new, "at": at}
    return True


class SeenOrders:
    """The orders that the last run read, and those that this one has read so far.

    Args:
        last_run: Digests by order id, from the state.
        context: Keys the digests.
    """

    def __init__(self, last_run: Mapping[str, str], context: RowContext) -> None:
        self._last_run = last_run
        self._context = context
        self._this_run: dict[str, str] = {}

    def filter_new(self, orders: Sequence[Row]) -> list[Row]:
        """Return the orders that neither run has read with this content, and record all."""
        return [order for order in orders if self._record(order)]

    def _record(self, order: Row) -> bool:
        key, new = str(order.get("id")), digest(_content(order), self._context)
        known = self._this_run.get(key, self._last_run.get(key))
        # Read twice in one run with different content: which one is newer is not known here, so
        # the next run must load the order again, whatever it reads.
        self._this_run[key] = new if self._this_run.get(key, new) == new else ""
        return known != new

    def as_state(self) -> dict[str, str]:
        """Return digests by order id, for the next run."""
        newest = sorted(self._this_run, key=lambda key: (len(key), key))[-REMEMBERED_ORDERS:]
        return {key: self._this_run[key] for key in newest}


def _content(row: Row) -> Row:
    return {name: value for name, value in row.items() if name != "_fetched_at"}
