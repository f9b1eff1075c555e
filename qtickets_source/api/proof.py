"""Proof, in every run, that the service understands the questions whose answers are believed.

The loader stands on filters that the service's documentation does not describe for orders. A filter
that is ignored shows in the rows that come, and `verify_filter` finds it. What shows in no row is a
filter that leaves rows out: a bound whose UTC offset is read differently, an answer from a cache
that looks only at the address, a service that returns empty lists, another organiser's token.

So a known order is asked for in three ways. It must come when asked for by its id and by a window
that is exactly its own `payed_at` and `updated_at`. It must not come when the window ends a second
before its payment, nor when it begins a second after its last change.
"""

import logging
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import TYPE_CHECKING, Any

from ..datetimes import parse_timestamp
from ..errors import (
    BadRow,
    FilterIgnored,
    FilterRefused,
    Misunderstood,
    NotFound,
    OtherAccount,
)
from ..observations import Observations
from ..settings import EVENTS_PATH, ORDERS_PATH
from .filters import Condition

if TYPE_CHECKING:
    from .client import QTicketsClient

logger = logging.getLogger(__name__)

EVENTS_REMEMBERED = 1000
"""Events by which the account is recognised if all known orders were deleted."""

Row = dict[str, Any]

TIME_COLUMNS = ("payed_at", "updated_at")
SECOND = timedelta(seconds=1)
KNOWN_ORDERS = 3
"""Orders kept for the next run: one may have been deleted by then, three are not."""
SETTLED_AFTER = timedelta(minutes=1)
"""An order that changed later than this may change again while it is asked for."""


_NOTHING_LOST = (
    "Nothing was loaded, and no cursor has moved: the next run tries again. If it stays so, report"
    " it to QTickets' support."
)


@dataclass(frozen=True)
class KnownOrder:
    """An order as it was read: what it is asked for by."""

    id: int
    payed_at: datetime
    updated_at: datetime

    @classmethod
    def of(cls, row: Row) -> "KnownOrder | None":
        """Return the order of a row; None if it has no time of payment or of change."""
        where = f"order {row.get('id')}"
        try:
            payed_at = parse_timestamp(row.get("payed_at"), f"{where}: `payed_at`")
            updated_at = parse_timestamp(row.get("updated_at"), f"{where}: `updated_at`")
        except BadRow:
            return None
        if payed_at is None or updated_at is None:
            return None
        return cls(row["id"], payed_at.replace(microsecond=0), updated_at.replace(microsecond=0))

    def by_id(self) -> Condition:
        """Return the condition that only this order satisfies."""
        return Condition("id", "=", self.id)

    def window(self, *columns: str) -> list[Condition]:
        """Return the window of a second that holds its payment, its last change, or both."""
        moments = {"payed_at": self.payed_at, "updated_at": self.updated_at}
        return [
            Condition(column, bound, moments[column])
            for column in columns
            for bound in (">=", "<=")
        ]


def event_name(event: Row) -> str:
    """Return the name of an event; of a name in several languages, the first."""
    name = event.get("name")
    if isinstance(name, dict):
        name = next(iter(name.values()), "")
    return str(name or f"event {event['id']}")


def _named(events: Mapping[int, str]) -> str:
    """Return the names of the newest events."""
    names = [events[id_] for id_ in sorted(events)[-2:]]
    return " and ".join(f"“{name}”" for name in names) or "an account without events"


