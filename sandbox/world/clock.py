"""The clock of a world: the real time, or a fixed time once it is set."""

import time
from datetime import datetime

from sandbox.world.timestamps import HOUR, MOSCOW, seconds

TimestampLike = datetime | str | int
"""A datetime, an ISO 8601 text (Moscow time without an offset), or seconds since 1970."""


class Clock:
    """A clock that follows the real time until it is set, and then stands still."""

    def __init__(self, now: TimestampLike | None) -> None:
        self._fixed = None if now is None else seconds(now)

    @property
    def timestamp(self) -> int:
        """The current time in seconds since 1970."""
        return int(time.time()) if self._fixed is None else self._fixed

    @property
    def now(self) -> datetime:
        """The current time in Moscow."""
        return datetime.fromtimestamp(self.timestamp, MOSCOW)

    @now.setter
    def now(self, value: TimestampLike | None) -> None:
        self._fixed = None if value is None else seconds(value)

    def advance(self, hours: float) -> None:
        """Set the clock forward; afterwards it stands still."""
        self._fixed = self.timestamp + round(hours * HOUR)
