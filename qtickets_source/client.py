"""The reader of the service: dlt's REST client on a session that can only GET."""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, TypeVar
from urllib.parse import urlsplit

from dlt.common.jsonpath import compile_path
from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests import Request, Response

from .answers import Decode, decoded
from .errors import (
    AccessRefused,
    FilterIgnored,
    NotFound,
    PagesDontAddUp,
    UnexpectedAnswer,
    UnknownPath,
)
from .pagination import (
    TRANSPORTS,
    BodyPagePaginator,
    KeysetPaginator,
    PageTally,
    Transport,
    put,
    service_time,
)
from .query import Condition
from .settings import CONNECTIONS, ORDERS_PATH, RETRY_SECONDS, TIMEOUT_SECONDS
from .stamps import Stamps
from .transport import TRANSIENT_STATUSES, ReadOnlySession, RequestCounts

logger = logging.getLogger(__name__)

Row = dict[str, Any]
Pages = Iterator[list[Row]]
Task = TypeVar("Task")
Result = TypeVar("Result")

PAGES_AHEAD = 4


class _QuietRESTClient(RESTClient):
    """dlt's client without its own line about each request: at debug it shows the whole body."""

    def _log_request(self, request: Request, prepared_url: str) -> None:
        """The session logs every request, and every repetition of it."""


