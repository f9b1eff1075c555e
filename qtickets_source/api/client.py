"""The client of the service: dlt's REST client on a session that can only send GET."""

import logging
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from datetime import datetime
from functools import partial
from typing import Any, TypeVar

from dlt.common.jsonpath import compile_path
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests import Request, Response

from ..errors import (
    AccessRefused,
)
from ..observations import Observations
from ..settings import (
    CONNECTIONS,
    ORDERS_PATH,
    RETRY_SECONDS,
    TIMEOUT_SECONDS,
    TRANSPORTS,
    Transport,
)
from ..versions import VersionClock
from .decoding import Decode, decode_json
from .filters import Condition
from .list_reader import ListReader, Pages, Row
from .page_shape import SELECT
from .response import checked_payload, clock_difference, service_time
from .session import ReadOnlySession, is_transient
from .transports import encode_request

logger = logging.getLogger(__name__)

Task = TypeVar("Task")
Result = TypeVar("Result")


class _QuietRESTClient(RESTClient):
    """dlt's client without its own log line, which at debug level shows the whole body."""

    def _log_request(self, request: Request, prepared_url: str) -> None:
        """Log nothing: the session logs every request and every retry."""


class QTicketsClient:
    """Reads lists and single answers of the service, as parsed JSON with exact decimals.

    Args:
        base_url: Such as `https://qtickets.ru/api/rest/v1`.
        token: The organiser's API token.
        session: The read-only HTTP session.
        versions: Gives each row of a list its version, `_fetched_at`.
        connections: Concurrent requests.
        transports: How list requests are sent; the next one is tried when the service ignores
            the filter.
        observed: What the service does not honour is added to its findings and its dialect.

    Raises (from every method):
        AccessRefused, NotFound, ServiceUnavailable, UnexpectedAnswer, FilterIgnored,
        PagesDontAddUp.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        session: ReadOnlySession,
        versions: VersionClock,
        *,
        connections: int = CONNECTIONS,
        transports: Sequence[Transport] = TRANSPORTS,
        observed: Observations | None = None,
    ) -> None:
        self._versions = versions
        self._session = session
        self.connections = connections
        self.clock: datetime | None = None
        """The service's time at its last answer (UTC); this machine's clock may be wrong."""
        self._observed = observed = observed or Observations()
        self.findings = observed.findings
        self._pool = ThreadPoolExecutor(connections, thread_name_prefix="qtickets")
        self._lists = ListReader(
            self._paginate,
            self.now,
            self._pool,
            connections,
            transports,
            observed,
            session.trying_once,
        )
        self._rest = _QuietRESTClient(
            base_url,
            headers={
                "Accept": "application/json",
                "Cache-Control": "no-cache",
                "Pragma": "no-cache",
            },
            auth=BearerTokenAuth(token),
            # Compiled once: dlt would compile the path for every page, which takes half as long
            # as parsing the page's JSON.
            data_selector=compile_path("data"),
            session=session,
        )

    def now(self) -> datetime:
        """Return the service's time (UTC) at its last answer; request one if there was none."""
        if self.clock is None:
            next(self.walk(ORDERS_PATH, [Condition("id", "=", 0)]), None)
        assert self.clock is not None
        return self.clock

    def count(self, path: str, conditions: Sequence[Condition]) -> tuple[int, list[Row]]:
        """Return (records of a list, its first page), or (0, []) if the filter is not honoured."""
        return self._lists.count(path, conditions)

    def find(self, path: str, conditions: Sequence[Condition]) -> list[Row] | None:
        """Return the few rows of a list that satisfy conditions; None if they cannot be asked for.

        Raises:
            FilterIgnored: The service ignores the request as a whole.
        """
        return self._lists.find(path, conditions)

    def reads_all(self, path: str, conditions: Sequence[Condition]) -> bool:
        """Return whether reading a list now means reading every row of the whole list."""
        if self.clock:
            self._observed.dialect.forget_old(self.clock)
        return self._observed.dialect.reads_all(path, conditions)

    def first_page(self, path: str, conditions: Sequence[Condition]) -> list[Row]:
        """Return the first page of a list, by ascending id.

        Raises:
            FilterIgnored: The service honours the filter by no transport.
        """
        return self._lists.first_page(path, conditions)

    def walk(
        self, path: str, conditions: Sequence[Condition] = (), closed_by: str | None = None
    ) -> Pages:
        """Yield pages of a list by ascending id; correct while rows are added and changed."""
        return self._lists.walk(path, conditions, closed_by)

    def list_pages(
        self, path: str, conditions: Sequence[Condition] = (), decode: Decode = decode_json
    ) -> Pages:
        """Yield pages of a list by number, in order, several requested at a time.

        For short lists, and for closed windows, whose conditions new rows cannot satisfy.
        """
        return self._lists.list_pages(path, conditions, decode)

    def learn_selection(self, path: str, fields: Sequence[str], sample: Row) -> bool:
        """Ask for a row that was read whole by some of its fields; return whether they came.

        If they did, later lists of the day ask for these fields only.
        """
        return self._lists.learn_selection(path, fields, sample)

    def selects(self, path: str) -> bool:
        """Return whether lists ask for some fields only, or are known not to honour that."""
        dialect = self._observed.dialect
        return bool(dialect.shape(path).select) or not dialect.accepts(path, "", SELECT)

    def get(self, path: str, body: Row) -> Any:
        """Return the `data` of a single answer; `body` is sent as for lists, but never by POST."""
        request = Request()
        encode_request(
            request, "get_query" if self._lists.transport == "get_query" else "get_body", body
        )
        response = self._rest.get(
            path, json=request.json, params=request.params, hooks={"response": [self._check]}
        )
        return response.json()["data"]

    def ask_once(self, path: str, body: Row, transport: Transport = "get_body") -> Response:
        """Return one answer whose payload has `data`; it is not compared with the question.

        It is not retried. `elapsed` is the time until the answer began.

        Raises:
            QTicketsError: As every method.
        """
        request = Request()
        encode_request(request, transport, body)
        with self._session.trying_once():
            return self._rest.get(
                path, json=request.json, params=request.params, hooks={"response": [self._check]}
            )

    def fetch_unpaged(self, path: str, body: Row) -> Pages:
        """Yield the rows of a list that is not paged as one page, each with its version."""
        version = self._versions.next()
        rows: list[Row] = self.get(path, body) or []
        for row in rows:
            row["_fetched_at"] = version
        yield rows

    def map_parallel(
        self, task: Callable[[Task], Result], items: Sequence[Task]
    ) -> Iterator[Result]:
        """Yield the results of a task for each item, in order, several computed at a time."""
        return self._pool.map(task, items)

    def _paginate(self, path: str, paginator: BasePaginator, decode: Decode = decode_json) -> Pages:
        check = partial(self._check, decode=decode)
        pages = self._rest.paginate(path, paginator=paginator, hooks={"response": [check]})
        while True:
            # Taken before the request: a change during the request must get a newer version.
            version = self._versions.next()
            page = next(pages, None)
            if page is None:
                return
            for row in page:
                row["_fetched_at"] = version
            yield list(page)

    def _check(self, response: Response, *_: Any, decode: Decode = decode_json, **__: Any) -> None:
        # requests calls this inside `send`, before the session has seen what it would retry.
        if is_transient(response):
            return
        payload = checked_payload(response, decode)
        self.clock = service_time(
            response, warehouse_ahead_seconds=self.findings.warehouse_ahead_seconds
        )
        self._observed.dialect.forget_old(self.clock)
        if (difference := clock_difference(response)) and not self.findings.clock_ahead_seconds:
            self.findings.clock_ahead_seconds = round(difference.total_seconds())
        # dlt's client asks for the JSON several times a page; it is parsed once, and with Decimal,
        # since an amount that was a float for a moment is no longer exact.
        response.json = lambda **_: payload  # type: ignore[method-assign]
        response.rows = len(payload["data"] or ())  # type: ignore[attr-defined]


