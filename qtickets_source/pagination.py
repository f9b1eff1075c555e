"""Paginators for dlt's REST client: this service is paged from the JSON body of a GET.

`paging.total` counts records, not pages, and a filter in the query string is ignored without an
error, so both paginators check what they receive instead of trusting it.
"""

from collections.abc import Sequence
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from typing import Any

from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests import Request, Response

from .errors import FilterIgnored, UnexpectedAnswer
from .query import Condition, where


def _paging(response: Response, path: str) -> tuple[int, int]:
    """(`perPage`, `total`) of an answer."""
    paging = response.json().get("paging")
    try:
        return int(paging["perPage"]), int(paging["total"])
    except (TypeError, KeyError, ValueError):
        raise UnexpectedAnswer(
            f"GET /{path} answered without a usable `paging` object: the number of rows cannot be"
            " checked, so nothing was loaded. Report it as a changed API."
        ) from None


def service_time(response: Response) -> datetime:
    """The service's clock when it answered (UTC, whole seconds); ours if it does not tell."""
    try:
        return parsedate_to_datetime(response.headers["Date"]).astimezone(timezone.utc)
    except (KeyError, ValueError):
        return datetime.now(timezone.utc).replace(microsecond=0)


class BodyPagePaginator(BasePaginator):
    """Pages by number: `{"page": 1}`, `{"page": 2}`, … until `paging.total` records have come.

    For short lists that hardly change. The page's number and its rows are checked, so a service
    that keeps answering the same page is noticed on its second answer.
    """

    def __init__(self, path: str) -> None:
        super().__init__()
        self._path = path
        self._page = 1
        self._seen: set[Any] = set()

    def init_request(self, request: Request) -> None:
        self.update_request(request)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        ids = {row["id"] for row in data or ()}
        _, total = _paging(response, self._path)
        current = response.json()["paging"].get("currentPage")
        if current != self._page or ids & self._seen:
            raise FilterIgnored(
                f"GET /{self._path}: asked for page {self._page}, received page {current} with rows"
                " of an earlier page. The service ignores `page` in the request's JSON body, or"
                " the list changed meanwhile; nothing was loaded, the next run tries again."
            )
        self._seen |= ids
        if not ids and len(self._seen) < total:
            raise UnexpectedAnswer(
                f"GET /{self._path}: page {self._page} is empty, though {len(self._seen)} of"
                f" {total} records have come. Nothing was loaded; the next run tries again."
            )
        self._page += 1
        self._has_next_page = len(self._seen) < total

    def update_request(self, request: Request) -> None:
        request.json = {"page": self._page}


class KeysetPaginator(BasePaginator):
    """Walks ids upwards: each request asks for `id > the last id received`.

    Rows that enter or leave the filtered set during the walk shift page numbers, but not ids:
    nothing is skipped and nothing comes twice. Every row is held against the filter and against
    the order, so an ignored filter or a repeated page ends the walk at once.

    Args:
        path: For error messages.
        conditions: The `where` of the walk; the keyset condition is added to it.
        closed_by: A timestamp column. The walk stops at the moment, by the service's clock, at
            which it began: what is paid or changed while it runs belongs to the next walk. Ids
            below the walk's position would otherwise be missed, and the cursor be past them.
    """

    def __init__(
        self, path: str, conditions: Sequence[Condition] = (), closed_by: str | None = None
    ) -> None:
        super().__init__()
        self._path = path
        self._conditions = tuple(conditions)
        self._closed_by = closed_by
        self._last_id = 0

    def _asked(self) -> tuple[Condition, ...]:
        return (*self._conditions, Condition("id", ">", self._last_id))

    def init_request(self, request: Request) -> None:
        self.update_request(request)

    def update_state(self, response: Response, data: list[Any] | None = None) -> None:
        rows = data or []
        per_page, total = _paging(response, self._path)
        asked = self._asked()
        for row in rows:
            for condition in asked:
                if not condition.holds(row):
                    raise FilterIgnored(
                        f"GET /{self._path}: asked for {condition.column} {condition.operator}"
                        f" {condition.as_json()['value']}, received id {row.get('id')}, which"
                        " breaks that. The service ignored the filter; nothing was loaded."
                    )
            if row["id"] <= self._last_id:
                raise UnexpectedAnswer(
                    f"GET /{self._path}: id {row['id']} came after id {self._last_id}, though ids"
                    " were asked for in ascending order. Nothing was loaded."
                )
            self._last_id = row["id"]
        if len(rows) != min(per_page, total):
            raise UnexpectedAnswer(
                f"GET /{self._path}: {len(rows)} rows on a page of {per_page}, though the service"
                f" counts {total} from here on. Nothing was loaded; the next run tries again."
            )
        self._has_next_page = len(rows) < total
        if self._closed_by:
            began_at = service_time(response)
            self._conditions += (Condition(self._closed_by, "<=", began_at),)
            self._closed_by = None

    def update_request(self, request: Request) -> None:
        request.json = {"where": where(self._asked()), "orderBy": {"id": "asc"}}
