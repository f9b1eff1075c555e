"""A dlt source for QTickets (qtickets.ru): ticket sales, events, seats, discounts, promo codes.

    import dlt
    from qtickets_source import qtickets_source

    pipeline = dlt.pipeline("qtickets", destination="clickhouse", dataset_name="zakaz_raw")
    pipeline.run(qtickets_source())

Token and salt come from dlt's configuration: `sources.qtickets.token`, `sources.qtickets.pii_salt`.
"""

import logging
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import datetime, timedelta, timezone
from hashlib import blake2b
from typing import Any

import dlt
import pyarrow as pa
from dlt.common.typing import TSecretStrValue
from dlt.extract import DltResource

from .client import QTicketsClient
from .errors import NotFound, QTicketsError, ServiceUnavailable, UnexpectedAnswer
from .query import Condition, parse_timestamp
from .rows import (
    Findings,
    RowContext,
    discount_table,
    event_tables,
    inventory_table,
    order_tables,
    promo_code_table,
    unreadable_inventory_table,
)
from .settings import (
    BASE_URL,
    CONNECTIONS,
    DISCOUNTS_PATH,
    EVENTS_PATH,
    INITIAL_DAYS,
    ORDERS_PATH,
    OVERLAP_HOURS,
    PROMO_CODES_PATH,
    RETRY_SECONDS,
    ROWS_PER_BATCH,
    SEAT_FIELDS,
    SEATS_PATH,
    TIMEOUT_SECONDS,
)
from .stamps import Stamps
from .tables import (
    ALL_TABLES,
    DISCOUNTS,
    EVENTS,
    INVENTORY,
    ORDERS,
    PROMO_CODES,
    SHOWS,
    TICKETS,
    RawTable,
)
from .transport import ReadOnlySession, RequestCounts

__all__ = [
    "Findings",
    "QTicketsError",
    "RequestCounts",
    "empty_tables_source",
    "qtickets_source",
]

logger = logging.getLogger(__name__)

Row = dict[str, Any]


