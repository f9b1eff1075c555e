"""The client of the service: dlt's REST client on a session that can only send GET."""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, TypeVar

from dlt.common.jsonpath import compile_path
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests import Request, Response

from ..errors import (
    AccessRefused,
    ApplicationError,
    FilterIgnored,
    FilterRefused,
    PagesDontAddUp,
    QTicketsError,
    RequestRejected,
)
from ..observations import Findings, Observations
from ..settings import (
    CONNECTIONS,
    ORDERS_PATH,
    RETRY_SECONDS,
    TIMEOUT_SECONDS,
    TRANSPORTS,
    Transport,
)
from ..versions import VersionClock
from .completeness import CompletenessCheck
from .decoding import Decode, decode_json
from .filters import Condition
from .pagination import KeysetPaginator, PageNumberPaginator
from .response import checked_payload, clock_difference, service_time
from .session import ReadOnlySession, is_transient
from .transports import encode_request

logger = logging.getLogger(__name__)

Row = dict[str, Any]
Pages = Iterator[list[Row]]
Task = TypeVar("Task")
Result = TypeVar("Result")

PAGES_AHEAD = 4
"""Pages requested ahead of their turn, for each connection."""


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
        findings: Filters that the service ignores are added to its `ignored`.

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
        findings: Findings | None = None,
    ) -> None:
        self._versions = versions
        self.clock: datetime | None = None
        """The service's time at its last answer (UTC); this machine's clock may be wrong."""
        self.findings = findings or Findings()
        self._transports = tuple(transports)
        self._preferred = self._transports[0]
        self._connections = connections
        self._pool = ThreadPoolExecutor(connections, thread_name_prefix="qtickets")
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
        """Return (records of a list, its first page), or (0, []) if the filter is ignored.

        Counting here would then mean reading everything, which the caller is about to do anyway.
        """
        try:
            return self._counted_page(path, conditions)
        except FilterIgnored:
            return 0, []

    def first_page(self, path: str, conditions: Sequence[Condition]) -> list[Row]:
        """Return the first page of a list, by ascending id.

        Raises:
            FilterIgnored: The service honours no transport.
        """
        return self._counted_page(path, conditions)[1]

    def _counted_page(self, path: str, conditions: Sequence[Condition]) -> tuple[int, list[Row]]:
        def page(transport: Transport) -> Iterator[tuple[int, list[Row]]]:
            completeness = CompletenessCheck(path)
            paginator = PageNumberPaginator(path, conditions, transport, completeness=completeness)
            rows = next(self._paginate(path, paginator))
            yield completeness.total or 0, rows

        return next(self._try_transports(path, page, filtered=bool(conditions)))

    def walk(
        self, path: str, conditions: Sequence[Condition] = (), closed_by: str | None = None
    ) -> Pages:
        """Yield pages of a list by ascending id; correct while rows are added and changed."""

        def walk(transport: Transport) -> Pages:
            last_id = 0

            def remember(row_id: int) -> None:
                nonlocal last_id
                last_id = row_id

            def continue_walk() -> Pages:
                paginator = KeysetPaginator(
                    path,
                    conditions,
                    transport,
                    closed_by=closed_by,
                    on_page=remember,
                    after=last_id,
                )
                return self._paginate(path, paginator)

            return _retry_once_if_inconsistent(continue_walk)

        return self._filtered(path, conditions, walk, closed_by)

    def list_pages(
        self, path: str, conditions: Sequence[Condition] = (), decode: Decode = decode_json
    ) -> Pages:
        """Yield pages of a list by number, in order, several requested at a time.

        For short lists, and for closed windows, whose conditions new rows cannot satisfy.
        """
        return self._filtered(
            path,
            conditions,
            lambda transport: _retry_once_if_inconsistent(
                lambda: self._in_parallel(path, conditions, transport, decode)
            ),
        )

    def get(self, path: str, body: Row) -> Any:
        """Return the `data` of a single answer; `body` is sent as for lists, but never by POST."""
        request = Request()
        encode_request(request, "get_query" if self._preferred == "get_query" else "get_body", body)
        response = self._rest.get(
            path, json=request.json, params=request.params, hooks={"response": [self._check]}
        )
        return response.json()["data"]

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

    def _try_transports(
        self, path: str, pages: Callable[[Transport], Iterator[Result]], *, filtered: bool
    ) -> Iterator[Result]:
        """Yield the pages of the first transport that the service honours.

        The transport that worked last is tried first.

        Args:
            path: Of the list.
            pages: The pages by a transport.
            filtered: Whether a page proves that its transport is honoured; without a filter the
                first page is the same for every transport.

        Raises:
            FilterIgnored: The service honours none.
        """
        others = [transport for transport in self._transports if transport != self._preferred]
        transport, has_switched = self._preferred, False
        while True:
            try:
                for page in pages(transport):
                    if has_switched and filtered and page:
                        self._preferred = transport
                    yield page
                if has_switched:
                    self._preferred = transport
                return
            except (FilterIgnored, ApplicationError, RequestRejected) as error:
                if not isinstance(error, FilterIgnored):
                    if not filtered or not self._answers_without_filter(path):
                        raise
                    error = FilterRefused(
                        f"{error} A list without a filter is answered: the service refuses this"
                        " filter."
                    )
                self.findings.ignored.append(f"{transport}: {error}")
                has_switched = True
                if not others:
                    self._preferred = self._transports[0]
                    raise error from None
                transport = others.pop(0)
                logger.warning("%s Trying %s instead.", error, transport)

    def _answers_without_filter(self, path: str) -> bool:
        """Return whether the service answers a list without a filter at this moment."""
        paginator = PageNumberPaginator(
            path, (), "get_body", completeness=CompletenessCheck(path), last=1
        )
        try:
            next(self._paginate(path, paginator))
        except QTicketsError:
            return False
        return True

    def _filtered(
        self,
        path: str,
        conditions: Sequence[Condition],
        pages: Callable[[Transport], Pages],
        closed_by: str | None = None,
    ) -> Pages:
        """Yield the pages by a transport that is honoured, else the whole list, filtered here."""
        try:
            yield from self._try_transports(path, pages, filtered=bool(conditions))
            return
        except FilterIgnored as error:
            if not conditions:
                raise
            ignored = error
        logger.warning(
            "%s No transport is honoured: reading all of /%s and filtering here. This costs a"
            " request for every page of the whole history, in every run.",
            ignored,
            path,
        )
        try:
            for page in _retry_once_if_inconsistent(
                lambda: self._in_parallel(path, (), TRANSPORTS[0], may_grow=True)
            ):
                if closed_by:
                    conditions = (*conditions, Condition(closed_by, "<=", self.now()))
                    closed_by = None
                yield [row for row in page if all(item.matches(row) for item in conditions)]
        except FilterIgnored:
            # It ignores `page` too. The error about the original filter says more.
            raise ignored from None

    def _in_parallel(
        self,
        path: str,
        conditions: Sequence[Condition],
        transport: Transport,
        decode: Decode = decode_json,
        *,
        may_grow: bool = False,
    ) -> Pages:
        """Yield page 1, which gives the number of pages, then the others, read in parallel.

        A slow page does not hold up the others: up to `PAGES_AHEAD` pages for each connection are
        requested before their turn, so memory does not depend on the list's length.
        """
        completeness = CompletenessCheck(path, may_grow=may_grow)
        first = PageNumberPaginator(path, conditions, transport, completeness=completeness)
        yield next(self._paginate(path, first, decode))

        def read(number: int) -> list[Row]:
            paginator = PageNumberPaginator(
                path, conditions, transport, completeness=completeness, first=number, last=number
            )
            return next(self._paginate(path, paginator, decode))

        numbers = iter(range(2, first.pages + 1))
        waiting: deque[Future[list[Row]]] = deque()
        try:
            while True:
                for number in islice(numbers, PAGES_AHEAD * self._connections - len(waiting)):
                    waiting.append(self._pool.submit(read, number))
                if not waiting:
                    break
                yield waiting.popleft().result()
        finally:
            for page in waiting:
                page.cancel()
        completeness.check()

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
        self.clock = service_time(response)
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
        findings=observed.findings,
    )


def _retry_once_if_inconsistent(pages: Callable[[], Pages]) -> Pages:
    """Yield the pages; read them once more if they do not add up, then fail.

    Rows of the first reading may come again: they are versions of the same rows.
    """
    try:
        yield from pages()
    except PagesDontAddUp as error:
        logger.warning("%s Reading it once more.", error)
        yield from pages()


def _as_header(token: str, variable: str) -> str:
    """Return the token, fit for a header; requests' own error message would show it."""
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise AccessRefused(
            f"{variable} is empty, or contains a blank, a line break or a character that no token"
            " has. Nothing was sent; copy it again from the QTickets cabinet, Settings → API."
        )
    return token
