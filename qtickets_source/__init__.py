"""A dlt source for QTickets (qtickets.ru): ticket sales, events, seats, discounts, promo codes.

    import dlt
    from qtickets_source import qtickets_source

    pipeline = dlt.pipeline("qtickets", destination="clickhouse", dataset_name="zakaz_raw")
    pipeline.run(qtickets_source())

Token and salt come from dlt's configuration: `sources.qtickets.token`, `sources.qtickets.pii_salt`.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime, timedelta, timezone
from functools import cache
from typing import Any, TypeVar

import dlt
import pyarrow as pa
from dlt.common.typing import TSecretStrValue
from dlt.extract import DltResource

from .backfill import forgetful_source, orders_extent, qtickets_backfill_source
from .changes import OrderMemory, changed_rows, has_changed, tables_differ
from .client import open_client
from .errors import (
    AccessRefused,
    BadRow,
    NotFound,
    QTicketsError,
    ServiceUnavailable,
    UnexpectedAnswer,
    UnknownPath,
)
from .hints import marked
from .order_pages import as_state, batches, is_loaded, loaded_windows
from .pagination import TRANSPORTS, Transport
from .privacy import salt_key
from .query import Condition, parse_timestamp
from .row_processes import RowProcesses
from .rows import (
    Findings,
    RowContext,
    SnapshotMoment,
    barcode_table,
    client_table,
    discount_table,
    event_tables,
    inventory_table,
    listed,
    order_tables,
    partner_ticket_table,
    price_shade_table,
    promo_code_table,
    seat_rows,
    unreadable_inventory_table,
)
from .settings import (
    BARCODE_FIELDS,
    BARCODES_PATH,
    BASE_URL,
    CLIENTS_PATH,
    COLOR_THEMES_PATH,
    CONNECTIONS,
    DISCOUNTS_PATH,
    EVENTS_PATH,
    INITIAL_DAYS,
    ORDERS_PATH,
    OVERLAP_HOURS,
    PARTNERS_FIND_PATH,
    PROMO_CODES_PATH,
    REREAD_DAYS,
    REREAD_EVERY,
    RETRY_SECONDS,
    SEAT_FIELDS,
    SEATS_PATH,
    SNAPSHOT_EVERY,
    TIMEOUT_SECONDS,
)
from .stamps import Stamps
from .tables import (
    ALL_TABLES,
    BARCODES,
    CLIENTS,
    DISCOUNTS,
    EVENTS,
    INVENTORY,
    ORDERS,
    PARTNER_TICKETS,
    PRICE_SHADES,
    PROMO_CODES,
    SHOWS,
    TICKETS,
)
from .transport import RequestCounts

__all__ = [
    "Findings",
    "QTicketsError",
    "RequestCounts",
    "RowProcesses",
    "empty_tables_source",
    "forgetful_source",
    "orders_extent",
    "qtickets_backfill_source",
    "qtickets_source",
]

logger = logging.getLogger(__name__)

Row = dict[str, Any]
T = TypeVar("T")


@dlt.source(name="qtickets", max_table_nesting=0)
def qtickets_source(
    token: TSecretStrValue = dlt.secrets.value,
    pii_salt: TSecretStrValue = dlt.secrets.value,
    base_url: str = BASE_URL,
    initial_since: datetime | None = None,
    overlap_hours: float = OVERLAP_HOURS,
    reread_days: float = REREAD_DAYS,
    connections: int = CONNECTIONS,
    timeout_seconds: float = TIMEOUT_SECONDS,
    retry_seconds: float = RETRY_SECONDS,
    transports: Sequence[Transport] = TRANSPORTS,
    partners_base_url: str | None = None,
    partners_token: TSecretStrValue | None = None,
    partners_find_requests: Sequence[Mapping[str, Any]] = (),
    allowed_fields: Sequence[str] = (),
    fetched_after: datetime | None = None,
    counts: RequestCounts | None = None,
    findings: Findings | None = None,
) -> Iterable[DltResource]:
    """What is new and what changed in a QTickets account since the last run.

    Args:
        token: API token of the organiser; only ever sent in the Authorization header.
        pii_salt: Secret that salts the hashes of buyers and barcodes. Keep it: with another salt
            the same buyer becomes another hash.
        base_url: Address of the REST API.
        initial_since: Payments from this moment on are loaded by the first run (default: 30
            days back). Later runs continue from the cursor.
        overlap_hours: How far behind the cursor every run starts over.
        reread_days: Once a day, orders paid, or for shows held, in this many days are read again,
            for changes that move no timestamp of the order, such as scans. 0: never.
        connections: Requests under way at once, all resources together.
        timeout_seconds: Time for one answer.
        retry_seconds: Time that one request may spend on being retried.
        transports: How list requests are sent, in the order in which they are tried.
        partners_base_url: Address of the Partners API, for `partner_tickets`.
        partners_token: Its key.
        partners_find_requests: Filters of its ticket search, such as `{"id": [12361332]}`.
        allowed_fields: Unknown fields (`orders.some_field`) to load although they look personal.
        fetched_after: The newest `_fetched_at` already loaded, if the caller knows better than
            the source's state: versions continue above it.
        counts: Filled with the number of requests and retries.
        findings: Filled with what was unknown, withheld, missing or ignored.

    Returns:
        `orders` (with table `tickets`), `order_changes` and `reread_orders` (the same tables),
        `events` (with table `shows`), `inventory`, `discounts`, `promo_codes`, `price_shades`;
        and, to be selected, `clients`, `barcodes`, `partner_tickets`. One of the latter eight
        that the account may not read is skipped with a warning, and named in `findings`.

    Raises:
        QTicketsError: With one sentence that says what failed, where, and what to do. The
            extraction ends, and nothing of it is loaded.
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
    since = initial_since or datetime.now(timezone.utc) - timedelta(days=INITIAL_DAYS)
    overlap = timedelta(hours=overlap_hours)

    @cache
    def memory() -> OrderMemory:
        return OrderMemory(dlt.current.source_state().get("orders_read", {}), context)

    @cache
    def snapshot_at() -> datetime:
        """One moment for all seats of the run, by the clock that sales go by: the service's."""
        return client.now()

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
        state = dlt.current.source_state()
        paid_since = [Condition("payed_at", ">=", payed_at.start_value)]
        pages = client.walk(ORDERS_PATH, paid_since, closed_by="payed_at")
        yield from batches(map(memory().news, pages), cursor="payed_at")
        state["orders_read"] = memory().as_state()
        state["fetched_until"] = stamps.last
        state["loaded"] = as_state([*loaded_windows(state), (payed_at.start_value, None)])
        state.setdefault("cursor_from", payed_at.start_value)

    @dlt.resource(name="changed_pages", selected=False)
    def changed_pages() -> Iterator[list[Row]]:
        """Orders changed since the last sweep."""
        state = dlt.current.source_state()
        # Before any sweep there is nothing to catch up with: the walk by payment, which runs
        # now, reads every order as it is.
        began_at = client.now()
        swept_until = state.get("swept_until", began_at) - overlap
        changed_since = [Condition("updated_at", ">=", swept_until)]
        loaded = (
            [*loaded_windows(state), (since, None)]
            if "loaded" not in state
            else loaded_windows(state)
        )
        pages = client.walk(ORDERS_PATH, changed_since, closed_by="updated_at")
        for batch in batches(map(memory().news, pages), cursor="updated_at"):
            # A single late change from before the loaded period would look like that day's
            # whole sales.
            yield [order for order in batch if is_loaded(order, loaded)]
        state["orders_read"] = memory().as_state()
        state["fetched_until"] = stamps.last
        state["swept_until"] = began_at

    @dlt.resource(name="event_pages", selected=False)
    def event_pages() -> Iterator[list[Row]]:
        yield from client.listed(EVENTS_PATH)

    def readable(dataset: str, items: Iterable[T]) -> Iterator[T]:
        """The items; none more once the account turns out not to be allowed to read them."""
        try:
            yield from items
        except (AccessRefused, NotFound, UnknownPath) as error:
            findings.skipped[dataset] = str(error)
            logger.warning("Dataset %s is left out of this run: %s", dataset, error)

    def order_rows(page: list[Row]) -> Iterator[Any]:
        order_table, ticket_table = order_tables(page, context)
        yield marked(ORDERS, order_table)
        yield marked(TICKETS, ticket_table)

    @dlt.transformer(name="orders", data_from=paid_pages)
    def orders(page: list[Row]) -> Iterator[Any]:
        """New sales, with their tickets."""
        yield from order_rows(page)

    @dlt.transformer(name="order_changes", data_from=changed_pages)
    def order_changes(page: list[Row]) -> Iterator[Any]:
        """Refunds, cancellations and exchanges of sales of any age, with their tickets."""
        yield from order_rows(page)

    @dlt.resource(name="reread_pages", selected=False)
    def reread_pages() -> Iterator[list[Row]]:
        """Orders paid lately, and orders for shows held lately, whatever their timestamps say."""
        state, now = dlt.current.source_state(), client.now()
        # Once a day, and not in the first run, which reads everything anyway.
        if not reread_days or now - state.setdefault("reread_at", now) < REREAD_EVERY:
            return
        lately = now - timedelta(days=reread_days)
        event_ids = [
            event["id"]
            for page in client.listed(EVENTS_PATH)
            for event in page
            if _was_held(event, lately, now)
        ]
        paid_lately = [Condition("payed_at", ">=", lately), Condition("payed_at", "<=", now)]
        loaded = loaded_windows(state)
        readings = [client.listed(ORDERS_PATH, paid_lately)]
        if event_ids:
            held_lately = [Condition("event_id", "in", event_ids), paid_lately[1]]
            readings.append(client.listed(ORDERS_PATH, held_lately))
        for pages in readings:
            for batch in batches(map(memory().news, pages), cursor="updated_at"):
                yield [order for order in batch if is_loaded(order, loaded)]
        state["reread_at"] = now
        state["orders_read"] = memory().as_state()

    @dlt.transformer(name="reread_orders", data_from=reread_pages)
    def reread_orders(page: list[Row]) -> Iterator[Any]:
        """Scans, and whatever else the service does not stamp, with their tickets."""
        yield from order_rows(page)

    @dlt.transformer(name="events", data_from=event_pages)
    def events(page: list[Row]) -> Iterator[Any]:
        """Events and their shows, those that changed since the last run."""
        changed = changed_rows(page, dlt.current.resource_state("events"), context)
        if changed:
            event_table, show_table = event_tables(changed, context)
            yield marked(EVENTS, event_table)
            yield marked(SHOWS, show_table)

    @dlt.transformer(name="inventory", data_from=event_pages)
    def inventory(page: list[Row]) -> Iterator[Any]:
        """A snapshot of the seats of every show that can still change, several at a time.

        One that equals the last is not loaded, unless that is getting old.
        """
        shows = [(event, show) for event in page for show in _open_shows(event, snapshot_at())]
        tables = list(client.each(read_seats, shows))
        last = dlt.current.resource_state("inventory")
        if tables and tables_differ(
            seats := pa.concat_tables(tables),
            str(page[0]["id"]),
            last,
            context,
            at=snapshot_at(),
            at_most=SNAPSHOT_EVERY,
        ):
            yield marked(INVENTORY, seats)

    def read_seats(event_and_show: tuple[Row, Row]) -> pa.Table:
        event, show = event_and_show
        moment = SnapshotMoment(snapshot_at(), fetched_at=stamps.next())
        try:
            path = SEATS_PATH.format(show_id=show["id"])
            seats = client.get(path, {"select": list(SEAT_FIELDS), "flat": True})
            return inventory_table(event["id"], show["id"], seat_rows(seats), moment, context)
        except (NotFound, ServiceUnavailable, UnexpectedAnswer, BadRow) as error:
            logger.warning("Seats of show %s are unknown in this run: %s", show["id"], error)
            reason = type(error).__name__
            return unreadable_inventory_table(event["id"], show["id"], reason, moment, context)

    @dlt.resource(name="discounts")
    def discounts() -> Iterator[Any]:
        for page in readable("discounts", client.listed(DISCOUNTS_PATH)):
            if has_changed(page, dlt.current.resource_state("discounts"), context):
                yield marked(DISCOUNTS, discount_table(page, context))

    @dlt.resource(name="promo_codes")
    def promo_codes() -> Iterator[Any]:
        for page in readable("promo_codes", client.listed(PROMO_CODES_PATH)):
            if has_changed(page, dlt.current.resource_state("promo_codes"), context):
                yield marked(PROMO_CODES, promo_code_table(page, context))

    @dlt.resource(name="price_shades")
    def price_shades() -> Iterator[Any]:
        for page in readable("price_shades", client.single(COLOR_THEMES_PATH, {})):
            if has_changed(page, dlt.current.resource_state("price_shades"), context):
                yield marked(PRICE_SHADES, price_shade_table(page, context))

    @dlt.resource(name="clients", selected=False)
    def clients() -> Iterator[Any]:
        """Buyers that have come since the last run, by id; what they are called is not kept."""
        state = dlt.current.resource_state("clients")
        newer = [Condition("id", ">", state.get("last_id", 0))]
        for page in readable("clients", client.walk(CLIENTS_PATH, newer)):
            if page:
                yield marked(CLIENTS, client_table(page, context))
                state["last_id"] = page[-1]["id"]

    @dlt.transformer(name="barcodes", data_from=event_pages, selected=False)
    def barcodes(page: list[Row]) -> Iterator[Any]:
        """The valid tickets of every show that can still change, several shows at a time."""
        shows = [show for event in page for show in _open_shows(event, client.now())]
        tables = [*readable("barcodes", client.each(read_barcodes, shows))]
        if tables:
            yield marked(BARCODES, pa.concat_tables(tables, promote_options="default"))

    def read_barcodes(show: Row) -> pa.Table:
        path = BARCODES_PATH.format(show_id=show["id"])
        (tickets,) = client.single(path, {"select": list(BARCODE_FIELDS)})
        valid = [ticket for ticket in tickets if ticket.get("barcode")]
        return barcode_table(show["id"], valid, context)

    @dlt.resource(name="partner_tickets", selected=False)
    def partner_tickets() -> Iterator[Any]:
        """Tickets found through the Partners API by the given filters."""
        partners = open_client(
            base_url=partners_base_url or "",
            token=partners_token or "",
            stamps=stamps,
            timeout_seconds=timeout_seconds,
            retry_seconds=retry_seconds,
            counts=counts,
        )
        for wanted in partners_find_requests:
            found = partners.single(PARTNERS_FIND_PATH, {"filter": dict(wanted)})
            for page in readable("partner_tickets", found):
                yield marked(PARTNER_TICKETS, partner_ticket_table(page, context))

    return (
        orders,
        order_changes,
        reread_orders,
        events,
        inventory,
        discounts,
        promo_codes,
        price_shades,
        clients,
        barcodes,
        partner_tickets,
    )