def open_client(
    *,
    base_url: str,
    token: str,
    versions: VersionClock | None = None,
    connections: int = CONNECTIONS,
    timeout_seconds: float = TIMEOUT_SECONDS,
    retry_seconds: float = RETRY_SECONDS,
    transports: Sequence[Transport] = TRANSPORTS,
    observed: Observations | None = None,
    setting: str = "QTICKETS_TOKEN",
) -> QTicketsClient:
    """Return a client with its own session.

    Args:
        base_url: Such as `https://qtickets.ru/api/rest/v1`.
        token: The API token.
        versions: Gives rows their version.
        connections: Concurrent requests.
        timeout_seconds: Time for one answer.
        retry_seconds: Time that one request may spend on retries.
        transports: How list requests are sent, in the order in which they are tried.
        observed: Collects requests, retries and ignored filters.
        setting: Name of the token in error messages.

    Raises:
        AccessRefused: The token cannot be a token.
    """
    observed = observed or Observations()
    session = ReadOnlySession(
        timeout=timeout_seconds,
        retry_seconds=retry_seconds,
        connections=connections,
        counts=observed.counts,
        post_lists="post_body" in transports,
    )
    return QTicketsClient(
        base_url,
        _as_header(token, setting),
        session,
        versions or VersionClock(),
        connections=connections,
        transports=transports,
        observed=observed,
    )


def _as_header(token: str, variable: str) -> str:
    """Return the token, fit for a header; requests' own error message would show it."""
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise AccessRefused(
            f"{variable} is empty, or contains a blank, a line break or a character that no token"
            " has. Nothing was sent; copy it again from the QTickets cabinet, Settings → API."
        )
    return token
