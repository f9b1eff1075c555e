"""The spool of hints: orders that a webhook named, kept on disk until they have been read again.

A hint is the id of an order, the type of the event and the time. Several hints for one order are
one row, so replayed webhooks do not make it grow. A hint is committed to the disk before the
webhook is acknowledged (WAL, `synchronous=FULL`), and is taken out only after the order is loaded:
a process that is killed in between reads the order again, which changes nothing.
"""

import sqlite3
from collections.abc import Iterable, Sequence
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from threading import Lock
from typing import Any

MOST_PENDING = 100_000
"""Orders that may wait. Only forged hints reach it; the next scheduled run finds every sale."""
KEPT_SECONDS = 7 * 24 * 3600.0
"""How long the spool remembers which orders webhooks named, to count those that they missed."""
LARGEST_ID = 2**53

_TABLES = """
CREATE TABLE IF NOT EXISTS hints (
    order_id INTEGER PRIMARY KEY,
    event_type TEXT NOT NULL,
    first_at REAL NOT NULL,  -- the first hint since the order was last read
    last_at REAL NOT NULL,
    received INTEGER NOT NULL,  -- hints so far
    read INTEGER NOT NULL DEFAULT 0,  -- hints that the last reading covers
    read_at REAL NOT NULL DEFAULT 0
) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS counted (
    one INTEGER PRIMARY KEY CHECK (one = 1),
    until REAL NOT NULL  -- until when runs have counted what webhooks missed
);
CREATE INDEX IF NOT EXISTS pending ON hints (first_at) WHERE received > read;
"""


@dataclass(frozen=True)
class Hint:
    """What is kept of a webhook."""

    order_id: int
    event_type: str


@dataclass(frozen=True)
class PendingOrder:
    """An order that is to be read again.

    Attributes:
        order_id: The order.
        received: Number of hints so far; a hint that comes during the reading makes it more.
        first_at: Time of the first hint since the last reading, Unix seconds.
    """

    order_id: int
    received: int
    first_at: float


class SpoolError(Exception):
    """The spool cannot be read or written; the message says why."""


class SpoolFull(SpoolError):
    """Too many orders wait."""


class Spool:
    """The spool in a file; safe for several threads.

    Raises:
        SpoolError: The file cannot be opened.
    """

    def __init__(self, path: Path) -> None:
        self._path, self._lock = path, Lock()
        try:
            path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
            self._db = sqlite3.connect(
                path, check_same_thread=False, isolation_level=None, timeout=5
            )
            self._db.execute("PRAGMA journal_mode=WAL")
            self._db.execute("PRAGMA synchronous=FULL")
            self._db.executescript(_TABLES)
        except (OSError, sqlite3.Error) as error:
            raise SpoolError(f"{path} cannot be opened: {error}") from error

    def close(self) -> None:
        with self._lock:
            self._db.close()

    def add(self, hints: Sequence[Hint], at: float) -> None:
        """Commit hints to the disk.

        Raises:
            SpoolFull: Too many orders wait.
            SpoolError: They could not be written, for instance because the disk is full.
        """
        rows = [(hint.order_id, hint.event_type, at, at) for hint in hints]
        if self.pending_count() + len(hints) > MOST_PENDING:
            raise SpoolFull(f"more than {MOST_PENDING:,} orders wait to be read")
        self._write(
            "INSERT INTO hints (order_id, event_type, first_at, last_at, received)"
            " VALUES (?, ?, ?, ?, 1) ON CONFLICT (order_id) DO UPDATE SET"
            " event_type = excluded.event_type, last_at = excluded.last_at,"
            " first_at = iif(received > read, first_at, excluded.first_at),"
            " received = received + 1",
            rows,
        )

    def take(self, limit: int, *, not_read_since: float) -> list[PendingOrder]:
        """Return the orders that wait longest; they stay in the spool.

        Args:
            limit: At most so many.
            not_read_since: Leave out orders that were read after this moment.
        """
        return [
            PendingOrder(*row)
            for row in self._read(
                "SELECT order_id, received, first_at FROM hints"
                " WHERE received > read AND read_at <= ? ORDER BY first_at LIMIT ?",
                (not_read_since, limit),
            )
        ]

    def done(self, orders: Iterable[PendingOrder], at: float) -> None:
        """Record that orders were read and loaded; hints that came meanwhile stay pending."""
        rows = [(order.received, at, at, order.order_id) for order in orders]
        self._write("UPDATE hints SET read = ?, read_at = ?, first_at = ? WHERE order_id = ?", rows)

    def tried(self, orders: Iterable[PendingOrder], at: float) -> None:
        """Record that orders were asked for and not found: they are asked for again later."""
        rows = [(at, order.order_id) for order in orders]
        self._write("UPDATE hints SET read_at = ? WHERE order_id = ?", rows)

    def pending_count(self) -> int:
        """Return the number of orders that wait."""
        return int(self._read("SELECT count(*) FROM hints WHERE received > read")[0][0])

    def oldest_pending(self) -> float | None:
        """Return the time since which the first order waits; None if none does."""
        row = self._read("SELECT min(first_at) FROM hints WHERE received > read")[0]
        return None if row[0] is None else float(row[0])

    def last_received(self) -> float | None:
        """Return the time of the newest hint of the last days; None if there is none."""
        row = self._read("SELECT max(last_at) FROM hints")[0]
        return None if row[0] is None else float(row[0])

    def named_since(self, since: float) -> set[int]:
        """Return the orders that webhooks have named since a moment."""
        rows = self._read("SELECT order_id FROM hints WHERE last_at >= ?", (since,))
        return {int(order_id) for (order_id,) in rows}

    def counted_until(self) -> float | None:
        """Return until when missed webhooks were counted; None if they never were."""
        rows = self._read("SELECT until FROM counted")
        return float(rows[0][0]) if rows else None

    def record_count(self, until: float) -> None:
        """Record until when missed webhooks were counted; it outlives the process."""
        self._write("INSERT OR REPLACE INTO counted VALUES (1, ?)", [(until,)])

    def forget(self, before: float) -> None:
        """Delete orders that no longer wait and that no webhook has named since a moment."""
        self._write("DELETE FROM hints WHERE received = read AND last_at < ?", [(before,)])

    def _read(self, sql: str, parameters: tuple[object, ...] = ()) -> list[tuple[Any, ...]]:
        try:
            with self._lock, closing(self._db.execute(sql, parameters)) as rows:
                return rows.fetchall()
        except sqlite3.Error as error:
            raise SpoolError(f"{self._path} cannot be read: {error}") from error

    def _write(self, sql: str, rows: Sequence[tuple[object, ...]]) -> None:
        try:
            with self._lock:
                self._db.execute("BEGIN IMMEDIATE")
                try:
                    self._db.executemany(sql, rows)
                    self._db.execute("COMMIT")
                except BaseException:
                    if self._db.in_transaction:
                        self._db.execute("ROLLBACK")
                    raise
        except (OSError, sqlite3.Error) as error:
            raise SpoolError(f"{self._path} cannot be written: {error}") from error
