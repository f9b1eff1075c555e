"""The configuration of the source, which dlt fills from `sources.qtickets.*` where it is not given.

`QTicketsConfiguration(token=…, initial_since=…)` sets values in code; the rest comes from
`.dlt/secrets.toml`, `.dlt/config.toml` or environment variables (`SOURCES__QTICKETS__TOKEN`).
"""

from collections.abc import Mapping, Sequence
from dataclasses import field
from datetime import datetime
from typing import Any

from dlt.common.configuration import configspec
from dlt.common.configuration.specs import BaseConfiguration
from dlt.common.typing import TSecretStrValue

from .settings import (
    BASE_URL,
    CONNECTIONS,
    OVERLAP_HOURS,
    REREAD_DAYS,
    RETRY_SECONDS,
    TIMEOUT_SECONDS,
    TRANSPORTS,
    Transport,
)


@configspec
class QTicketsConfiguration(BaseConfiguration):
    """How the service is read, and what of it.

    Attributes:
        token: API token of the organiser; only ever sent in the Authorization header.
        pii_salt: Secret that salts the hashes of buyers and barcodes. Never change it: with
            another salt the same buyer gets another hash.
        base_url: Address of the REST API.
        connections: Concurrent requests, all resources together.
        timeout_seconds: Time for one answer.
        retry_seconds: Time that one request may spend on retries.
        transports: How list requests are sent, in the order in which they are tried.
        allowed_fields: Unknown fields (`orders.some_field`) to load although they may be personal.
        initial_since: The first run loads payments from this moment on (default: 30 days back).
            Later runs continue from the cursor.
        overlap_hours: How far before the cursor every run starts.
        reread_days: Once a day, orders that were paid, or whose shows were held, in this many
            days are read again, for changes that move no timestamp of the order, such as scans.
            0: never.
        partners_base_url: Address of the Partners API, for `partner_tickets`.
        partners_token: Key of the Partners API.
        partners_find_requests: Filters of its ticket search, such as `{"id": [12361332]}`.
    """

    token: TSecretStrValue = None  # type: ignore[assignment]
    pii_salt: TSecretStrValue = None  # type: ignore[assignment]
    base_url: str = BASE_URL
    connections: int = CONNECTIONS
    timeout_seconds: float = TIMEOUT_SECONDS
    retry_seconds: float = RETRY_SECONDS
    transports: Sequence[Transport] = TRANSPORTS
    allowed_fields: Sequence[str] = ()
    initial_since: datetime | None = None
    overlap_hours: float = OVERLAP_HOURS
    reread_days: float = REREAD_DAYS
    partners_base_url: str | None = None
    partners_token: TSecretStrValue | None = None
    partners_find_requests: Sequence[Mapping[str, Any]] = field(default_factory=tuple)
