"""The reading part of the Partners API: events, offers and the search for tickets.

Payloads are as documented. GET and POST are equivalent. A wrong key gets a 200 with an error in its
body.
"""

import re
from hashlib import sha1
from typing import Any

from sandbox.search.query import parse_query
from sandbox.server.rest_api import Organiser, Response
from sandbox.world.order_payloads import Row
from sandbox.world.schedule import is_on_sale

BASE_PATH = "/api/partners/v1"


def wrong_key() -> Response:
    """Return the response to a wrong key."""
    error = {"status": "error", "code": "WRONG_AUTHORIZATION", "message": "Wrong authorization"}
    return Response(200, error)


def read(world: Organiser, path: str, body: Any) -> Response:
    """Return the response to a GET or POST of a path below `BASE_PATH`."""
    if path == "/events/lists":
        return Response(200, {"status": "success", "result": _upcoming(world)})
    if found := re.fullmatch(r"/events/offers/(\d+)(?:/(\d+))?", path):
        return _offers(world, int(found[1]), int(found[2] or 0))
    if re.fullmatch(r"/tickets/find(/\d+){0,2}", path):
        wanted = body.get("filter") if isinstance(body, dict) else None
        return Response(200, {"status": "success", "result": _find(world, wanted or {})})
    return Response(404)


def _upcoming(world: Organiser) -> list[Row]:
    """Return a row for each show on sale."""
    table, now = world.tables["events"], world.timestamp
    events: list[Row] = []
    page = 1
    while rows := world.search.page(table, parse_query({"page": page, "perPage": 50}), now)[0]:
        events, page = events + rows, page + 1
    return [
        _event_and_show(event, show)
        for event in events
        for show in event["shows"]
        if not event["deleted_at"] and is_on_sale(show, now)
    ]


def _event_and_show(event: Row, show: Row) -> Row:
    version = f"{show['id']}/{show['updated_at']}/{event['updated_at']}"
    return {
        "event_id": event["id"],
        "show_id": show["id"],
        "event_name": event["name"],
        "start_date": show["start_date"],
        "finish_date": show["finish_date"],
        "scheme": {
            "id": event["scheme_id"],
            "venue_id": event["scheme_id"],
            **{name: event[name] for name in ("place_name", "place_address", "place_description")},
        },
        "city": {**event["city"], "coords": event["place_coordinates"]},
        "event_type": {"id": event["event_type_id"], "name": "Мероприятие"},
        "age": event["age"],
        "fanid_required": False,
        "has_document_verification": False,
        "integrations": [],
        "last_update_hash": sha1(version.encode(), usedforsecurity=False).hexdigest(),
    }


def _offers(world: Organiser, event_id: int, show_id: int) -> Response:
    for row in _upcoming(world):
        if row["event_id"] == event_id and show_id in (0, row["show_id"]):
            seats = {
                seat["id"]: {"available": seat["available"], "price": seat["price"]}
                for seat in world.seats(row["show_id"]) or []
            }
            offers = {"full": {"name": "Полный", "seats": seats}}
            return Response(200, {**row, "status": "success", "offers": offers})
    error = {"status": "error", "code": "EVENT_NOT_FOUND", "message": "Event not found"}
    return Response(200, error)


def _find(world: Organiser, wanted: Row) -> list[Row]:
    """Return tickets by `id`, or by `barcode` among the newest thousand orders."""
    ids, barcodes = (_as_list(wanted.get(name)) for name in ("id", "barcode"))
    tickets = [world.tables["baskets"].get(int(id_), world.timestamp) for id_ in ids]
    for page in range(1, 6 if barcodes else 1):
        query = parse_query({"orderBy": {"id": "desc"}, "perPage": 200, "page": page})
        orders = world.search.page(world.tables["orders"], query, world.timestamp)[0]
        tickets += [
            ticket
            for order in orders
            for ticket in order["baskets"]
            if ticket["barcode"] in barcodes
        ]
    return [_ticket(ticket) for ticket in tickets if ticket]


def _as_list(value: Any) -> list[Any]:
    return [item for item in (value if isinstance(value, list) else [value]) if item is not None]


def _ticket(ticket: Row) -> Row:
    people = ("client_email", "client_phone", "client_name", "client_surname", "client_middlename")
    return {
        "id": ticket["id"],
        "paid": int(ticket["barcode"] is not None),
        "paid_at": ticket["created_at"] if ticket["barcode"] else None,
        "seat_id": ticket["seat_id"],
        "offer_id": "full",
        "admission": ticket["seat_id"].endswith("-1;1"),
        "reserved_to": None,
        "external_id": None,
        "external_order_id": None,
        "barcode": ticket["barcode"],
        "price": ticket["price"],
        **{name: ticket[name] for name in people},
        "deleted": int(ticket["deleted_at"] is not None),
    }
