"""The reader of the service: dlt's REST client on a session that can only GET."""

import json
from collections.abc import Iterator, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any
from urllib.parse import urlsplit

from dlt.sources.helpers.rest_client import RESTClient
from dlt.sources.helpers.rest_client.auth import BearerTokenAuth
from requests import Response

from .errors import AccessRefused, NotFound, UnexpectedAnswer
from .pagination import BodyPagePaginator, KeysetPaginator, service_time
from .query import Condition
from .settings import ORDERS_PATH
from .transport import TRANSIENT_STATUSES, ReadOnlySession

Row = dict[str, Any]


class QTicketsClient:
    """Lists and single answers of the service, as parsed JSON with exact decimals.

    Args:
        base_url: Such as `https://qtickets.ru/api/rest/v1`.
        token: The organiser's API token.
        session: The read-only HTTP session.

    Raises (from every method):
        AccessRefused, NotFound, ServiceUnavailable, UnexpectedAnswer, FilterIgnored.
    """

    def __init__(self, base_url: str, token: str, session: ReadOnlySession) -> None:
        self.clock: datetime | None = None
        """The service's time at its last answer (UTC); the machine's own may be wrong."""
        self._rest = RESTClient(
            base_url,
            headers={"Accept": "application/json"},
            auth=BearerTokenAuth(token),
            data_selector="data",
            session=session,
        )

    def walk(
        self, path: str, conditions: Sequence[Condition] = (), closed_by: str | None = None
    ) -> Iterator[list[Row]]:
        """Pages of a list by ascending id; safe while rows come, go and change meanwhile."""
        return self._pages(path, KeysetPaginator(path, conditions, closed_by))

    def now(self) -> datetime:
        """The service's time (UTC): of its last answer, or asked for."""
        if self.clock is None:
            next(self.walk(ORDERS_PATH, [Condition("id", "=", 0)]), None)
        assert self.clock is not None
        return self.clock

    def pages(self, path: str) -> Iterator[list[Row]]:
        """Pages of a whole list by page number."""
        return self._pages(path, BodyPagePaginator(path))

    def get(self, path: str, body: Row) -> Any:
        """The `data` of a single answer; `body` goes as the JSON body of the GET."""
        response = self._rest.get(path, json=body, hooks={"response": [self._check]})
        return response.json()["data"]

    def _check(self, response: Response, *_: Any, **__: Any) -> None:
        # requests calls this inside `send`, before the session has seen what it would retry.
        if response.status_code in TRANSIENT_STATUSES:
            return
        payload = checked_payload(response)
        self.clock = service_time(response)
        # dlt's client asks for the JSON several times a page; it is parsed once, and with
        # Decimal, since money that was a float for a moment is not money any more.
        response.json = lambda **_: payload  # type: ignore[method-assign]

    def _pages(
        self, path: str, paginator: BodyPagePaginator | KeysetPaginator
    ) -> Iterator[list[Row]]:
        for page in self._rest.paginate(
            path, json={}, paginator=paginator, hooks={"response": [self._check]}
        ):
            yield list(page)


def checked_payload(response: Response) -> Row:
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
        raise UnexpectedAnswer(
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
        payload = json.loads(response.content, parse_float=Decimal)
    except ValueError:
        kind = "a web page" if b"<html" in response.content[:2000].lower() else "no JSON"
        raise UnexpectedAnswer(
            f"GET {path} answered HTTP 200 with {kind} instead of JSON. The service may be under"
            " maintenance, or QTICKETS_BASE_URL points at a site, not at its API."
        ) from None
    if not isinstance(payload, dict) or "data" not in payload:
        raise UnexpectedAnswer(
            f"GET {path} answered JSON without `data`. Nothing was loaded; report it as a changed"
            " API if it stays."
        )
    return payload
