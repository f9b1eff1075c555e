"""Paginators for dlt's REST client: this service is paged from the JSON body of a GET.

`paging.total` counts records, not pages, and a filter in the wrong place is ignored without an
error, so both paginators check every row against the request instead of trusting the service.
"""

import math
from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Any

from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests import Request, Response

from ..errors import BadRow, FilterIgnored, PagesDontAddUp, UnexpectedAnswer
from ..settings import Transport
from .completeness import CompletenessCheck
from .decoding import Record
from .dialect import ORDER_BY
from .filters import Condition, as_where, verify_filter
from .page_shape import AS_IT_COMES, PageShape
from .response import service_time
from .transports import encode_request


class PageNumberPaginator(BasePaginator):
    """Pages by number: `{"page": 2}`, `{"page": 3}`, …

    Several of them, each in a thread, can read one list in parallel. A list that may change while
    it is read must be closed by its conditions.

    Args:
        path: For messages.
        conditions: The `where` of the list.
        transport: How it is sent.
        completeness: Counts the rows, together with those of the other paginators of the list.
        first: The first page to request.
        last: Where to stop; by default at the list's last page.
        shape: What is asked of each page.
    """

    def __init__(
        self,
        path: str,
        conditions: Sequence[Condition],
        transport: Transport,
        *,
        completeness: CompletenessCheck,
        first: int = 1,
        last: int | None = None,
        shape: PageShape = AS_IT_COMES,
    ) -> None:
        super().__init__()
        self._path = path
        self._shape = shape
        self._conditions = conditions
        self._transport = transport
        self._completeness = completeness
        self._page = first
        self._last = last
        self.pages = first

    def init_request(self, request: Request) -> None:
        self.update_request(request)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        rows = checked_rows(data, self._path)
        per_page, total = _paging(response, self._path)
        verify_filter(rows, self._conditions, self._path)
        self._shape.verify(rows, self._path)
        _check_page(response, self._page, self._path)
        self._completeness.add(rows, total)
        self.pages = math.ceil(total / per_page)
        self._page += 1
        self._has_next_page = self._page <= (self._last or self.pages)

    def update_request(self, request: Request) -> None:
        # Without an order lists come in none, and pages then overlap.
        body: dict[str, Any] = {
            "orderBy": {"id": "asc"},
            "page": self._page,
            **self._shape.as_json(),
        }
        if self._conditions:
            body = {"where": as_where(self._conditions), **body}
        encode_request(request, self._transport, body)


class KeysetPaginator(BasePaginator):
    """Walks a list by ascending id: each request asks for ids above the last one received.

    Rows that enter or leave the filtered set during the walk shift page numbers, but not ids:
    no row is skipped and none comes twice.

    Args:
        path: For messages.
        conditions: The `where` of the walk; the keyset condition is added to it.
        transport: How it is sent.
        closed_by: A timestamp column. The walk covers changes up to the moment, by the service's
            clock, at which it began: later ones belong to the next walk. A row that changes
            below the walk's position would otherwise be missed while the cursor moves past it.
        on_page: Called with the last id of each page.
        after: The id to start above.
        operator: `>`, or `>=` where the service does not honour that.
        has_totals: Whether `paging.total` counts what the conditions leave. If not, the walk ends
            with an empty page, and a row that is missing from a page is not noticed.
        shape: What is asked of each page.
    """

    def __init__(
        self,
        path: str,
        conditions: Sequence[Condition],
        transport: Transport,
        *,
        closed_by: str | None = None,
        on_page: Callable[[int], None] = lambda _: None,
        after: int = 0,
        operator: str = ">",
        has_totals: bool = True,
        shape: PageShape = AS_IT_COMES,
    ) -> None:
        super().__init__()
        self._shape = shape
        self._path = path
        self._conditions = tuple(conditions)
        self._operator = operator
        self._has_totals = has_totals
        self._is_last_expected = False
        self._transport = transport
        self._closed_by = closed_by
        self._on_page = on_page
        self._last_id = after

    def _request_conditions(self) -> tuple[Condition, ...]:
        bound = self._last_id + (self._operator == ">=")
        return (*self._conditions, Condition("id", self._operator, bound))

    def init_request(self, request: Request) -> None:
        self.update_request(request)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        rows = checked_rows(data, self._path)
        per_page, total = _paging(response, self._path)
        verify_filter(rows, self._request_conditions(), self._path)
        self._shape.verify(rows, self._path)
        ids = [row["id"] for row in rows]
        if ids != sorted(set(ids)):
            raise FilterIgnored(
                f"GET /{self._path}: asked for ids in ascending order, received another. The"
                " service ignored `orderBy`; nothing was loaded.",
                ("id", ORDER_BY),
            )
        if not self._has_totals:
            total = per_page if rows else 0
        if len(rows) != min(per_page, total) and (self._has_totals or self._is_last_expected):
            raise PagesDontAddUp(
                f"GET /{self._path}: {len(rows)} rows on a page of {per_page}, though the service"
                f" counts {total} from id {self._last_id} on. Nothing was loaded; the next run"
                " tries again."
            )
        if ids:
            self._last_id = ids[-1]
            self._on_page(self._last_id)
        self._is_last_expected = len(rows) < per_page
        self._has_next_page = len(rows) < total if self._has_totals else bool(rows)
        if self._closed_by:
            began_at = service_time(response)
            self._conditions += (Condition(self._closed_by, "<=", began_at),)
            self._closed_by = None

    def update_request(self, request: Request) -> None:
        body = {
            "where": as_where(self._request_conditions()),
            "orderBy": {"id": "asc"},
            **self._shape.as_json(),
        }
        encode_request(request, self._transport, body)


