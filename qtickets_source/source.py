"""The dlt source: what is new and what changed in a QTickets account since the last run."""

from collections.abc import Iterable, Iterator
from datetime import datetime
from typing import Any

import dlt
from dlt.extract import DltResource

from .configuration import QTicketsConfiguration
from .observations import Observations
from .resources.events import event_pages, events
from .resources.lists import clients, discounts, partner_tickets, price_shades, promo_codes
from .resources.orders import (
    order_changes,
    orders,
    paid_pages,
    payment_cursor,
    quarantined_orders,
    reread_orders,
)
from .resources.reading import open_reading
from .resources.seats import barcodes, inventory
from .rows.dlt_hints import with_table_hints
from .rows.schema import ALL_TABLES


@dlt.source(name="qtickets", max_table_nesting=0, spec=QTicketsConfiguration)
def qtickets_source(
    config: QTicketsConfiguration = None,  # type: ignore[assignment]
    fetched_after: datetime | None = None,
    observed: Observations | None = None,
) -> Iterable[DltResource]:
    """Return the resources of a QTickets account.

    Args:
        config: Values that are not left to dlt's configuration (`sources.qtickets.*`).
        fetched_after: The newest `_fetched_at` at the destination, if the caller knows better than
            the source's state: versions continue above it.
        observed: Collects the number of requests and retries, and what was unexpected.

    Returns:
        `orders` (with table `tickets`), `order_changes`, `reread_orders` and
        `quarantined_orders` (the same tables),
        `events` (with table `shows`), `inventory`, `discounts`, `promo_codes`, `price_shades`;
        and, to be selected, `clients`, `barcodes`, `partner_tickets`. One of `discounts`,
        `promo_codes`, `price_shades`, `clients`, `barcodes` and `partner_tickets` that the account
        may not read is skipped with a warning, and recorded in the findings.

    Raises:
        QTicketsError: With one sentence that says what failed, where, and what to do. The
            extraction ends, and nothing of it is loaded.
    """
    reading = open_reading(config, fetched_after, observed)
    all_events = event_pages(reading)
    return (
        paid_pages(reading, payed_at=payment_cursor(reading)) | orders(reading),
        order_changes(reading),
        reread_orders(reading),
        quarantined_orders(reading),
        all_events | events(reading),
        all_events | inventory(reading),
        discounts(reading),
        promo_codes(reading),
        price_shades(reading),
        clients(reading),
        all_events | barcodes(reading),
        partner_tickets(reading),
    )


@dlt.source(name="qtickets", max_table_nesting=0)
def empty_tables_source() -> Iterable[DltResource]:
    """Return every raw table without rows, as an empty account has them."""

    @dlt.resource(name="empty_tables")
    def empty_tables() -> Iterator[Any]:
        for table in ALL_TABLES:
            yield with_table_hints(table, table.arrow_schema().empty_table())

    return (empty_tables,)
