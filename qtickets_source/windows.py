"""Windows of payment time: what is loaded, and how a long period is cut. Pure arithmetic.

A window is half-open, [since, until), in UTC; `until` None means "and everything after".
"""

from collections.abc import Iterable, Iterator
from datetime import datetime, timezone

Window = tuple[datetime, datetime | None]


def months(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """[since, until) cut at the first of each month, UTC, oldest first."""
    while since < until:
        year, month = divmod(since.year * 12 + since.month, 12)
        end = min(datetime(year, month + 1, 1, tzinfo=timezone.utc), until)
        yield since, end
        since = end


def merged(windows: Iterable[Window]) -> list[Window]:
    """The same moments as fewest windows, oldest first; touching windows become one."""
    result: list[Window] = []
    for since, until in sorted(windows, key=lambda window: window[0]):
        if result and (result[-1][1] is None or since <= result[-1][1]):
            last_since, last_until = result.pop()
            ends = None if last_until is None or until is None else max(last_until, until)
            result.append((last_since, ends))
        else:
            result.append((since, until))
    return result


def covered(windows: Iterable[Window], moment: datetime) -> bool:
    """Whether a moment lies in one of the windows."""
    return any(since <= moment and (until is None or moment < until) for since, until in windows)
