"""The service's answers: from (path, body) to a status and a payload, without any HTTP.

Only what is in a request's JSON body counts; the query string is never looked at.
"""

import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from sandbox.search.query import QueryError, filtered, parse
from sandbox.search.search import Row, Search, Table
from sandbox.world.timestamps import seconds

BASE_PATH = "/api/rest/v1"
RESOURCES = {"orders": "Order", "events": "Event", "clients": "Client"}


class Organiser(Protocol):
    """What a world shows to the service: its lists, its seats and its clock."""

    tables: dict[str, Table]
    search: Search

    @property
    def moment(self) -> int: ...
    def color_themes(self) -> list[Row]: ...
    def seats(self, show_id: int) -> list[Row] | None: ...
    def barcodes(self, show_id: int) -> list[Row] | None: ...


@dataclass(frozen=True)
class Answer:
    """Status and JSON payload; without a payload the body is an HTML page."""

    status: int
    payload: Any = None


def forbidden() -> Answer:
    """The answer to a wrong token."""
    return Answer(403, {"error": "Forbidden", "status": 403})


def unhandled() -> Answer:
    """The application's own unhandled error, as `POST /orders` and odd requests get it."""
    error = {"error": "Unknown error", "status": 503, "code": "UNKNOWN_ERROR", "info": []}
    return Answer(503, error)


def missing(resource: str, id_: int) -> Answer:
    error = f'Resource "{resource}" not found'
    info = {"id": id_, "resource": resource}
    payload = {"error": error, "status": 404, "code": "RESOURCE_NOT_FOUND", "info": info}
    return Answer(404, payload)


def read(world: Organiser, path: str, body: Any) -> Answer:
    """The answer to a GET of a path below the API's base path."""
    try:
        for pattern, handler in _ROUTES:
            if found := pattern.fullmatch(path):
                return handler(world, body if isinstance(body, dict) else {}, *found.groups())
    except QueryError:
        return unhandled()
    return Answer(404)


def _list(world: Organiser, body: Row, name: str) -> Answer:
    rows, paging = world.search.page(world.tables[name], parse(body), world.moment)
    return Answer(200, {"data": rows, "paging": paging})


def _single(world: Organiser, _body: Row, name: str, id_: str) -> Answer:
    row = world.tables[name].get(int(id_), world.moment)
    return missing(RESOURCES[name], int(id_)) if row is None else Answer(200, {"data": row})


def _color_themes(world: Organiser, _body: Row) -> Answer:
    return Answer(200, {"data": world.color_themes()})


def _seats(world: Organiser, body: Row, show_id: str) -> Answer:
    rows = world.seats(int(show_id))
    if rows is None:
        return missing("Show", int(show_id))
    where = body.get("where")
    for condition in where if isinstance(where, list) else []:
        if isinstance(condition, dict) and condition.get("column") == "root_zone_id":
            condition["column"] = "zone_root_id"  # the documentation's own example has it so
    rows = filtered(rows, where)
    select = body.get("select") or []
    if body.get("flat"):
        return Answer(200, {"data": {row["id"]: _selected(row, select) for row in rows}})
    zones: dict[str, Row] = {}
    for row in rows:
        zone = zones.setdefault(row["zone_id"], {"zone_id": row["zone_id"], "seats": {}})
        zone["seats"][row["id"]] = _selected(row, select)
    return Answer(200, {"data": {"zones": zones}})


def _selected(row: Row, select: list[str]) -> Row:
    """Only the selected fields, `spread.users` inside `spread`; everything without a select."""
    if not select:
        return row
    chosen = {name: row[name] for name in select if name in row}
    spread = [name.partition(".")[2] for name in select if name.startswith("spread.")]
    if spread:
        chosen["spread"] = {name: row["spread"].get(name) for name in spread}
    return chosen


def _barcodes(world: Organiser, body: Row, show_id: str) -> Answer:
    rows = world.barcodes(int(show_id))
    if rows is None:
        return missing("Show", int(show_id))
    select = body.get("select") or ["barcode"]
    return Answer(200, [_selected(row, select) for row in rows])


_ROUTES: list[tuple[re.Pattern[str], Callable[..., Answer]]] = [
    (re.compile(r"/(orders|events|clients|discounts|promo-codes|baskets)"), _list),
    (re.compile(r"/(orders|events|clients)/(\d+)"), _single),
    (re.compile(r"/color-themes"), _color_themes),
    (re.compile(r"/shows/(\d+)/seats"), _seats),
    (re.compile(r"/shows/(\d+)/barcodes"), _barcodes),
]


def on_sale(show: Row, moment: int) -> bool:
    """Whether a show of `/events` sells tickets at a moment."""
    return bool(
        show["is_active"] and not show["deleted_at"] and seconds(show["sale_finish_date"]) > moment
    )
