"""Timestamps as seconds since 1970, and the text format of the service.

The service writes every datetime in Moscow time with a colon in the offset
(`2021-05-18T12:23:40+03:00`), in every time zone of an event's city.
"""

from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final

MOSCOW: Final = timezone(timedelta(hours=3))
HOUR: Final = 3600
DAY: Final = 86400

NEVER: Final = 2**62
"""A time that never comes; also the null of every integer column."""

_MINUTES = [f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(24 * 60)]
_SECONDS = [f"{second:02d}+03:00" for second in range(60)]


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY, UTC).date().isoformat()


def iso(timestamp: int) -> str | None:
    """Return the service's text of a timestamp, None for `NEVER`.

    Written by hand for speed: timestamps take most of the time that a page takes.
    """
    if timestamp >= NEVER:
        return None
    day, second = divmod(timestamp + 3 * HOUR, DAY)
    return f"{_date(day)}{_MINUTES[second // 60]}{_SECONDS[second % 60]}"


def seconds(value: Any) -> int:
    """Return the seconds since 1970 of a datetime, an ISO 8601 text or a number of seconds.

    A datetime without an offset is in Moscow time.

    Raises:
        ValueError: It is neither of them.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        raise ValueError(f"not a datetime: {value!r}")
    return int((value if value.tzinfo else value.replace(tzinfo=MOSCOW)).timestamp())