class ServiceProof:
    """Proves once a run that filters of orders are understood.

    Args:
        client: Asks the service.
        observed: Records that it is proven, for the other sources of the run.
        known: Orders that earlier runs have read, from the state.
        account: Events of the account that earlier runs have read, name by id, from the state.
    """

    def __init__(
        self,
        client: "QTicketsClient",
        observed: Observations,
        known: Iterable[KnownOrder] = (),
        account: Mapping[int, str] | None = None,
    ) -> None:
        self._client = client
        self._observed = observed
        self._known = list(known)
        self._account = account or {}

    @property
    def is_complete(self) -> bool:
        """Whether it is proven; until then no cursor may move."""
        return self._observed.filters_proven

    def require(self, pages: Iterable[list[Row]]) -> Iterator[list[Row]]:
        """Yield pages of orders once it is proven.

        Orders of earlier runs prove it before a page is read; a first run proves it with the first
        order that it meets. An account without any order proves nothing.

        Raises:
            Misunderstood: A question was misunderstood.
        """
        if not self.is_complete and self._known:
            self._prove_with_known_orders()
        last: list[Row] = []
        for page in pages:
            if not self.is_complete:
                self._prove_with(page)
            last = page or last
            yield page
        if not self.is_complete:
            last = self._client.first_page(ORDERS_PATH, ())
            self._prove_with(last)
        self._remember(last)

    def as_state(self) -> list[dict[str, Any]]:
        """Return the orders with which the next run begins."""
        return [asdict(order) for order in self._known]

    def _prove_with_known_orders(self) -> None:
        if any(self._is_understood(order) for order in reversed(self._known)):
            return
        listed = self._client.first_page(ORDERS_PATH, ())
        if not listed:
            raise Misunderstood(
                f"GET /{ORDERS_PATH}: none of the orders {self._ids()}, which earlier runs have"
                " loaded, is found by its id: the service returns empty lists. Nothing was loaded,"
                " and no cursor has moved. Check QTICKETS_TOKEN and QTICKETS_BASE_URL."
            )
        self._prove_with(listed)
        self._require_same_account(listed[0]["id"])

    def _require_same_account(self, listed_order: int) -> None:
        """Check by its events that the account is the one whose orders were loaded.

        Raises:
            OtherAccount: It has none of them.
        """
        listed = {
            event["id"]: event_name(event)
            for page in self._client.list_pages(EVENTS_PATH)
            for event in page
        }
        if listed.keys() & self._account.keys():
            # Those orders were deleted; the account is the same.
            return
        self._observed.filters_proven = False
        raise OtherAccount(
            f"QTICKETS_TOKEN is that of another organiser. This database holds the sales of"
            f" {_named(self._account)} (orders {self._ids()}), which the account of the token does"
            f" not have; it has {_named(listed)} (order {listed_order}). Nothing was loaded. Set"
            " the token of the first organiser, or another CLICKHOUSE_DB and QTICKETS_HOME for the"
            " second: one database holds one account (docs/accounts.md)."
        )

    def _prove_with(self, page: Sequence[Row]) -> None:
        for order in self._candidates(page)[:1]:
            if not self._is_understood(order):
                raise Misunderstood(
                    f"GET /{ORDERS_PATH}: order {order.id} came in a list, and is not found by its"
                    f" id. The service misunderstood `id =`. {_NOTHING_LOST}"
                )

    def _candidates(self, page: Sequence[Row]) -> list[KnownOrder]:
        """Return the paid orders of a page, those first that are not likely to change now."""
        orders = [order for row in page if (order := KnownOrder.of(row))]
        if not orders:
            return []
        settled = self._client.now() - SETTLED_AFTER
        return sorted(orders, key=lambda order: order.updated_at > settled)

    def _remember(self, page: Sequence[Row]) -> None:
        for order in self._candidates(page)[: KNOWN_ORDERS - 1]:
            known = [known for known in self._known if known.id != order.id]
            self._known = [*known, order][-KNOWN_ORDERS:]

    def _is_understood(self, order: KnownOrder) -> bool:
        """Ask for an order in three ways; return False if it is not found by its id.

        Filters that the service is known not to honour are left out: lists that need them are read
        another way.

        Raises:
            Misunderstood: It is found by its id, and one of the ways is misunderstood.
        """
        try:
            if not self._is_found(order, *order.window(*TIME_COLUMNS)):
                current = next(iter(self._by_id(order)), None)
                changed = KnownOrder.of(current) if current else None
                if not changed:
                    return False
                # It may have changed since it was read: it is asked for as it is now.
                order = changed
                if not self._is_found(order, *order.window(*TIME_COLUMNS)):
                    self._explain(order)
            self._must_not_find(order, Condition("payed_at", "<=", order.payed_at - SECOND))
            self._must_not_find(order, Condition("updated_at", ">=", order.updated_at + SECOND))
        except FilterIgnored:
            # No transport is honoured. Lists are then read whole, compared with the service's
            # count, and filtered here: nothing depends on how the service reads a filter.
            logger.debug("The proof is left out: the service honours no filter.")
        self._observed.filters_proven = True
        self._known = [*(known for known in self._known if known.id != order.id), order]
        return True

    def _is_found(self, order: KnownOrder, *conditions: Condition) -> bool:
        """Return whether an order comes when asked for by its id and conditions."""
        found = self._client.find(ORDERS_PATH, (order.by_id(), *conditions))
        return bool(self._by_id(order) if found is None else found)

    def _by_id(self, order: KnownOrder) -> list[Row]:
        """Return the order as it is now; [] if the service does not have it."""
        found = self._client.find(ORDERS_PATH, [order.by_id()])
        if found is not None:
            return found
        try:
            return [self._client.get(f"{ORDERS_PATH}/{order.id}", {})]
        except NotFound:
            return []

    def _explain(self, order: KnownOrder) -> None:
        """Raise the error that says which of the windows was misunderstood."""
        for column in TIME_COLUMNS:
            window = order.window(column)
            if not self._is_found(order, *window):
                raise Misunderstood(
                    f"GET /{ORDERS_PATH}: order {order.id} is not found by a window around"
                    f" its own {column}, {window[0].as_json()['value']}. The service reads the time"
                    " or the UTC offset of a filter differently, so lists may lack rows."
                    f" {_NOTHING_LOST}"
                )
        raise Misunderstood(
            f"GET /{ORDERS_PATH}: order {order.id} is found by windows of its payed_at and of its"
            " updated_at, and not by both together. The service misunderstood a filter of several"
            f" conditions. {_NOTHING_LOST}"
        )

    def _must_not_find(self, order: KnownOrder, condition: Condition) -> None:
        both = [order.by_id(), condition]
        if not all(self._observed.dialect.accepts(ORDERS_PATH, c.column, c.operator) for c in both):
            return
        try:
            self._client.first_page(ORDERS_PATH, both)
        except FilterRefused:
            return
        except FilterIgnored:
            # An ignored column shows in the rows of a list, which is then read another way. The
            # same answer to every question shows in nothing else.
            try:
                self._client.first_page(ORDERS_PATH, [Condition("id", "=", 0)])
            except FilterIgnored as error:
                raise Misunderstood(
                    f"GET /{ORDERS_PATH}: different questions get the same answer, with order"
                    f" {order.id}. Something in front of the service answers by the address alone,"
                    " from a cache. Look for a proxy between this machine and QTickets."
                    f" {_NOTHING_LOST}"
                ) from error

    def _ids(self) -> str:
        return ", ".join(str(order.id) for order in self._known)
