"""Paginators for dlt's REST client: this service is paged from the JSON body of a GET.

`paging.total` counts records, not pages, and a filter in the wrong place is ignored without an
error, so both paginators hold every row against what was asked, instead of trusting the service.
"""

import json
import math
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from threading import Lock
from typing import Any, Literal

from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests import Request, Response

from .answers import Record
from .errors import FilterIgnored, PagesDontAddUp, UnexpectedAnswer
from .query import Condition, where

Transport = Literal["get_body", "get_query", "post_body"]
TRANSPORTS: tuple[Transport, ...] = ("get_body", "get_query")
"""How list requests are sent, in the order in which they are tried.

`get_body` is the documented way, `get_query` sends the same as JSON in the query string.
`post_body`, for old deployments, must be asked for by name: the same path creates orders.
"""


def put(request: Request, transport: Transport, body: dict[str, Any]) -> None:
    """Writes what is asked for into the request."""
    if transport == "get_query":
        request.json = None
        request.params = {
            name: json.dumps(value) if isinstance(value, (list, dict, bool)) else value
            for name, value in body.items()
        }
        return
    request.method = "POST" if transport == "post_body" else "GET"
    request.json = body


def service_time(response: Response) -> datetime:
    """The service's clock when it answered (UTC, whole seconds); ours if it does not tell."""
    try:
        return parsedate_to_datetime(response.headers["Date"]).astimezone(timezone.utc)
    except (KeyError, ValueError):
        return datetime.now(timezone.utc).replace(microsecond=0)


def _paging(response: Response, path: str) -> tuple[int, int]:
    """(`perPage`, `total`) of an answer."""
    paging = response.json().get("paging")
    try:
        per_page, total = int(paging["perPage"]), int(paging["total"])
    except (TypeError, KeyError, ValueError):
        per_page = total = 0
    if per_page < 1:
        raise UnexpectedAnswer(
            f"GET /{path} answered without a usable `paging` object: the number of rows cannot be"
            " checked, so nothing was loaded. Report it as a changed API."
        )
    return per_page, total


def _rows(data: list[Any] | None, path: str) -> list[dict[str, Any]]:
    """The rows of a page, each an object with a number as its `id`."""
    rows = data or []
    for row in rows:
        if not isinstance(row, (dict, Record)) or type(row.get("id")) is not int:
            raise UnexpectedAnswer(
                f"GET /{path} answered a list whose rows are no objects with a whole number as"
                " `id`. Nothing was loaded; report it as a changed API."
            )
    return rows


def _hold(rows: Sequence[dict[str, Any]], asked: Sequence[Condition], path: str) -> None:
    """Every row keeps to every condition, or the service ignored the filter."""
    by_column: dict[tuple[str, bool], list[Condition]] = {}
    for condition in asked:
        by_column.setdefault((condition.column, condition.is_about_time), []).append(condition)
    for conditions in by_column.values():
        for row in rows:
            # Reading a moment takes longer than comparing it.
            value = conditions[0].value_of(row)
            for condition in conditions:
                if not condition.is_met_by(value):
                    raise FilterIgnored(
                        f"GET /{path}: asked for {condition.column} {condition.operator}"
                        f" {condition.as_json()['value']}, received id {row.get('id')}, which"
                        " breaks that. The service ignored the filter; nothing was loaded."
                    )


class PageTally:
    """What the pages of one list, fetched by several threads, add up to.

    Args:
        path: For messages.
        may_grow: The list is open: new rows may come at its end meanwhile.
    """

    def __init__(self, path: str, *, may_grow: bool = False) -> None:
        self._path = path
        self._may_grow = may_grow
        self._ids: set[Any] = set()
        self._rows = 0
        self._lock = Lock()
        self.total: int | None = None

    def add(self, rows: Sequence[dict[str, Any]], total: int) -> None:
        with self._lock:
            self._add(rows, total)

    def _add(self, rows: Sequence[dict[str, Any]], total: int) -> None:
        if self.total is None:
            self.total = total
        ids = {row["id"] for row in rows}
        if rows and ids <= self._ids:
            raise FilterIgnored(
                f"GET /{self._path}: a page holds nothing but rows of an earlier page. The service"
                " ignores `page`; nothing was loaded."
            )
        if total != self.total and not (self._may_grow and total > self.total):
            raise PagesDontAddUp(
                f"GET /{self._path}: the list changed from {self.total} to {total} records while"
                " its pages were read. Nothing was loaded; the next run tries again."
            )
        self._ids |= ids
        self._rows += len(rows)

    def check(self) -> None:
        """Raises PagesDontAddUp unless every record came once."""
        complete = self._rows == self.total or (
            self._may_grow and self.total is not None and self._rows > self.total
        )
        if len(self._ids) != self._rows or not complete:
            raise PagesDontAddUp(
                f"GET /{self._path}: {self._rows} rows came, {len(self._ids)} different ones,"
                f" though the service counts {self.total}. Nothing was loaded; the next run tries"
                " again."
            )


