"""Events with their shows."""

from collections.abc import Iterator
from typing import Any

import dlt

from ..api.page_shape import field_names
from ..api.proof import EVENTS_REMEMBERED, event_name
from ..rows.columns import as_rows
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
    fields, sample = dict[str, None](), Row()
    has_selection = reading.client.selects(EVENTS_PATH)
    for page in reading.skip_if_refused("events", reading.client.list_pages(EVENTS_PATH)):
        needed = [_without_withheld(event) for event in page]
        listed.update((event["id"], event_name(event)) for event in needed)
        for event in needed:
            fields.update(dict.fromkeys(field_names(event, EVENTS.nested)))
        sample = max(needed, key=lambda event: len(event.get("shows") or ()), default=sample)
        yield needed
    if sample and not has_selection and "events" not in reading.observed.findings.skipped:
        # Once a day, after all events were read whole, so that new fields are noticed.
        reading.client.learn_selection(EVENTS_PATH, list(fields), sample)
    state["dialect"] = reading.observed.dialect.as_state()
    if "events" not in reading.observed.findings.skipped:
        lost = {*state.get("events_listed", ())} - listed.keys()
        reading.observed.findings.lost_events = sorted(lost)
        state["events_listed"] = sorted(listed)
        newest = sorted(listed)[-EVENTS_REMEMBERED:]
        state["account"] = {str(id_): listed[id_] for id_ in newest}


def _without_withheld(event: Row) -> Row:
    """Return an event without fields that are never loaded, most of what it consists of."""
    kept = {name: value for name, value in event.items() if name not in EVENTS.withheld}
    if shows := as_rows(event.get("shows")):
        kept["shows"] = [
            {name: value for name, value in show.items() if name not in SHOWS.withheld}
            for show in shows
        ]
    return kept


@dlt.transformer(name="events")
def events(page: list[Row], reading: Reading) -> Iterator[Any]:
    """Yield the events and shows that changed since the last run."""
    digests = dlt.current.resource_state("events")
    changed = record_changed_rows(page, digests, reading.context)
    for event_table, show_table in reading.readable("events", changed, event_tables, digests):
        yield with_table_hints(EVENTS, event_table)
        yield with_table_hints(SHOWS, show_table)
