"""Reconciliation: what the service counts and lists, held against what is loaded.

The caller knows what is loaded. It counts by month; for the days that differ it runs
`qtickets_reconciliation_source`, which lists them, loads what is missing or has changed, and names
what the service no longer has.
"""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import dlt
from dlt.extract import DltResource

from .api.filters import Condition
from .configuration import QTicketsConfiguration
from .observations import Observations
from .resources.reading import Reading, client_for, open_reading
from .rows.dlt_hints import with_table_hints
from .rows.schema import ORDERS, TICKETS
from .settings import ORDERS_PATH

IDS_PER_REQUEST = 50
"""As many as a page of orders has."""
VANISHED_AFTER = timedelta(hours=20)
"""An order that two reconciliations this far apart do not find no longer exists."""


@dataclass(frozen=True)
class LoadedDay:
    """A day of payments [since, until), UTC, and the ids of its orders that are loaded."""

    since: datetime
    until: datetime
    ids: frozenset[int]


@dataclass
class Differences:
    """Ids of orders that differed.

    Attributes:
        missing: They were not loaded.
        changed: They were loaded with another date of payment.
        not_found: The service does not list them.
        vanished: Those of `not_found` that have not been found for `VANISHED_AFTER`.
    """

    missing: list[int] = field(default_factory=list)
    changed: list[int] = field(default_factory=list)
    not_found: list[int] = field(default_factory=list)
    vanished: list[int] = field(default_factory=list)


class PaymentCounts:
    """Counts paid orders at the service.

    Args:
        config: How the service is read; its token must be set.
        observed: Collects request counts; its dialect is used.
    """

    def __init__(self, config: QTicketsConfiguration, observed: Observations) -> None:
        self._client = client_for(config, observed=observed)

    def between(self, since: datetime, until: datetime) -> int:
        """Return the number of orders paid in [since, until); 0 too if it cannot be counted."""
        return self._client.count(ORDERS_PATH, paid_between(since, until))[0]

    def without_date(self) -> int:
        """Return the number of paid orders without a date; 0 too if it cannot be counted."""
        return self._client.count(ORDERS_PATH, PAID_WITHOUT_DATE)[0]


PAID_WITHOUT_DATE = (Condition("payed", "=", 1), Condition("payed_at", "null", None))


def paid_between(since: datetime, until: datetime) -> list[Condition]:
    """Return the conditions of payment in [since, until)."""
    return [Condition("payed_at", ">=", since), Condition("payed_at", "<", until)]


@dlt.source(name="qtickets", max_table_nesting=0, spec=QTicketsConfiguration)
def qtickets_reconciliation_source(
    days: Sequence[LoadedDay],
    differences: Differences,
    loaded_without_date: frozenset[int] | None = None,
    config: QTicketsConfiguration = None,  # type: ignore[assignment]
    fetched_after: datetime | None = None,
    observed: Observations | None = None,
) -> Iterable[DltResource]:
    """Return `orders` (with table `tickets`) that are missing or have changed.

    Args:
        days: The days whose counts differ.
        differences: What differed is added here.
        loaded_without_date: Loaded orders that are paid and have no date of payment; None: the
            service has as many.
        config: As for `qtickets_source`.
        fetched_after: As for `qtickets_source`.
        observed: As for `qtickets_source`.

    Raises:
        QTicketsError: With one sentence that says what failed, where, and what to do.
    """
    reading = open_reading(config, fetched_after, observed)

    @dlt.resource(name="orders")
    def orders() -> Iterator[Any]:
        state, only_loaded = dlt.current.source_state(), set[int]()
        for day in days:
            paid = paid_between(day.since, day.until)
            listed = yield from _load_missing(reading, paid, day.ids, differences)
            only_loaded |= day.ids - listed
        if loaded_without_date is not None:
            yield from _load_missing(reading, PAID_WITHOUT_DATE, loaded_without_date, differences)
        yield from _load_again(reading, sorted(only_loaded), differences)
        state["quarantine"] = reading.quarantine.as_state()
        state["fetched_until"] = reading.versions.last
        if not reading.proof.is_complete:
            return
        state["not_found"], differences.vanished = _not_found_since(
            state.get("not_found", {}), differences.not_found, reading.client.now()
        )

    return (orders,)


def _load_missing(
    reading: Reading, asked: Sequence[Condition], loaded: frozenset[int], differences: Differences
) -> Any:
    """Yield the tables of listed orders that are not loaded; return the ids of all listed."""
    listed: set[int] = set()
    for page in reading.proof.require(reading.client.list_pages(ORDERS_PATH, asked)):
        listed.update(order["id"] for order in page)
        missing = [order for order in page if order["id"] not in loaded]
        differences.missing += yield from _tables(missing, reading)
    return listed


def _load_again(reading: Reading, ids: Sequence[int], differences: Differences) -> Iterator[Any]:
    """Yield the tables of orders that are loaded and were not listed where they should be."""
    for start in range(0, len(ids), IDS_PER_REQUEST):
        asked = ids[start : start + IDS_PER_REQUEST]
        found: set[int] = set()
        pages = reading.client.list_pages(ORDERS_PATH, [Condition("id", "in", asked)])
        for page in reading.proof.require(pages):
            found.update(order["id"] for order in page)
            differences.changed += yield from _tables(page, reading)
        differences.not_found += sorted({*asked} - found)


def _tables(page: list[dict[str, Any]], reading: Reading) -> Any:
    """Yield the tables of a page; return the ids of its orders that could be read."""
    ids: list[int] = []
    for order_table, ticket_table in reading.quarantine.tables(page, reading.context):
        ids += order_table["id"].to_pylist()
        yield with_table_hints(ORDERS, order_table)
        yield with_table_hints(TICKETS, ticket_table)
    return ids


def _not_found_since(
    before: dict[str, datetime], now_not_found: Sequence[int], now: datetime
) -> tuple[dict[str, datetime], list[int]]:
    """Return since when orders have not been found, and those for which that is long enough."""
    since = {str(id_): before.get(str(id_), now) for id_ in now_not_found}
    gone = [int(id_) for id_, first in since.items() if now - first >= VANISHED_AFTER]
    return since, gone
