"""What is asked for every show that can still change: its seats, and its valid barcodes."""

import logging
from collections.abc import Iterator
from typing import Any

import dlt
import pyarrow as pa
import pyarrow.compute as pc

from ..errors import AccessRefused, BadRow, NotFound, ServiceUnavailable, UnexpectedAnswer
from ..rows.dlt_hints import with_table_hints
from ..rows.lists import barcode_table
from ..rows.schema import BARCODES, INVENTORY
from ..rows.seats import SnapshotMoment, inventory_table, seat_rows, unreadable_inventory_table
from ..settings import BARCODE_FIELDS, BARCODES_PATH, SEAT_FIELDS, SEATS_PATH, SNAPSHOT_EVERY
from ..state.seats import KnownSeats
from ..state.seen import record_if_due
from .reading import Reading
from .shows import open_shows

logger = logging.getLogger(__name__)

Row = dict[str, Any]


@dlt.transformer(name="inventory")
def inventory(page: list[Row], reading: Reading) -> Iterator[Any]:
    """Yield snapshots of the seats of all shows that can still change.

    A snapshot of an event that equals the last loaded one is skipped, unless that one is getting
    old.
    """
    state = dlt.current.resource_state("inventory")
    known = KnownSeats(state)
    shows = [(event, show) for event in page for show in open_shows(event, reading.snapshot_at)]
    by_event: dict[str, list[pa.Table]] = {}
    read = reading.client.map_parallel(lambda pair: _seats(*pair, reading), shows)
    for (event, _), table in zip(shows, read, strict=True):
        by_event.setdefault(str(event["id"]), []).append(_credible(table, known, reading))
    due = [
        snapshot
        for event_id, tables in by_event.items()
        if record_if_due(
            snapshot := pa.concat_tables(tables),
            event_id,
            state,
            reading.context,
            at=reading.snapshot_at,
            valid_for=SNAPSHOT_EVERY,
        )
    ]
    if due:
        yield with_table_hints(INVENTORY, pa.concat_tables(due))


@dlt.transformer(name="barcodes", selected=False)
def barcodes(page: list[Row], reading: Reading) -> Iterator[Any]:
    """Yield the valid tickets of all shows that can still change."""
    shows = [show for event in page for show in open_shows(event, reading.client.now())]
    read = reading.client.map_parallel(lambda show: _barcodes(show, reading), shows)
    tables = [*reading.skip_if_refused("barcodes", read)]
    if tables:
        yield with_table_hints(BARCODES, pa.concat_tables(tables, promote_options="default"))


def _seats(event: Row, show: Row, reading: Reading) -> pa.Table:
    moment = SnapshotMoment(reading.snapshot_at, fetched_at=reading.versions.next())
    try:
        path = SEATS_PATH.format(show_id=show["id"])
        body = {"select": list(SEAT_FIELDS), "flat": True}
        seats = reading.seats_breaker.call(lambda: reading.client.get(path, body))
        return inventory_table(event["id"], show["id"], seat_rows(seats), moment, reading.context)
    except (AccessRefused, NotFound, ServiceUnavailable, UnexpectedAnswer, BadRow) as error:
        logger.warning("Seats of show %s are unknown in this run: %s", show["id"], error)
        reason = type(error).__name__
        return unreadable_inventory_table(event["id"], show["id"], reason, moment, reading.context)


def _credible(table: pa.Table, known: KnownSeats, reading: Reading) -> pa.Table:
    """Return the snapshot of a show; if it had seats and now has none, one with unknown seats."""
    first = table.slice(0, 1).to_pylist()[0]
    show_id, capacity = first["show_id"], pc.sum(table["max_quantity"]).as_py()
    # Null: the seats could not be read.
    if capacity is None or known.is_credible(show_id, capacity, reading.snapshot_at):
        return table
    reading.observed.findings.doubtful_seats[show_id] = "had seats before, and now has none"
    moment = SnapshotMoment(reading.snapshot_at, fetched_at=first["_fetched_at"])
    return unreadable_inventory_table(
        first["event_id"], show_id, "SeatsGone", moment, reading.context
    )


def _barcodes(show: Row, reading: Reading) -> pa.Table:
    path = BARCODES_PATH.format(show_id=show["id"])
    (tickets,) = reading.client.fetch_unpaged(path, {"select": list(BARCODE_FIELDS)})
    valid = [ticket for ticket in tickets if ticket.get("barcode")]
    return barcode_table(show["id"], valid, reading.context)
