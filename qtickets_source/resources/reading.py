"""What the resources of one run share."""

import logging
from collections.abc import Callable, Iterable, Iterator, MutableMapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any, TypeVar

import dlt

from ..api.circuit_breaker import CircuitBreaker
from ..api.client import QTicketsClient, open_client
from ..api.proof import KnownOrder, ServiceProof
from ..configuration import QTicketsConfiguration
from ..errors import AccessRefused, NotFound, SaltChanged, ServiceUnavailable, UnknownPath
from ..observations import Observations
from ..privacy import salt_check, salt_key
from ..rows.context import RowContext
from ..rows.unreadable import split_unreadable
from ..settings import INITIAL_DAYS
from ..state.quarantine import Quarantine
from ..state.seen import SeenOrders
from ..versions import VersionClock

logger = logging.getLogger(__name__)

T = TypeVar("T")
Made = TypeVar("Made")
Row = dict[str, Any]


@dataclass(frozen=True)
class Reading:
    """One run's reading of the service.

    Attributes:
        config: The configuration of the source.
        client: Reads the service.
        versions: Gives rows their versions.
        context: Makes rows of answers.
        observed: Collects request counts and findings.
    """

    config: QTicketsConfiguration
    client: QTicketsClient
    versions: VersionClock
    context: RowContext
    observed: Observations

    @cached_property
    def proof(self) -> ServiceProof:
        """Proves that the service understands filters of orders; no cursor moves before."""
        state = dlt.current.source_state()
        known = [KnownOrder(**order) for order in state.get("known_orders", [])]
        account = {int(id_): name for id_, name in state.get("account", {}).items()}
        return ServiceProof(self.client, self.observed, known, account)

    @cached_property
    def seen_orders(self) -> SeenOrders:
        """Orders that this run and the last one have read; created inside the first resource."""
        return SeenOrders(dlt.current.source_state().get("orders_read", {}), self.context)

    @cached_property
    def quarantine(self) -> Quarantine:
        """Paid orders that cannot be read; created inside the first resource."""
        orders = dlt.current.source_state().get("quarantine", {})
        return Quarantine(orders, self.observed.findings)

    @property
    def salt_check(self) -> str:
        """What the state keeps of the salt."""
        return salt_check(self.context.salt)

    @cached_property
    def snapshot_at(self) -> datetime:
        """The moment of all seats of the run, by the service's clock, as for sales (UTC)."""
        return self.client.now()

    @cached_property
    def seats_breaker(self) -> CircuitBreaker:
        """Stops asking for seats of further shows while they keep failing."""
        return CircuitBreaker()

    @cached_property
    def initial_since(self) -> datetime:
        """The first run loads payments from this moment on (UTC)."""
        earliest = datetime.now(timezone.utc) - timedelta(days=INITIAL_DAYS)
        return self.config.initial_since or earliest

    @property
    def overlap(self) -> timedelta:
        """How far before the cursor every run starts."""
        return timedelta(hours=self.config.overlap_hours)

    def skip_if_refused(self, dataset: str, items: Iterable[T]) -> Iterator[T]:
        """Yield the items; if the dataset cannot be read, record it as skipped.

        Either the account may not read it, or only this part of the service fails: if all of it
        does, the run ends with the orders.
        """
        try:
            yield from items
        except (AccessRefused, NotFound, ServiceUnavailable, UnknownPath) as error:
            self.observed.findings.skipped[dataset] = str(error)
            logger.warning("Dataset %s is left out of this run: %s", dataset, error)

    def readable(
        self,
        table: str,
        rows: Sequence[Row],
        make: Callable[[Sequence[Row], RowContext], Made],
        digests: MutableMapping[str, Any],
    ) -> list[Made]:
        """Return what is made of the rows that can be read; record the others as bad rows.

        For datasets on which no number of sales depends; for orders there is the quarantine.

        Args:
            table: The raw table.
            rows: Rows of one page.
            make: Makes rows of the table.
            digests: Digests of rows or pages that were loaded. Those of bad rows are removed, so
                that every run tries and reports them.
        """
        made, unreadable = split_unreadable(rows, lambda some: make(some, self.context))
        for row, error in unreadable:
            for recorded in (row, rows[0]):
                digests.pop(str(recorded.get("id")), None)
            self.observed.findings.bad_rows.setdefault(table, []).append(error.reason)
            logger.warning("A row of %s is left out of this run: %s", table, error.reason)
        return made


def client_for(
    config: QTicketsConfiguration,
    versions: VersionClock | None = None,
    observed: Observations | None = None,
) -> QTicketsClient:
    """Return a client of the organiser's API.

    Raises:
        AccessRefused: The token cannot be a token.
    """
    return open_client(
        base_url=config.base_url,
        token=config.token,
        versions=versions,
        connections=config.connections,
        timeout_seconds=config.timeout_seconds,
        retry_seconds=config.retry_seconds,
        transports=config.transports,
        observed=observed,
    )


def open_reading(
    config: QTicketsConfiguration,
    fetched_after: datetime | None,
    observed: Observations | None,
) -> Reading:
    """Return a reading with its own client.

    Args:
        config: The configuration of the source.
        fetched_after: The newest `_fetched_at` at the destination, if the caller knows it.
        observed: Collects request counts and findings.

    Raises:
        AccessRefused: The token cannot be a token.
        SaltChanged: Earlier runs loaded buyers with another salt.
    """
    observed = observed or Observations()
    salt = salt_key(config.pii_salt)
    if dlt.current.source_state().get("salt_check", salt_check(salt)) != salt_check(salt):
        raise SaltChanged(
            "The salt of buyer hashes (QTICKETS_PII_SALT) is not the one with which this database"
            " was loaded: every known buyer would become a new one. Set the earlier salt again. If"
            " it is lost, drop both databases and load the history again."
        )
    observed.dialect.recall(dlt.current.source_state().get("dialect", {}))
    versions = VersionClock(dlt.current.source_state().get("fetched_until"), fetched_after)
    return Reading(
        config=config,
        client=client_for(config, versions, observed),
        versions=versions,
        context=RowContext(salt, frozenset(config.allowed_fields), observed.findings),
        observed=observed,
    )
