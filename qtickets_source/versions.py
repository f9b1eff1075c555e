"""The version of every raw row, `_fetched_at`: the moment before its answer was requested."""

import threading
from datetime import datetime, timedelta, timezone


class VersionClock:
    """UTC timestamps that never go back, neither within a run nor from run to run.

    `updated_at` cannot be the version: a scan changes a ticket without changing its order's
    `updated_at`. This machine's clock alone cannot be it either: set back by an hour, it would
    make new rows lose against old ones for an hour.

    Args:
        after: The newest versions of earlier runs, as far as known.
    """

    def __init__(self, *after: datetime | None) -> None:
        self._last = max(filter(None, after), default=datetime.fromtimestamp(0, timezone.utc))
        self._lock = threading.Lock()

    @property
    def last(self) -> datetime:
        """The newest version so far."""
        return self._last

    def next(self) -> datetime:
        """Return a version above all earlier ones."""
        with self._lock:
            now = datetime.now(timezone.utc)
            self._last = max(now, self._last + timedelta(microseconds=1))
            return self._last