class BodyPagePaginator(BasePaginator):
    """Pages by number: `{"page": 2}`, `{"page": 3}`, …

    Several of them, each in a thread, read one list in parallel. A list that may change while it
    is read must be closed by its conditions.

    Args:
        path: For messages.
        conditions: The `where` of the list.
        transport: How it is sent.
        tally: Where the rows are counted, together with those of the other paginators.
        first: The first page to ask for.
        last: Where to stop; by default at the last page there is.
    """

    def __init__(
        self,
        path: str,
        conditions: Sequence[Condition],
        transport: Transport,
        *,
        tally: PageTally,
        first: int = 1,
        last: int | None = None,
    ) -> None:
        super().__init__()
        self._path = path
        self._conditions = conditions
        self._transport = transport
        self._tally = tally
        self._page = first
        self._last = last
        self.pages = first

    def init_request(self, request: Request) -> None:
        self.update_request(request)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        rows = _rows(data, self._path)
        per_page, total = _paging(response, self._path)
        current = response.json()["paging"].get("currentPage")
        _hold(rows, self._conditions, self._path)
        if current != self._page:
            raise FilterIgnored(
                f"GET /{self._path}: asked for page {self._page}, received page {current}. The"
                " service ignored the request's body; nothing was loaded."
            )
        self._tally.add(rows, total)
        self.pages = math.ceil(total / per_page)
        self._page += 1
        self._has_next_page = self._page <= (self._last or self.pages)

    def update_request(self, request: Request) -> None:
        body: dict[str, Any] = {"page": self._page}
        if self._conditions:
            body = {"where": where(self._conditions), "orderBy": {"id": "asc"}, **body}
        put(request, self._transport, body)


class KeysetPaginator(BasePaginator):
    """Walks ids upwards: each request asks for `id > the last id received`.

    Rows that enter or leave the filtered set during the walk shift page numbers, but not ids:
    nothing is skipped and nothing comes twice.

    Args:
        path: For messages.
        conditions: The `where` of the walk; the keyset condition is added to it.
        transport: How it is sent.
        closed_by: A timestamp column. The walk stops at the moment, by the service's clock, at
            which it began: what changes while it runs belongs to the next walk. Ids below the
            walk's position would otherwise be missed, and the cursor be past them.
        received: Called with the last id of each page.
        after: The id to start above.
    """

    def __init__(
        self,
        path: str,
        conditions: Sequence[Condition],
        transport: Transport,
        *,
        closed_by: str | None = None,
        received: Callable[[int], None] = lambda _: None,
        after: int = 0,
    ) -> None:
        super().__init__()
        self._path = path
        self._conditions = tuple(conditions)
        self._transport = transport
        self._closed_by = closed_by
        self._received = received
        self._last_id = after

    def _asked(self) -> tuple[Condition, ...]:
        return (*self._conditions, Condition("id", ">", self._last_id))

    def init_request(self, request: Request) -> None:
        self.update_request(request)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        rows = _rows(data, self._path)
        per_page, total = _paging(response, self._path)
        _hold(rows, self._asked(), self._path)
        ids = [row["id"] for row in rows]
        if ids != sorted(set(ids)):
            raise FilterIgnored(
                f"GET /{self._path}: ids were asked for in ascending order and came in another."
                " The service ignored `orderBy`; nothing was loaded."
            )
        if len(rows) != min(per_page, total):
            raise PagesDontAddUp(
                f"GET /{self._path}: {len(rows)} rows on a page of {per_page}, though the service"
                f" counts {total} from id {self._last_id} on. Nothing was loaded; the next run"
                " tries again."
            )
        if ids:
            self._last_id = ids[-1]
            self._received(self._last_id)
        self._has_next_page = len(rows) < total
        if self._closed_by:
            began_at = service_time(response)
            self._conditions += (Condition(self._closed_by, "<=", began_at),)
            self._closed_by = None

    def update_request(self, request: Request) -> None:
        put(
            request,
            self._transport,
            {"where": where(self._asked()), "orderBy": {"id": "asc"}},
        )