@dlt.source(name="qtickets", max_table_nesting=0)
def qtickets_source(
    token: TSecretStrValue = dlt.secrets.value,
    pii_salt: TSecretStrValue = dlt.secrets.value,
    base_url: str = BASE_URL,
    initial_since: datetime | None = None,
    overlap_hours: float = OVERLAP_HOURS,
    connections: int = CONNECTIONS,
    timeout_seconds: float = TIMEOUT_SECONDS,
    retry_seconds: float = RETRY_SECONDS,
    allowed_fields: Sequence[str] = (),
    fetched_after: datetime | None = None,
    counts: RequestCounts | None = None,
    findings: Findings | None = None,
) -> Iterable[DltResource]:
    """Resources of a QTickets account.

    Args:
        token: API token of the organiser; only ever sent in the Authorization header.
        pii_salt: Secret that salts the hashes of buyers and barcodes. Keep it: with another salt
            the same buyer becomes another hash.
        base_url: Address of the REST API.
        initial_since: Payments from this moment on are loaded by the first run (default: 30
            days back). Later runs continue from the cursor.
        overlap_hours: How far behind the cursor every run starts over.
        connections: Requests under way at once.
        timeout_seconds: Time for one answer.
        retry_seconds: Time that one request may spend on being retried.
        allowed_fields: Unknown fields (`orders.some_field`) to load although they look personal.
        fetched_after: The newest `_fetched_at` already loaded, if the caller knows better than
            the source's state: versions continue above it.
        counts: Filled with the number of requests and retries.
        findings: Filled with unknown, withheld and missing fields.

    Returns:
        `orders` (with table `tickets`), `order_changes` (the same tables), `events` (with table
        `shows`), `inventory`, `discounts`, `promo_codes`.

    Raises:
        QTicketsError: With one sentence that says what failed, where, and what to do. The
            extraction ends, and nothing of it is loaded.
    """
    session = ReadOnlySession(
        timeout=timeout_seconds,
        retry_seconds=retry_seconds,
        connections=connections,
        counts=counts,
    )
    client = QTicketsClient(base_url, token, session)
    context = RowContext(
        salt=blake2b(pii_salt.encode(), digest_size=32).digest(),
        allowed_fields=frozenset(allowed_fields),
        findings=findings or Findings(),
    )
    state = dlt.current.source_state()
    known = [s for s in (state.get("fetched_until"), fetched_after) if s is not None]
    stamps = Stamps(after=max(known, default=None))
    since = initial_since or datetime.now(timezone.utc) - timedelta(days=INITIAL_DAYS)
    overlap = timedelta(hours=overlap_hours)

    def stamped(pages: Iterator[list[Row]]) -> Iterator[list[Row]]:
        """Pages whose rows know when they were asked for."""
        while True:
            stamp = stamps.next()
            page = next(pages, None)
            if page is None:
                state["fetched_until"] = stamps.last
                return
            for row in page:
                row["_fetched_at"] = stamp
            yield page

    @dlt.resource(name="paid_pages", selected=False)
    def paid_pages(
        payed_at: Any = dlt.sources.incremental(
            "payed_at",
            initial_value=since,
            lag=overlap.total_seconds(),
            # Without a key dlt does not drop a row that changed at the cursor's own second.
            primary_key=(),
        ),
    ) -> Iterator[list[Row]]:
        """Orders by time of payment."""
        state.setdefault("orders_since", since)
        paid_since = [Condition("payed_at", ">=", payed_at.start_value)]
        pages = client.walk(ORDERS_PATH, paid_since, closed_by="payed_at")
        yield from _batches(stamped(pages), cursor="payed_at")

    @dlt.resource(name="changed_pages", selected=False)
    def changed_pages() -> Iterator[list[Row]]:
        """Orders changed since the last sweep."""
        # Before any sweep there is nothing to catch up with: the walk by payment, which runs
        # now, reads every order as it is.
        began_at = client.now()
        swept_until = state.get("swept_until", began_at) - overlap
        changed_since = [Condition("updated_at", ">=", swept_until)]
        loaded_since = state.get("orders_since", since)
        pages = client.walk(ORDERS_PATH, changed_since, closed_by="updated_at")
        for batch in _batches(stamped(pages), cursor="updated_at"):
            # A single late change from before the loaded period would look like that day's
            # whole sales.
            yield [order for order in batch if _paid_since(order, loaded_since)]
        state["swept_until"] = began_at

    def order_rows(page: list[Row]) -> Iterator[Any]:
        order_table, ticket_table = order_tables(page, context)
        yield _of(ORDERS, order_table)
        yield _of(TICKETS, ticket_table)

    @dlt.transformer(name="orders", data_from=paid_pages)
    def orders(page: list[Row]) -> Iterator[Any]:
        """New sales, with their tickets."""
        yield from order_rows(page)

    @dlt.transformer(name="order_changes", data_from=changed_pages)
    def order_changes(page: list[Row]) -> Iterator[Any]:
        """Refunds, cancellations and exchanges of sales of any age, with their tickets."""
        yield from order_rows(page)

    @dlt.resource(name="event_pages", selected=False)
    def event_pages() -> Iterator[list[Row]]:
        yield from stamped(client.pages(EVENTS_PATH))

    @dlt.transformer(name="events", data_from=event_pages)
    def events(page: list[Row]) -> Iterator[Any]:
        """Events and their shows, those that changed since the last run."""
        changed = _changed(page, dlt.current.resource_state("events"))
        if changed:
            event_table, show_table = event_tables(changed, context)
            yield _of(EVENTS, event_table)
            yield _of(SHOWS, show_table)

    snapshot_at = stamps.next()

    @dlt.transformer(name="inventory", data_from=event_pages)
    def inventory(page: list[Row]) -> Iterator[Callable[[], Any]]:
        """A snapshot of the seats of every show that can still change, several at a time."""
        for event in page:
            for show in _open_shows(event, client.now()):
                yield read_seats(event, show)

    @dlt.defer
    def read_seats(event: Row, show: Row) -> Any:
        fetched_at = stamps.next()
        moment: dict[str, Any] = {
            "snapshot_at": snapshot_at,
            "fetched_at": fetched_at,
            "context": context,
        }
        try:
            seats = client.get(
                SEATS_PATH.format(show_id=show["id"]), {"select": list(SEAT_FIELDS), "flat": True}
            )
            rows = seats.values() if isinstance(seats, dict) else seats
            return _of(INVENTORY, inventory_table(event["id"], show["id"], rows, **moment))
        except (NotFound, ServiceUnavailable, UnexpectedAnswer) as error:
            logger.warning("Seats of show %s are unknown in this run: %s", show["id"], error)
            reason = type(error).__name__
            table = unreadable_inventory_table(event["id"], show["id"], reason, **moment)
            return _of(INVENTORY, table)

    @dlt.resource(name="discounts")
    def discounts() -> Iterator[pa.Table]:
        for page in stamped(client.pages(DISCOUNTS_PATH)):
            yield _of(DISCOUNTS, discount_table(page, context))

    @dlt.resource(name="promo_codes")
    def promo_codes() -> Iterator[pa.Table]:
        for page in stamped(client.pages(PROMO_CODES_PATH)):
            yield _of(PROMO_CODES, promo_code_table(page, context))

    return (
        orders,
        order_changes,
        events,
        inventory,
        discounts,
        promo_codes,
    )