@dlt.source(name="qtickets", max_table_nesting=0)
def empty_tables_source() -> Iterable[DltResource]:
    """Every raw table without a row: what `--bootstrap` makes, and what an empty account has."""

    @dlt.resource(name="empty_tables")
    def empty_tables() -> Iterator[Any]:
        for table in ALL_TABLES:
            yield marked(table, table.arrow_schema().empty_table())

    return (empty_tables,)


def _ends_at(show: Row) -> datetime | None:
    ends = show.get("finish_date") or show.get("start_date") or show.get("open_date")
    return parse_timestamp(ends, f"show {show.get('id')}: `finish_date`")


def _was_held(event: Row, since: datetime, until: datetime) -> bool:
    """Whether people could come to one of the event's shows between two moments."""
    for show in listed(event.get("shows")) or ():
        opens = show.get("open_date") or show.get("start_date")
        opens_at = parse_timestamp(opens, f"show {show.get('id')}: `open_date`")
        ends_at = _ends_at(show)
        if opens_at and opens_at <= until and (ends_at is None or ends_at >= since):
            return True
    return False


def _open_shows(event: Row, now: datetime) -> Iterator[Row]:
    """Shows whose seats can still change: neither deleted nor over.

    `is_active` does not matter: an inactive show only has its sale closed for now.
    """
    if event.get("deleted_at"):
        return
    for show in listed(event.get("shows")) or ():
        ends_at = _ends_at(show)
        if not show.get("deleted_at") and (ends_at is None or ends_at >= now):
            yield show