class NewestFirstPaginator(BasePaginator):
    """Pages in descending order of a column, up to the first row below a bound.

    For lists that the service does not filter by that column. Rows that are added while it reads
    come at the beginning, and shift the others to later pages: some come twice, none is skipped. A
    list that gets shorter is read once more. Nulls, wherever they come, are not below the bound.

    Args:
        path: For messages.
        conditions: The `where` of the list.
        until: The bound: `>` or `>=` of a timestamp.
        transport: How it is sent.
        shape: What is asked of each page.
    """

    def __init__(
        self,
        path: str,
        conditions: Sequence[Condition],
        until: Condition,
        transport: Transport,
        *,
        shape: PageShape = AS_IT_COMES,
    ) -> None:
        super().__init__()
        self._shape = shape
        self._path = path
        self._conditions = conditions
        self._until = until
        self._transport = transport
        self._page = 1
        self._total = 0
        self._last: tuple[datetime, int] | None = None
        self._seen: set[int] = set()

    def init_request(self, request: Request) -> None:
        self.update_request(request)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        rows = checked_rows(data, self._path)
        per_page, total = _paging(response, self._path)
        verify_filter(rows, self._conditions, self._path)
        self._shape.verify(rows, self._path)
        _check_page(response, self._page, self._path)
        if total < self._total:
            raise PagesDontAddUp(
                f"GET /{self._path}: the list shrank from {self._total} to {total} records while"
                " its pages were read. Nothing was loaded; the next run tries again."
            )
        is_repeated = bool(rows) and {row["id"] for row in rows} <= self._seen
        if is_repeated and total - self._total < len(rows):
            raise FilterIgnored(
                f"GET /{self._path}: page {self._page} holds only rows of earlier pages. The"
                " service ignores `page`; nothing was loaded."
            )
        is_past_the_bound = self._read_values(rows)
        self._total = total
        self._has_next_page = not is_past_the_bound and self._page * per_page < total
        if self._has_next_page and not rows:
            raise PagesDontAddUp(
                f"GET /{self._path}: page {self._page} is empty, though the service counts {total}."
                " Nothing was loaded; the next run tries again."
            )
        self._page += 1

    def _read_values(self, rows: Sequence[Any]) -> bool:
        """Check the order of the rows; return whether the bound has been passed."""
        is_past_the_bound = False
        for row in rows:
            if row["id"] in self._seen:
                continue
            self._seen.add(row["id"])
            try:
                value = self._until.comparable(row)
            except BadRow:
                continue
            if value is None:
                continue
            place = (value, row["id"])
            if self._last and place > self._last:
                raise FilterIgnored(
                    f"GET /{self._path}: asked for a descending order of {self._until.column},"
                    " received another. The service ignored `orderBy`; nothing was loaded.",
                    (self._until.column, ORDER_BY),
                )
            self._last = place
            is_past_the_bound = not self._until.matches_value(value)
        return is_past_the_bound

    def update_request(self, request: Request) -> None:
        # By id, too: rows with equal times might otherwise change places between two pages.
        order = {self._until.column: "desc", "id": "desc"}
        body: dict[str, Any] = {"orderBy": order, "page": self._page, **self._shape.as_json()}
        if self._conditions:
            body = {"where": as_where(self._conditions), **body}
        encode_request(request, self._transport, body)


def _check_page(response: Response, page: int, path: str) -> None:
    """Check that the page that came is the one that was asked for.

    Raises:
        FilterIgnored: It is another.
    """
    current = response.json()["paging"].get("currentPage")
    if str(current) != str(page):
        raise FilterIgnored(
            f"GET /{path}: asked for page {page}, received page {current}. The service ignored the"
            " request's body; nothing was loaded."
        )


def paging_of(response: Response) -> tuple[int, int]:
    """Return (`perPage`, `total`) of an answer; zeros if it has no usable ones."""
    paging = response.json().get("paging")
    try:
        per_page, total = int(paging["perPage"]), int(paging["total"])
    except (TypeError, KeyError, ValueError):
        return 0, 0
    return (per_page, total) if per_page > 0 else (0, 0)


def _paging(response: Response, path: str) -> tuple[int, int]:
    """Return (`perPage`, `total`) of an answer.

    Raises:
        UnexpectedAnswer: It has no usable ones.
    """
    per_page, total = paging_of(response)
    if not per_page:
        raise UnexpectedAnswer(
            f"GET /{path} answered without a usable `paging` object: the number of rows cannot be"
            " checked, so nothing was loaded. Report it as a changed API."
        )
    return per_page, total


def checked_rows(data: list[Any] | None, path: str) -> list[dict[str, Any]]:
    """Return the rows of a page, each an object whose `id` is a whole number."""
    rows = data or []
    for row in rows:
        if not isinstance(row, (dict, Record)) or type(row.get("id")) is not int:
            raise UnexpectedAnswer(
                f"GET /{path} answered a list whose rows are not objects with a whole number as"
                " `id`. Nothing was loaded; report it as a changed API."
            )
    return rows
