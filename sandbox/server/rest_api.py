"""The REST API without HTTP: from path and body of a request to status and payload.

As the service does, it reads parameters from the JSON body only, never from the query string.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Protocol

from sandbox.search.paged_search import PagedSearch, Table
from sandbox.search.query import QueryError, filter_rows, parse_query
from sandbox.world.clock import TimestampLike
from sandbox.world.order_payloads import Row

BASE_PATH = "/api/rest/v1"
RESOURCES = {"orders": "Order", "events": "Event", "clients": "Client"}


class Organiser(Protocol):
    """The data and the clock of one organiser, which the API serves."""

    tables: dict[str, Table]
    search: PagedSearch

    @property
    def timestamp(self) -> int: ...
    @property
    def now(self) -> datetime: ...
    @now.setter
    def now(self, value: TimestampLike | None) -> None: ...
    def advance(self, hours: float) -> None: ...
    def color_themes(self) -> list[Row]: ...
    def seats(self, show_id: int) -> list[Row] | None: ...
    def barcodes(self, show_id: int) -> list[Row] | None: ...


@dataclass(frozen=True)
class Response:
    """Status and JSON payload of a response; without a payload the body is an HTML page."""

    status: int
    payload: Any = None


def forbidden() -> Response:
    """Return the response to a wrong token."""
    return Response(403, {"error": "Forbidden", "status": 403})


def unhandled() -> Response:
    """Return the unhandled error of the application, as for writes and malformed requests."""
    error = {"error": "Unknown error", "status": 503, "code": "UNKNOWN_ERROR", "info": []}
    return Response(503, error)


def not_found(resource: str, id_: int) -> Response:
    """Return the 404 of a row that does not exist."""
    error = f'Resource "{resource}" not found'
    info = {"id": id_, "resource": resource}
    payload = {"error": error, "status": 404, "code": "RESOURCE_NOT_FOUND", "info": info}
    return Response(404, payload)


def read(world: Organiser, path: str, body: Any) -> Response:
    """Return the response to a GET of a path below `BASE_PATH`."""
    try:
        for pattern, handler in _ROUTES:
            if found := pattern.fullmatch(path):
                return handler(world, body if isinstance(body, dict) else {}, *found.groups())
    except QueryError:
        return unhandled()
    return Response(404)


def _list(world: Organiser, body: Row, name: str) -> Response:
    rows, paging = world.search.page(world.tables[name], parse_query(body), world.timestamp)
    if names := body.get("select"):
        rows = [_select_nested(row, names) for row in rows]
    return Response(200, {"data": rows, "paging": paging})


def _select_nested(row: Row, names: list[str]) -> Row:
    """Return the selected fields of a row; `shows.id` is the `id` of each show."""
    chosen: Row = {}
    for name in names:
        head, _, inner = name.partition(".")
        if head not in row:
            continue
        value = row[head]
        if not inner or not value:
            chosen[head] = value
        elif isinstance(value, list):
            parts = chosen.setdefault(head, [{} for _ in value])
            for part, one in zip(parts, value, strict=True):
                part.update({inner: one[inner]} if inner in one else {})
        else:
            chosen.setdefault(head, {})[inner] = value.get(inner)
    return chosen


def _row(world: Organiser, _body: Row, name: str, id_: str) -> Response:
    row = world.tables[name].get(int(id_), world.timestamp)
    return not_found(RESOURCES[name], int(id_)) if row is None else Response(200, {"data": row})


def _color_themes(world: Organiser, _body: Row) -> Response:
    return Response(200, {"data": world.color_themes()})


def _seats(world: Organiser, body: Row, show_id: str) -> Response:
    rows = world.seats(int(show_id))
    if rows is None:
        return not_found("Show", int(show_id))
    where = body.get("where")
    for condition in where if isinstance(where, list) else []:
        if isinstance(condition, dict) and condition.get("column") == "root_zone_id":
            condition["column"] = "zone_root_id"  # an example of the documentation uses this name
    rows = filter_rows(rows, where)
    select = body.get("select") or []
    if body.get("flat"):
        return Response(200, {"data": {row["id"]: _select(row, select) for row in rows}})
    zones: dict[str, Row] = {}
    for row in rows:
        zone = zones.setdefault(row["zone_id"], {"zone_id": row["zone_id"], "seats": {}})
        zone["seats"][row["id"]] = _select(row, select)
    return Response(200, {"data": {"zones": zones}})


def _select(row: Row, select: list[str]) -> Row:
    """Return the selected fields, `spread.users` inside `spread`; all fields without a select."""
    if not select:
        return row
    chosen = {name: row[name] for name in select if name in row}
    spread = [name.partition(".")[2] for name in select if name.startswith("spread.")]
    if spread:
        chosen["spread"] = {name: row["spread"].get(name) for name in spread}
    return chosen


def _barcodes(world: Organiser, body: Row, show_id: str) -> Response:
    rows = world.barcodes(int(show_id))
    if rows is None:
        return not_found("Show", int(show_id))
    select = body.get("select") or ["barcode"]
    return Response(200, [_select(row, select) for row in rows])


_ROUTES: list[tuple[re.Pattern[str], Callable[..., Response]]] = [
    (re.compile(r"/(orders|events|clients|discounts|promo-codes|baskets)"), _list),
    (re.compile(r"/(orders|events|clients)/(\d+)"), _row),
    (re.compile(r"/color-themes"), _color_themes),
    (re.compile(r"/shows/(\d+)/seats"), _seats),
    (re.compile(r"/shows/(\d+)/barcodes"), _barcodes),
]
