"""History: orders paid in a window of the past, read in parallel, without moving the cursor."""

from collections.abc import Iterable, Iterator, Mapping
from datetime import datetime
from typing import Any

import dlt
from dlt.extract import DltResource

from .api.filters import Condition
from .configuration import QTicketsConfiguration
from .datetimes import parse_timestamp
from .errors import BadRow
from .observations import Observations
from .resources.batches import batches
from .resources.orders import order_rows
from .resources.reading import client_for, open_reading
from .rows.order_records import decode_order_page
from .settings import ORDERS_PATH
from .state.periods import Window, as_state, loaded_windows

_KEPT_BY_RESET = (
    "loaded",
    "swept_until",
    "fetched_until",
    "known_orders",
    "account",
    "quarantine",
    "salt_check",
)


def orders_extent(
    period: Window, config: QTicketsConfiguration, observed: Observations | None = None
) -> tuple[datetime, datetime, int]:
    """Return where the paid orders of a period begin, where the period ends, and their number.

    Args:
        period: [since, until) of payment; an open end means the service's present.
        config: How the service is read; its token must be set.
        observed: Collects request counts.

    Returns:
        (since, until, orders): `since` not before the first order was created, `until` not after
        the present, both UTC.
    """
    client = client_for(config, observed=observed)
    since, until = period
    paid = [Condition("payed_at", ">=", since)]
    if until:
        paid.append(Condition("payed_at", "<", until))
    orders, first_page = client.count(ORDERS_PATH, paid)
    if first_page:
        # Ids grow with time, so no order of the period was paid before its first was created.
        created = _created_at(first_page[0])
        since = max(since, created or since)
    now = client.now()
    return since, min(until or now, now), orders


def _created_at(order: dict[str, Any]) -> datetime | None:
    try:
        return parse_timestamp(order.get("created_at"), "order: `created_at`")
    except BadRow:
        return None


@dlt.source(name="qtickets", max_table_nesting=0, spec=QTicketsConfiguration)
def qtickets_backfill_source(
    since: datetime,
    until: datetime,
    state_updates: Mapping[str, Any],
    config: QTicketsConfiguration = None,  # type: ignore[assignment]
    fetched_after: datetime | None = None,
    observed: Observations | None = None,
) -> Iterable[DltResource]:
    """Return `orders` (with table `tickets`) paid in [since, until), which must have ended.

    Args:
        since: First moment of payment, aware.
        until: First moment after the window, aware.
        state_updates: Written into the source's state once the window is loaded.
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
        # The next sweep, even if it is the first one, must see what changes from here on.
        began_at = reading.client.now()
        paid = [Condition("payed_at", ">=", since), Condition("payed_at", "<", until)]
        pages = reading.client.list_pages(ORDERS_PATH, paid, decode_order_page)
        for batch in batches(reading.proof.require(pages)):
            yield from order_rows(batch, reading)
        state["quarantine"] = reading.quarantine.as_state()
        state["fetched_until"] = reading.versions.last
        if not reading.proof.is_complete:
            return
        state["dialect"] = reading.observed.dialect.as_state()
        state["known_orders"] = reading.proof.as_state()
        state["salt_check"] = reading.salt_check
        state.setdefault("swept_until", began_at)
        state["loaded"] = as_state([*loaded_windows(state), (since, until)])
        # The loaded versions may differ from those that the last run read.
        state.pop("orders_read", None)
        state.update(state_updates)

    return (orders,)


@dlt.source(name="qtickets", max_table_nesting=0)
def reset_state_source(state_updates: Mapping[str, Any]) -> Iterable[DltResource]:
    """Return no rows: the state forgets every cursor and digest, as before a first run.

    It keeps the loaded periods, since late changes outside of them are left out, the moment since
    which late changes are to be read, and the newest version.

    Args:
        state_updates: Written into the state in the same step, such as the work that is left.
    """

    @dlt.resource(name="reset_state")
    def reset_state() -> Iterator[Any]:
        state = dlt.current.source_state()
        kept = {name: state[name] for name in _KEPT_BY_RESET if name in state}
        state.clear()
        state.update(kept | dict(state_updates))
        yield from ()

    return (reset_state,)