@dlt.source(name="qtickets", max_table_nesting=0)
def empty_tables_source() -> Iterable[DltResource]:
    """Every raw table without a row: what `--bootstrap` makes, and what an empty account has."""

    @dlt.resource(name="empty_tables")
    def empty_tables() -> Iterator[Any]:
        for table in ALL_TABLES:
            yield _of(table, table.arrow_schema().empty_table())

    return (empty_tables,)


def _of(table: RawTable, rows: pa.Table) -> Any:
    """Rows marked for dlt as rows of `table`, with its key, version and engine."""
    return dlt.mark.with_hints(rows, table.hints(), create_table_variant=True)


def _batches(pages: Iterator[list[Row]], cursor: str) -> Iterator[list[Row]]:
    """Rows of several pages together, their `cursor` parsed so that dlt compares moments."""
    batch: list[Row] = []
    for page in pages:
        for row in page:
            row[cursor] = parse_timestamp(row.get(cursor), f"order {row.get('id')}: `{cursor}`")
        batch.extend(page)
        if len(batch) >= ROWS_PER_BATCH:
            yield batch
            batch = []
    if batch:
        yield batch


def _paid_since(order: Row, since: datetime) -> bool:
    payed_at = parse_timestamp(order.get("payed_at"), f"order {order.get('id')}: `payed_at`")
    return payed_at is None or payed_at >= since


def _changed(events: list[Row], hashes: dict[str, Any]) -> list[Row]:
    """The events that differ from what was loaded before, by a hash kept in the state.

    An event with its seat schemes is up to a megabyte and is listed by every run; loading it
    again 48 times a day would be most of the traffic.
    """
    changed = []
    for event in events:
        content = {key: value for key, value in event.items() if key != "_fetched_at"}
        digest = blake2b(repr(content).encode(), digest_size=12).hexdigest()
        if hashes.get(str(event["id"])) != digest:
            hashes[str(event["id"])] = digest
            changed.append(event)
    return changed


def _open_shows(event: Row, now: datetime) -> Iterator[Row]:
    """Shows whose seats can still change: neither deleted nor over.

    `is_active` does not matter: an inactive show only has its sale closed for now.
    """
    if event.get("deleted_at"):
        return
    for show in event.get("shows") or []:
        ends = show.get("finish_date") or show.get("start_date") or show.get("open_date")
        ends_at = parse_timestamp(ends, f"show {show.get('id')}: `finish_date`")
        if not show.get("deleted_at") and (ends_at is None or ends_at >= now):
            yield show
