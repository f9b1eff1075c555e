"""Orders with their tickets: new payments, late changes, and a daily re-read."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from functools import partial
from typing import Any

import dlt

from ..api.filters import Condition
from ..rows.dlt_hints import with_table_hints
from ..rows.schema import ORDERS, TICKETS
from ..settings import EVENTS_PATH, ORDERS_PATH, REREAD_EVERY
from ..state.periods import as_state, belongs_to, loaded_windows
from .batches import batches
from .reading import Reading
from .shows import was_held

Row = dict[str, Any]


@dlt.resource(name="paid_pages", selected=False)
def paid_pages(
    reading: Reading, payed_at: dlt.sources.incremental[datetime]
) -> Iterator[list[Row]]:
    """Yield orders paid since the cursor, by time of payment."""
    state = dlt.current.source_state()
    since = payed_at.start_value
    assert since is not None
    paid_since = [Condition("payed_at", ">=", since)]
    pages = reading.client.walk(ORDERS_PATH, paid_since, closed_by="payed_at")
    pages = reading.proof.require(pages)
    new = map(reading.seen_orders.filter_new, pages)
    yield from batches(new, cursor="payed_at", unreadable=reading.quarantine.add)
    state["quarantine"] = reading.quarantine.as_state()
    state["fetched_until"] = reading.versions.last
    if not reading.proof.is_complete:
        return
    state["dialect"] = reading.observed.dialect.as_state()
    state["known_orders"] = reading.proof.as_state()
    state["salt_check"] = reading.salt_check
    state["orders_read"] = reading.seen_orders.as_state()
    state["loaded"] = as_state([*loaded_windows(state), (since, None)])
    state.setdefault("cursor_from", since)


def payment_cursor(reading: Reading) -> dlt.sources.incremental[datetime]:
    """Return the cursor on `payed_at`; a run starts `overlap_hours` before its last value."""
    return dlt.sources.incremental(
        "payed_at",
        initial_value=reading.initial_since,
        lag=reading.overlap.total_seconds(),
        # Without a key dlt does not drop a row that changed at the cursor's own second.
        primary_key=(),
    )


@dlt.transformer(name="orders")
def orders(page: list[Row], reading: Reading) -> Iterator[Any]:
    """Yield new sales, with their tickets."""
    yield from order_rows(page, reading)


@dlt.resource(name="order_changes")
def order_changes(reading: Reading) -> Iterator[Any]:
    """Yield refunds, cancellations and exchanges of sales of any age, with their tickets."""
    state = dlt.current.source_state()
    # Without an earlier sweep there is nothing to catch up with: the walk by payment, which runs
    # in this load too, reads every order in its present state.
    began_at = reading.client.now()
    swept_until = state.get("swept_until", began_at) - reading.overlap
    loaded = loaded_windows(state)
    if "loaded" not in state:
        loaded = [*loaded, (reading.initial_since, None)]
    changed_since = [Condition("updated_at", ">=", swept_until)]
    reads_all = partial(reading.client.reads_all, ORDERS_PATH, changed_since)
    if reads_all() and began_at - state.get("read_all_at", swept_until) < REREAD_EVERY:
        return
    pages = reading.client.walk(ORDERS_PATH, changed_since, closed_by="updated_at")
    pages = reading.proof.require(pages)
    new = map(reading.seen_orders.filter_new, pages)
    for batch in batches(new, cursor="updated_at", unreadable=reading.quarantine.add):
        # One late change from before the loaded period would look like all sales of its day.
        yield from order_rows([order for order in batch if belongs_to(loaded, order)], reading)
    state["fetched_until"] = reading.versions.last
    state["quarantine"] = reading.quarantine.as_state()
    if not reading.proof.is_complete:
        return
    if reads_all():
        state["read_all_at"] = began_at
        reading.observed.findings.instead.append(
            "Changes of orders (refunds, cancellations) are therefore read once a day."
        )
    state["dialect"] = reading.observed.dialect.as_state()
    state["orders_read"] = reading.seen_orders.as_state()
    state["swept_until"] = began_at


@dlt.resource(name="quarantined_orders")
def quarantined_orders(reading: Reading) -> Iterator[Any]:
    """Yield orders that earlier runs could not read, and that can be read now."""
    state, ids = dlt.current.source_state(), reading.quarantine.asked_again
    if not ids:
        return
    asked = [Condition("id", "in", ids)]
    listed: set[int] = set()
    for batch in batches(reading.proof.require(reading.client.list_pages(ORDERS_PATH, asked))):
        listed.update(order["id"] for order in batch)
        yield from order_rows(batch, reading)
    if reading.proof.is_complete:
        reading.quarantine.release([id_ for id_ in ids if id_ not in listed])
    state["quarantine"] = reading.quarantine.as_state()


@dlt.resource(name="reread_orders")
def reread_orders(reading: Reading) -> Iterator[Any]:
    """Yield orders of the last days: a scan of a ticket moves no timestamp of its order."""
    state, now = dlt.current.source_state(), reading.client.now()
    reread_days = reading.config.reread_days
    # Once a day, and not in the first run, which reads everything.
    if not reread_days or now - state.setdefault("reread_at", now) < REREAD_EVERY:
        return
    since = now - timedelta(days=reread_days)
    event_ids = [
        event["id"]
        for page in reading.skip_if_refused("events", reading.client.list_pages(EVENTS_PATH))
        for event in page
        if was_held(event, since, now)
    ]
    paid_lately = [Condition("payed_at", ">=", since), Condition("payed_at", "<=", now)]
    loaded = loaded_windows(state)
    readings = [reading.client.list_pages(ORDERS_PATH, paid_lately)]
    if event_ids:
        held_lately = [Condition("event_id", "in", event_ids), paid_lately[1]]
        readings.append(reading.client.list_pages(ORDERS_PATH, held_lately))
    for pages in map(reading.proof.require, readings):
        new = map(reading.seen_orders.filter_new, pages)
        for batch in batches(new, cursor="updated_at", unreadable=reading.quarantine.add):
            yield from order_rows([order for order in batch if belongs_to(loaded, order)], reading)
    if not reading.proof.is_complete:
        return
    state["quarantine"] = reading.quarantine.as_state()
    state["reread_at"] = now
    state["orders_read"] = reading.seen_orders.as_state()


def order_rows(page: list[Row], reading: Reading) -> Iterator[Any]:
    """Yield the tables of orders that can be read, and quarantine the others."""
    for order_table, ticket_table in reading.quarantine.tables(page, reading.context):
        yield with_table_hints(ORDERS, order_table)
        yield with_table_hints(TICKETS, ticket_table)
