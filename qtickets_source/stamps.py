"""The moment at which an answer was fetched: the version of every raw row."""

import threading
from datetime import datetime, timedelta, timezone


class Stamps:
    """Timestamps in UTC that never go back, neither within a run nor from run to run.

    `updated_at` cannot be the version: a scan changes a ticket without touching its order. And
    the machine's clock alone cannot be it either: set back by an hour, it would make fresh rows
    lose against stale ones for an hour.

    Args:
        after: Newest stamps given out by earlier runs, as far as known.
    """

    def __init__(self, *after: datetime | None) -> None:
        self._last = max(filter(None, after), default=datetime.fromtimestamp(0, timezone.utc))
        self._lock = threading.Lock()

    @property
    def last(self) -> datetime:
        return self._last

    def next(self) -> datetime:
        with self._lock:
            now = datetime.now(timezone.utc)
            self._last = max(now, self._last + timedelta(microseconds=1))
            return self._last
