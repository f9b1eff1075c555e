"""History: orders paid in a window of the past, read in parallel, without moving the cursor."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any

import dlt
from dlt.common.typing import TSecretStrValue
from dlt.extract import DltResource

from .answers import order_heads, order_page
from .client import open_client
from .hints import marked
from .order_pages import as_state, batches, loaded_windows
from .pagination import TRANSPORTS, Transport
from .privacy import salt_key
from .query import Condition, parse_timestamp
from .row_processes import RowProcesses
from .rows import Findings, RowContext, Tables, joined, order_tables
from .settings import BASE_URL, CONNECTIONS, ORDERS_PATH, RETRY_SECONDS, TIMEOUT_SECONDS
from .stamps import Stamps
from .tables import ORDERS, TICKETS
from .transport import RequestCounts
from .windows import Window

# dlt works out a schema for each table that it is given, which costs as much as to make rows of 200
# orders: so tables of history are larger than elsewhere, unless people would wait to see them come.
ORDERS_PER_TABLE = 6_000
SECONDS_PER_TABLE = 5

_REMEMBERED_FOR_EVER = ("loaded", "swept_until", "fetched_until")


def orders_extent(period: Window, **access: Any) -> tuple[datetime, datetime, int]:
    """Where the paid orders of a period really begin, where it ends, and how many they are.

    Args:
        period: [since, until) of payment; an open end means the service's present.
        access: As for `open_client`.

    Returns:
        (since, until, orders): `since` not before the first order was created, `until` not after
        the present, both UTC.
    """
    client = open_client(**access)
    since, until = period
    paid = [Condition("payed_at", ">=", since)]
    if until:
        paid.append(Condition("payed_at", "<", until))
    orders, first_page = client.count(ORDERS_PATH, paid)
    if first_page:
        # Ids grow with time, so no order of the period was paid before its first was created.
        created = parse_timestamp(first_page[0].get("created_at"), "order: `created_at`")
        since = max(since, created or since)
    now = client.now()
    return since, min(until or now, now), orders


@dlt.source(name="qtickets", max_table_nesting=0)
def qtickets_backfill_source(
    since: datetime,
    until: datetime,
    remember: Mapping[str, Any],
    token: TSecretStrValue = dlt.secrets.value,
    pii_salt: TSecretStrValue = dlt.secrets.value,
    base_url: str = BASE_URL,
    connections: int = CONNECTIONS,
    timeout_seconds: float = TIMEOUT_SECONDS,
    retry_seconds: float = RETRY_SECONDS,
    transports: Sequence[Transport] = TRANSPORTS,
    allowed_fields: Sequence[str] = (),
    fetched_after: datetime | None = None,
    counts: RequestCounts | None = None,
    findings: Findings | None = None,
    row_processes: RowProcesses | None = None,
) -> Iterable[DltResource]:
    """Orders paid in [since, until), which must not reach into the future.

    Args:
        since: First moment of payment, aware.
        until: First moment no longer in the window, aware.
        remember: Written into the source's state once the window is loaded.
        row_processes: Make rows of what is read; by default this process does it.

    The other arguments are those of `qtickets_source`.

    Returns:
        `orders` (with table `tickets`).

    Raises:
        QTicketsError: With one sentence that says what failed, where, and what to do.
    """
    findings = findings or Findings()
    stamps = Stamps(dlt.current.source_state().get("fetched_until"), fetched_after)
    client = open_client(
        base_url=base_url,
        token=token,
        stamps=stamps,
        connections=connections,
        timeout_seconds=timeout_seconds,
        retry_seconds=retry_seconds,
        transports=transports,
        counts=counts,
        ignored=findings.ignored,
    )
    context = RowContext(salt_key(pii_salt), frozenset(allowed_fields), findings)

    def tables(paid: Sequence[Condition]) -> Iterator[Tables]:
        if row_processes:
            return row_processes.tables(client.listed(ORDERS_PATH, paid, order_heads), context)
        pages = client.listed(ORDERS_PATH, paid, order_page)
        return (order_tables(batch, context) for batch in batches(pages))

    @dlt.resource(name="orders")
    def orders() -> Iterator[Any]:
        state = dlt.current.source_state()
        # What changes from here on, the next sweep must see, even if it is the first one.
        began_at = client.now()
        paid = [Condition("payed_at", ">=", since), Condition("payed_at", "<", until)]
        for order_table, ticket_table in _together(tables(paid)):
            yield marked(ORDERS, order_table)
            yield marked(TICKETS, ticket_table)
        state.setdefault("swept_until", began_at)
        state["fetched_until"] = stamps.last
        state["loaded"] = as_state([*loaded_windows(state), (since, until)])
        # What is loaded now may differ from what the last run read.
        state.pop("orders_read", None)
        state.update(remember)

    return (orders,)


def _together(tables: Iterator[Tables]) -> Iterator[Tables]:
    """The same rows in fewer tables, unless they come slowly."""
    waiting: list[Tables] = []
    since = time.monotonic()
    for some in tables:
        waiting.append(some)
        rows = sum(len(orders) for orders, _ in waiting)
        if rows >= ORDERS_PER_TABLE or time.monotonic() - since >= SECONDS_PER_TABLE:
            yield joined(waiting)
            waiting, since = [], time.monotonic()
    if waiting:
        yield joined(waiting)


@dlt.source(name="qtickets", max_table_nesting=0)
def forgetful_source(remember: Mapping[str, Any]) -> Iterable[DltResource]:
    """No rows: forgets every cursor and digest, so that all is read as if for the first time.

    What stays are the periods that are loaded, since late changes are held against them, since
    when late changes are to be read, and the newest version given out.

    Args:
        remember: What is left to be done, written into the state in the same step.
    """

    @dlt.resource(name="forget")
    def forget() -> Iterator[Any]:
        state = dlt.current.source_state()
        kept = {name: state[name] for name in _REMEMBERED_FOR_EVER if name in state}
        state.clear()
        state.update(kept | dict(remember))
        yield from ()

    return (forget,)
