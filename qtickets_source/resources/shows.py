"""Which shows of an event matter at a moment."""

from collections.abc import Iterator
from datetime import datetime
from typing import Any

from ..datetimes import parse_timestamp
from ..errors import BadRow
from ..rows.columns import as_rows

Row = dict[str, Any]


def was_held(event: Row, since: datetime, until: datetime) -> bool:
    """Return whether one of the event's shows was open between two moments."""
    for show in as_rows(event.get("shows")) or ():
        opens_at = _first_readable(show, "open_date", "start_date")
        ends_at = _ends_at(show)
        if opens_at and opens_at <= until and (ends_at is None or ends_at >= since):
            return True
    return False


def open_shows(event: Row, now: datetime) -> Iterator[Row]:
    """Yield shows whose seats can still change: neither deleted nor over.

    `is_active` does not matter: the sale of an inactive show is only closed for now.
    """
    if event.get("deleted_at"):
        return
    for show in as_rows(event.get("shows")) or ():
        ends_at = _ends_at(show)
        if not show.get("deleted_at") and (ends_at is None or ends_at >= now):
            yield show


def _ends_at(show: Row) -> datetime | None:
    return _first_readable(show, "finish_date", "start_date", "open_date")


def _first_readable(show: Row, *names: str) -> datetime | None:
    """Return the first of the dates that is given and can be read."""
    for name in names:
        try:
            if moment := parse_timestamp(show.get(name), name):
                return moment
        except BadRow:
            continue
    return None