class QTicketsClient:
    """Lists and single answers of the service, as parsed JSON with exact decimals.

    Args:
        base_url: Such as `https://qtickets.ru/api/rest/v1`.
        token: The organiser's API token.
        session: The read-only HTTP session.
        stamps: Each row of a list is given the moment of its request, as `_fetched_at`.
        connections: Requests under way at once.
        transports: How list requests are sent; the next one is tried when the service ignores
            what it is asked.

    Raises (from every method):
        AccessRefused, NotFound, ServiceUnavailable, UnexpectedAnswer, FilterIgnored,
        PagesDontAddUp.
    """

    def __init__(
        self,
        base_url: str,
        token: str,
        session: ReadOnlySession,
        stamps: Stamps,
        *,
        connections: int = CONNECTIONS,
        transports: Sequence[Transport] = TRANSPORTS,
    ) -> None:
        self._stamps = stamps
        self.clock: datetime | None = None
        """The service's time at its last answer (UTC); the machine's own may be wrong."""
        self.ignored: list[str] = []
        """What the service ignored, for the log of the run."""
        self._transports = tuple(transports)
        self._preferred = self._transports[0]
        self._connections = connections
        self._pool = ThreadPoolExecutor(connections, thread_name_prefix="qtickets")
        self._rest = _QuietRESTClient(
            base_url,
            headers={"Accept": "application/json"},
            auth=BearerTokenAuth(_as_header(token)),
            # Compiled here: dlt would do that anew for every page, at half the cost of its JSON.
            data_selector=compile_path("data"),
            session=session,
        )

    def now(self) -> datetime:
        """The service's time (UTC): of its last answer, or asked for."""
        if self.clock is None:
            next(self.walk(ORDERS_PATH, [Condition("id", "=", 0)]), None)
        assert self.clock is not None
        return self.clock

    def count(self, path: str, conditions: Sequence[Condition]) -> tuple[int, list[Row]]:
        """(records of a list, its first page); (0, []) if the service ignores the filter.

        Counting would then mean reading everything, which whoever asks is about to do anyway.
        """

        def first_page(transport: Transport) -> Iterator[tuple[int, list[Row]]]:
            tally = PageTally(path)
            paginator = BodyPagePaginator(path, conditions, transport, tally=tally)
            rows = next(self._paginate(path, paginator))
            yield tally.total or 0, rows

        try:
            return next(self._by_any_transport(first_page, filtered=True))
        except FilterIgnored:
            return 0, []

    def walk(
        self, path: str, conditions: Sequence[Condition] = (), closed_by: str | None = None
    ) -> Pages:
        """Pages of a list by ascending id; safe while rows come, go and change meanwhile."""

        def walk(transport: Transport) -> Pages:
            last_id = 0

            def received(row_id: int) -> None:
                nonlocal last_id
                last_id = row_id

            def from_there() -> Pages:
                paginator = KeysetPaginator(
                    path,
                    conditions,
                    transport,
                    closed_by=closed_by,
                    received=received,
                    after=last_id,
                )
                return self._paginate(path, paginator)

            return _twice(from_there)

        return self._filtered(path, conditions, walk, closed_by)

    def listed(
        self, path: str, conditions: Sequence[Condition] = (), decode: Decode = decoded
    ) -> Pages:
        """Pages of a list by number, several at a time, in order.

        For short lists, and for windows that are closed: whose conditions new rows cannot meet.
        """
        return self._filtered(
            path,
            conditions,
            lambda transport: _twice(
                lambda: self._in_parallel(path, conditions, transport, decode)
            ),
        )

    def get(self, path: str, body: Row) -> Any:
        """The `data` of a single answer; `body` is sent as lists send theirs, but never by POST."""
        request = Request()
        put(request, "get_query" if self._preferred == "get_query" else "get_body", body)
        response = self._rest.get(
            path, json=request.json, params=request.params, hooks={"response": [self._check]}
        )
        return response.json()["data"]

    def single(self, path: str, body: Row) -> Pages:
        """The rows of a list that is not paged, as one page, stamped."""
        stamp = self._stamps.next()
        rows = self.get(path, body) or []
        for row in rows:
            row["_fetched_at"] = stamp
        yield rows

    def each(self, task: Callable[[Task], Result], items: Sequence[Task]) -> Iterator[Result]:
        """Results of a task for each item, several at a time, in order."""
        return self._pool.map(task, items)

    def _by_any_transport(
        self, pages: Callable[[Transport], Iterator[Result]], *, filtered: bool
    ) -> Iterator[Result]:
        """What the first transport gives that the service honours, the one that worked last first.

        Args:
            pages: The pages by a transport.
            filtered: Whether a page proves that its transport is honoured; the first page of
                everything is the same however one asks.

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
            except FilterIgnored as error:
                self.ignored.append(f"{transport}: {error}")
                has_switched = True
                if not others:
                    self._preferred = self._transports[0]
                    raise
                transport = others.pop(0)
                logger.warning("%s Trying %s instead.", error, transport)

    def _filtered(
        self,
        path: str,
        conditions: Sequence[Condition],
        pages: Callable[[Transport], Pages],
        closed_by: str | None = None,
    ) -> Pages:
        """The pages by a transport that the service honours, else all of them, filtered here."""
        try:
            yield from self._by_any_transport(pages, filtered=bool(conditions))
            return
        except FilterIgnored as error:
            if not conditions:
                raise
            ignored = error
        logger.warning(
            "%s No way of asking is honoured: reading all of /%s and filtering here. This costs a"
            " request for every page of the whole history, in every run.",
            ignored,
            path,
        )
        try:
            for page in _twice(lambda: self._in_parallel(path, (), TRANSPORTS[0], may_grow=True)):
                if closed_by:
                    conditions = (*conditions, Condition(closed_by, "<=", self.now()))
                    closed_by = None
                yield [row for row in page if all(item.holds(row) for item in conditions)]
        except FilterIgnored:
            # It ignores `page` too. What was asked for first says more than that.
            raise ignored from None

    def _in_parallel(
        self,
        path: str,
        conditions: Sequence[Condition],
        transport: Transport,
        decode: Decode = decoded,
        *,
        may_grow: bool = False,
    ) -> Pages:
        """Page 1 alone, which tells how many there are; the others in parallel, in order.

        A page that takes long holds nobody up: up to `PAGES_AHEAD` pages for each connection are
        asked for before their turn, so memory does not depend on the list's length.
        """
        tally = PageTally(path, may_grow=may_grow)
        first = BodyPagePaginator(path, conditions, transport, tally=tally)
        yield next(self._paginate(path, first, decode))

        def read(number: int) -> list[Row]:
            paginator = BodyPagePaginator(
                path, conditions, transport, tally=tally, first=number, last=number
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
        tally.check()

    def _paginate(self, path: str, paginator: BasePaginator, decode: Decode = decoded) -> Pages:
        check = partial(self._check, decode=decode)
        pages = self._rest.paginate(path, paginator=paginator, hooks={"response": [check]})
        while True:
            # Before the request: what changes while it is under way must look newer.
            stamp = self._stamps.next()
            page = next(pages, None)
            if page is None:
                return
            for row in page:
                row["_fetched_at"] = stamp
            yield list(page)

    def _check(self, response: Response, *_: Any, decode: Decode = decoded, **__: Any) -> None:
        # requests calls this inside `send`, before the session has seen what it would retry.
        if response.status_code in TRANSIENT_STATUSES:
            return
        payload = checked_payload(response, decode)
        self.clock = service_time(response)
        # dlt's client asks for the JSON several times a page; it is parsed once, and with
        # Decimal, since money that was a float for a moment is not money any more.
        response.json = lambda **_: payload  # type: ignore[method-assign]
        response.rows = len(payload["data"] or ())  # type: ignore[attr-defined]


def open_client(
    *,
    base_url: str,
    token: str,
    stamps: Stamps | None = None,
    connections: int = CONNECTIONS,
    timeout_seconds: float = TIMEOUT_SECONDS,
    retry_seconds: float = RETRY_SECONDS,
    transports: Sequence[Transport] = TRANSPORTS,
    counts: RequestCounts | None = None,
    ignored: list[str] | None = None,
) -> QTicketsClient:
    """A client on a session of its own; `ignored` collects what the service ignored."""
    session = ReadOnlySession(
        timeout=timeout_seconds,
        retry_seconds=retry_seconds,
        connections=connections,
        counts=counts,
        post_lists="post_body" in transports,
    )
    client = QTicketsClient(
        base_url, token, session, stamps or Stamps(), connections=connections, transports=transports
    )
    if ignored is not None:
        client.ignored = ignored
    return client


def _twice(pages: Callable[[], Pages]) -> Pages:
    """The pages; what does not add up is read once more, and then fails.

    Rows of the first reading may come again: they are versions of the same rows.
    """
    try:
        yield from pages()
    except PagesDontAddUp as error:
        logger.warning("%s Reading it once more.", error)
        yield from pages()


def _as_header(token: str) -> str:
    """The token, fit for a header; requests' own complaint would show it."""
    token = token.strip()
    if not token or not token.isascii() or not token.isprintable() or " " in token:
        raise AccessRefused(
            "QTICKETS_TOKEN holds a blank, a line break or a letter that no token has. Nothing was"
            " sent; copy it again from the QTickets cabinet, Settings → API."
        )
    return token


