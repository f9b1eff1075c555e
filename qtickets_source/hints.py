"""Orders that somebody says have changed: they are read again by their ids, and move no cursor."""

from collections.abc import Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import dlt
from dlt.extract import DltResource

from .api.filters import Condition
from .configuration import QTicketsConfiguration
from .observations import Observations
from .resources.batches import batches
from .resources.orders import order_rows
from .resources.reading import Reading, open_reading
from .settings import LARGER_PAGES, ORDERS_PATH
from .state.periods import belongs_to, loaded_windows
from .state.seen import SeenOrders

IDS_PER_REQUEST = LARGER_PAGES[ORDERS_PATH]
ONE_BY_ONE = 20
"""Orders that are asked for one by one if the service does not honour `id in`."""
SWEPT_BEFORE = timedelta(minutes=2)
"""A sweep in place of ids begins this long before the first hint: an order changes before it."""

Row = dict[str, Any]


@dataclass
class HintedOrders:
    """What is asked for, and what came of it.

    Attributes:
        ids: Orders to read.
        since: Time of the first hint, UTC.
        digests: Digests of orders that earlier calls have loaded, by id; an order that is read
            with the same content is not loaded again. Extended by this call: keep it only if the
            load succeeds.
        read: Ids of the orders that the service has, as it lists them now.
        was_asked: Whether all ids were asked for. If not, the rest was looked for by a sweep.
    """

    ids: Sequence[int]
    since: datetime
    digests: MutableMapping[str, str] = field(default_factory=dict)
    read: set[int] = field(default_factory=set)
    was_asked: bool = True


@dlt.source(name="qtickets", max_table_nesting=0, spec=QTicketsConfiguration)
def qtickets_hints_source(
    hinted: HintedOrders,
    config: QTicketsConfiguration = None,  # type: ignore[assignment]
    fetched_after: datetime | None = None,
    observed: Observations | None = None,
) -> Iterable[DltResource]:
    """Return `orders` (with table `tickets`) that were hinted at and have changed.

    The state keeps nothing of it but the quarantine, so the next run reads as if no hint had come.

    Args:
        hinted: The orders.
        config: As for `qtickets_source`.
        fetched_after: As for `qtickets_source`.
        observed: As for `qtickets_source`.

    Raises:
        QTicketsError: With one sentence that says what failed, where, and what to do.
    """
    reading = open_reading(config, fetched_after, observed)

    @dlt.resource(name="orders")
    def orders() -> Iterator[Any]:
        state = dlt.current.source_state()
        loaded = loaded_windows(state)
        seen = SeenOrders({**state.get("orders_read", {}), **hinted.digests}, reading.context)
        before = repr(reading.quarantine.as_state())
        for batch in batches(reading.proof.require(_pages(reading, hinted))):
            hinted.read.update(order["id"] for order in batch)
            new = [order for order in seen.filter_new(batch) if belongs_to(loaded, order)]
            yield from order_rows(new, reading)
        hinted.digests.update(seen.as_state())
        if repr(reading.quarantine.as_state()) != before:
            state["quarantine"] = reading.quarantine.as_state()

    return (orders,)


def _pages(reading: Reading, hinted: HintedOrders) -> Iterator[list[Row]]:
    """Yield pages with the orders: by id, or by a sweep where that costs fewer requests."""
    dialect = reading.observed.dialect
    ids = list(hinted.ids)
    if len(ids) > ONE_BY_ONE and not dialect.accepts(ORDERS_PATH, "id", "in"):
        hinted.was_asked = False
        changed = [Condition("updated_at", ">=", hinted.since - SWEPT_BEFORE)]
        if not reading.client.reads_all(ORDERS_PATH, changed):
            yield from reading.client.list_pages(ORDERS_PATH, changed)
        return
    for start in range(0, len(ids), IDS_PER_REQUEST):
        asked = [Condition("id", "in", ids[start : start + IDS_PER_REQUEST])]
        yield from reading.client.list_pages(ORDERS_PATH, asked)
