"""Periods of payment time: which are loaded, and how a long one is split. Pure arithmetic.

A window is half-open, [since, until), in UTC; `until` None means "and everything after".
"""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime, timezone
from typing import Any

from ..datetimes import parse_timestamp
from ..errors import BadRow

Window = tuple[datetime, datetime | None]


def months(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield [since, until) split at the first of each month, UTC, oldest first."""
    while since < until:
        year, month = divmod(since.year * 12 + since.month, 12)
        end = min(datetime(year, month + 1, 1, tzinfo=timezone.utc), until)
        yield since, end
        since = end


def merged(windows: Iterable[Window]) -> list[Window]:
    """Return the fewest windows that cover the same time, oldest first."""
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
    """Return whether a moment lies in one of the windows."""
    return any(since <= moment and (until is None or moment < until) for since, until in windows)


def loaded_windows(state: Mapping[str, Any]) -> list[Window]:
    """Return the loaded windows of payment time, from the state of the source."""
    return [(since, until) for since, until in state.get("loaded", [])]


def as_state(windows: Iterable[Window]) -> list[list[Any]]:
    """Return windows as the state keeps them."""
    return [list(window) for window in merged(windows)]


def belongs_to(windows: list[Window], order: Mapping[str, Any]) -> bool:
    """Return whether an order lies in the loaded windows; unpaid orders do, they count nowhere."""
    try:
        payed_at = parse_timestamp(order.get("payed_at"), f"order {order.get('id')}: `payed_at`")
    except BadRow:
        return True  # It goes into quarantine.
    return payed_at is None or covered(windows, payed_at)
