"""The lesser datasets: discounts, promo codes, price shades, buyers and partner tickets.

A dataset that the account may not read is skipped with a warning and recorded in the findings.
"""

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import dlt
import pyarrow as pa

from ..api.client import open_client
from ..api.filters import Condition
from ..rows.context import RowContext
from ..rows.dlt_hints import with_table_hints
from ..rows.lists import (
    client_table,
    discount_table,
    partner_ticket_table,
    price_shade_table,
    promo_code_table,
)
from ..rows.schema import (
    CLIENTS,
    DISCOUNTS,
    PARTNER_TICKETS,
    PRICE_SHADES,
    PROMO_CODES,
    RawTable,
)
from ..settings import (
    CLIENTS_PATH,
    COLOR_THEMES_PATH,
    DISCOUNTS_PATH,
    PARTNERS_FIND_PATH,
    PROMO_CODES_PATH,
)
from ..state.seen import record_if_changed
from .reading import Reading

Row = dict[str, Any]


@dlt.resource(name="discounts")
def discounts(reading: Reading) -> Iterator[Any]:
    """Yield discounts, if they changed."""
    pages = reading.client.list_pages(DISCOUNTS_PATH)
    yield from _changed_pages(DISCOUNTS, pages, discount_table, reading)


@dlt.resource(name="promo_codes")
def promo_codes(reading: Reading) -> Iterator[Any]:
    """Yield promo codes, if they changed."""
    pages = reading.client.list_pages(PROMO_CODES_PATH)
    yield from _changed_pages(PROMO_CODES, pages, promo_code_table, reading)


@dlt.resource(name="price_shades")
def price_shades(reading: Reading) -> Iterator[Any]:
    """Yield price shades, if they changed."""
    pages = reading.client.fetch_unpaged(COLOR_THEMES_PATH, {})
    yield from _changed_pages(PRICE_SHADES, pages, price_shade_table, reading)


@dlt.resource(name="clients", selected=False)
def clients(reading: Reading) -> Iterator[Any]:
    """Yield buyers that were added since the last run, by id, as hashes."""
    state = dlt.current.resource_state("clients")
    newer = [Condition("id", ">", state.get("last_id", 0))]
    for page in reading.skip_if_refused("clients", reading.client.walk(CLIENTS_PATH, newer)):
        if page:
            for table in reading.readable("clients", page, client_table, {}):
                yield with_table_hints(CLIENTS, table)
            state["last_id"] = page[-1]["id"]


@dlt.resource(name="partner_tickets", selected=False)
def partner_tickets(reading: Reading) -> Iterator[Any]:
    """Yield tickets found through the Partners API by the configured filters."""
    config = reading.config
    partners = open_client(
        base_url=config.partners_base_url or "",
        token=config.partners_token or "",
        versions=reading.versions,
        timeout_seconds=config.timeout_seconds,
        retry_seconds=config.retry_seconds,
        observed=reading.observed,
        setting="QTICKETS_PARTNERS_TOKEN",
    )
    for filter_ in config.partners_find_requests:
        found = partners.fetch_unpaged(PARTNERS_FIND_PATH, {"filter": dict(filter_)})
        for page in reading.skip_if_refused("partner_tickets", found):
            for table in reading.readable("partner_tickets", page, partner_ticket_table, {}):
                yield with_table_hints(PARTNER_TICKETS, table)


def _changed_pages(
    table: RawTable,
    pages: Iterator[list[Row]],
    make_rows: Callable[[Sequence[Row], RowContext], pa.Table],
    reading: Reading,
) -> Iterator[Any]:
    digests = dlt.current.resource_state(table.name)
    for page in reading.skip_if_refused(table.name, pages):
        if record_if_changed(page, digests, reading.context):
            for rows in reading.readable(table.name, page, make_rows, digests):
                yield with_table_hints(table, rows)
