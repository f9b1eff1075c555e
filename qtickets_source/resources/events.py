"""Events with their shows."""

from collections.abc import Iterator
from typing import Any

import dlt

from ..api.proof import EVENTS_REMEMBERED, event_name
from ..rows.dlt_hints import with_table_hints
from ..rows.events import event_tables
from ..rows.schema import EVENTS, SHOWS
from ..settings import EVENTS_PATH
from ..state.seen import record_changed_rows
from .reading import Reading

Row = dict[str, Any]


@dlt.resource(name="event_pages", selected=False)
def event_pages(reading: Reading) -> Iterator[list[Row]]:
    """Yield all events; read once a run, for `events`, `inventory` and `barcodes`."""
    state, listed = dlt.current.source_state(), dict[int, str]()
    for page in reading.skip_if_refused("events", reading.client.list_pages(EVENTS_PATH)):
        listed.update((event["id"], event_name(event)) for event in page)
        yield page
    if "events" not in reading.observed.findings.skipped:
        lost = {*state.get("events_listed", ())} - listed.keys()
        reading.observed.findings.lost_events = sorted(lost)
        state["events_listed"] = sorted(listed)
        newest = sorted(listed)[-EVENTS_REMEMBERED:]
        state["account"] = {str(id_): listed[id_] for id_ in newest}


@dlt.transformer(name="events")
def events(page: list[Row], reading: Reading) -> Iterator[Any]:
    """Yield the events and shows that changed since the last run."""
    digests = dlt.current.resource_state("events")
    changed = record_changed_rows(page, digests, reading.context)
    for event_table, show_table in reading.readable("events", changed, event_tables, digests):
        yield with_table_hints(EVENTS, event_table)
        yield with_table_hints(SHOWS, show_table)
