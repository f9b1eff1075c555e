"""Events and their shows, as rows of `events` and `shows`."""

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from .columns import as_rows, plain_text
from .context import RowContext
from .schema import EVENTS, SHOWS
from .table import Fields, make_table, record_nested_type

Row = dict[str, Any]


def event_tables(events: Sequence[Row], context: RowContext) -> tuple[pa.Table, pa.Table]:
    """Return (rows of `events`, rows of `shows`) of events that carry `_fetched_at`.

    Raises:
        BadRow: A value cannot be read.
    """
    record_nested_type("events.shows", list, Fields(events)["shows"], context)
    record_nested_type("events.city", dict, Fields(events)["city"], context)
    cities = [city if isinstance(city := event.get("city"), dict) else {} for event in events]
    shows = [(event, show) for event in events for show in as_rows(event.get("shows")) or ()]
    return (
        make_table(
            EVENTS,
            "event",
            events,
            context,
            city_name=[plain_text(city.get("name")) for city in cities],
            city_timezone=[city.get("timezone") for city in cities],
        ),
        make_table(
            SHOWS,
            "show",
            [show for _, show in shows],
            context,
            _fetched_at=[event["_fetched_at"] for event, _ in shows],
            event_id=[event["id"] for event, _ in shows],
        ),
    )