def checked_payload(response: Response, decode: Decode = decoded) -> Row:
    """Lets only a JSON answer with `data` pass, parsed once, numbers as they were written."""
    path = urlsplit(response.url).path
    status = response.status_code
    is_json = "json" in response.headers.get("Content-Type", "")
    if status in (401, 403):
        raise AccessRefused(
            f"QTickets refused the token: HTTP {status} on GET {path}. Check QTICKETS_TOKEN: in"
            " the QTickets cabinet, Settings → API, and whether it may read this data."
        )
    if status == 404 and is_json:
        raise NotFound(f"QTickets has no such row: HTTP 404 on GET {path}.")
    if status == 404:
        raise UnknownPath(
            f"QTickets knows no path {path} (HTTP 404 with a web page). Check QTICKETS_BASE_URL;"
            " it ends in /api/rest/v1."
        )
    if 300 <= status < 400:
        raise UnexpectedAnswer(
            f"GET {path} was redirected (HTTP {status}). A redirect loses the filter, so it is not"
            " followed. Check QTICKETS_BASE_URL: https, no trailing path."
        )
    if status != 200:
        raise UnexpectedAnswer(f"GET {path} answered HTTP {status}, which this source cannot use.")
    try:
        payload = decode(response.content)
    except ValueError:
        kind = "a web page" if b"<html" in response.content[:2000].lower() else "no JSON"
        raise UnexpectedAnswer(
            f"GET {path} answered HTTP 200 with {kind} instead of JSON. The service may be under"
            " maintenance, or QTICKETS_BASE_URL points at a site, not at its API."
        ) from None
    if isinstance(payload, list):
        # `/shows/{id}/barcodes` answers a bare list.
        return {"data": payload}
    if isinstance(payload, dict) and payload.get("code") == "WRONG_AUTHORIZATION":
        # The Partners API says so with HTTP 200.
        raise AccessRefused(f"QTickets refused the key of the Partners API on GET {path}.")
    if isinstance(payload, dict) and payload.get("status") == "success":
        payload = {**payload, "data": payload.get("result")}
    if not isinstance(payload, dict) or "data" not in payload:
        raise UnexpectedAnswer(
            f"GET {path} answered JSON without `data`. Nothing was loaded; report it as a changed"
            " API if it stays."
        )
    return payload
