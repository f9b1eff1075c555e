"""Moments: whole seconds since 1970, as the vectorised parts count them, and the vendor's text.

The vendor writes every datetime in Moscow time with a colon in the offset:
`2021-05-18T12:23:40+03:00`, whatever the time zone of the event's city.
"""

from datetime import UTC, datetime, timedelta, timezone
from functools import lru_cache
from typing import Any, Final

MOSCOW: Final = timezone(timedelta(hours=3))
HOUR: Final = 3600
DAY: Final = 86400

NEVER: Final = 2**62
"""A moment that doesn't come; also the null of every integer column."""


_MINUTES = [f"T{minute // 60:02d}:{minute % 60:02d}:" for minute in range(24 * 60)]
_SECONDS = [f"{second:02d}+03:00" for second in range(60)]


@lru_cache(maxsize=4096)
def _date(day: int) -> str:
    return datetime.fromtimestamp(day * DAY, UTC).date().isoformat()


def iso(moment: int) -> str | None:
    """The vendor's text of a moment, None for `NEVER`. By hand: it's most of a page."""
    if moment >= NEVER:
        return None
    day, second = divmod(moment + 3 * HOUR, DAY)
    return f"{_date(day)}{_MINUTES[second // 60]}{_SECONDS[second % 60]}"


def seconds(value: Any) -> int:
    """Seconds since 1970 of a datetime, an ISO 8601 text or a number of seconds.

    Without an offset Moscow time is meant. Raises ValueError for anything else.
    """
    if isinstance(value, (int, float)) and not isinstance(value, bool):
        return int(value)
    if isinstance(value, str):
        value = datetime.fromisoformat(value)
    if not isinstance(value, datetime):
        raise ValueError(f"not a datetime: {value!r}")
    return int((value if value.tzinfo else value.replace(tzinfo=MOSCOW)).timestamp())
