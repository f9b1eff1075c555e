"""Recording of cassettes: `python -m tools.recording` writes all files of `cassettes/`.

Each case reads from a sandbox with a small organiser and a fixed clock, so recording again gives
the same bytes. Tokens, personal data, links and barcodes are removed, and seating plans are cut to
their first entry. On replay, requests match by method, path and JSON body.
"""

import json
import re
import sys
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit, urlunsplit

import vcr
import yaml
from vcr.request import Request

from qtickets_source.api.client import QTicketsClient, open_client
from qtickets_source.api.filters import Condition
from qtickets_source.errors import QTicketsError
from qtickets_source.privacy import (
    WITHHELD_EVENT_FIELDS,
    WITHHELD_ORDER_FIELDS,
    WITHHELD_TICKET_FIELDS,
    redact_json,
)
from qtickets_source.settings import BARCODE_FIELDS, BASE_URL, SEAT_FIELDS
from sandbox import Fault, World, serve

CASSETTES = Path(__file__).resolve().parent.parent / "cassettes"
TOKEN = "sandbox-token"
NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
ORDERS_PER_PAGE = 5
Row = dict[str, Any]


def organiser() -> World:
    """Return a world of about thirty orders, one of them refunded, one cancelled, one exchanged."""
    month = timedelta(days=30)
    world = World(orders=60, seed=1, start=NOW - month, end=NOW + month, now=NOW, events=4)
    world.tables["orders"].per_page = ORDERS_PER_PAGE
    world.tables["discounts"].per_page = 20
    paid = [order for order in world.orders() if order["payed"] and not order["deleted_at"]]
    sold = [order for order in paid if all(ticket["price"] for ticket in order["baskets"])]
    world.advance(-3)
    world.refund(sold[2]["id"], deduction=50)
    world.cancel(sold[4]["id"])
    world.exchange(sold[-2]["id"])
    world.sell(tickets=3)
    world.now = NOW
    return world


# -- the cases ------------------------------------------------------------------------------------


def _read_account(client: QTicketsClient) -> dict[str, list[Row]]:
    """Read everything that a run with all datasets reads."""
    read = {
        path: _flat(client.list_pages(path))
        for path in ("orders", "events", "clients", "discounts", "promo-codes")
    }
    read["color-themes"] = _flat(client.fetch_unpaged("color-themes", {}))
    for show in (show for event in read["events"] for show in event["shows"]):
        seats, barcodes = f"shows/{show['id']}/seats", f"shows/{show['id']}/barcodes"
        read[seats] = client.get(seats, SEATS)
        read[barcodes] = _flat(client.fetch_unpaged(barcodes, {"select": list(BARCODE_FIELDS)}))
    return read


def _flat(pages: Iterator[list[Row]]) -> list[Row]:
    return [row for page in pages for row in page]


def _orders(client: QTicketsClient) -> list[Row]:
    return _flat(client.list_pages("orders", [Condition("payed_at", ">=", LATELY)]))


def _first_page(client: QTicketsClient) -> list[Row]:
    return client.count("orders", [Condition("id", "=", ORDER)])[1]


def _single_order(client: QTicketsClient) -> Any:
    return client.get("orders/1", {})


SEATS = {"select": list(SEAT_FIELDS), "flat": True}
LATELY = NOW - timedelta(days=12)
_ORGANISER = organiser()
ORDER = _ORGANISER.orders(7, 8)[0]["id"]
CLIENT = _ORGANISER.orders(7, 8)[0]["client_id"]
EVENT = _ORGANISER.events()[0]["id"]
SHOW = _ORGANISER.events()[1]["shows"][0]["id"]


@dataclass(frozen=True)
class Case:
    """A cassette: the function that reads, and the faults of the service."""

    read: Callable[[QTicketsClient], Any]
    faults: tuple[Row, ...] = ()
    token: str = TOKEN
    retry_seconds: float = 30.0


def _failing(**fault: Any) -> tuple[Row, ...]:
    return ({"path": "/orders", "kind": "status", **fault},)


CASES = {
    "account": Case(_read_account),
    "orders": Case(_orders),
    "orders_none": Case(lambda client: _flat(client.walk("orders", [Condition("id", "=", 0)]))),
    "orders_walk": Case(
        lambda client: _flat(
            client.walk("orders", [Condition("updated_at", ">=", LATELY)], "updated_at")
        )
    ),
    "order": Case(lambda client: client.get(f"orders/{ORDER}", {})),
    "events": Case(lambda client: _flat(client.list_pages("events"))),
    "event": Case(lambda client: client.get(f"events/{EVENT}", {})),
    "seats": Case(lambda client: client.get(f"shows/{SHOW}/seats", SEATS)),
    "seats_by_zone": Case(
        lambda client: client.get(f"shows/{SHOW}/seats", {"select": list(SEAT_FIELDS)})
    ),
    "barcodes": Case(
        lambda client: _flat(
            client.fetch_unpaged(f"shows/{SHOW}/barcodes", {"select": list(BARCODE_FIELDS)})
        )
    ),
    "clients": Case(lambda client: _flat(client.walk("clients", [Condition("id", ">", 0)]))),
    "client": Case(lambda client: client.get(f"clients/{CLIENT}", {})),
    "discounts": Case(lambda client: _flat(client.list_pages("discounts"))),
    "promo_codes": Case(lambda client: _flat(client.list_pages("promo-codes"))),
    "color_themes": Case(lambda client: _flat(client.fetch_unpaged("color-themes", {}))),
    "200_web_page": Case(_first_page, _failing(kind="html")),
    "200_no_data": Case(_first_page, _failing(kind="no_data")),
    "301": Case(_first_page, _failing(status=301)),
    "400": Case(_single_order, _failing(status=400, body="json")),
    "401": Case(_first_page, _failing(status=401, body="json")),
    "403": Case(_first_page, token="another"),
    "404_no_such_order": Case(_single_order),
    "404_no_such_path": Case(lambda client: client.get(f"events/{EVENT}/seats", {})),
    "429_then_200": Case(_first_page, _failing(status=429, retry_after=1, times=1)),
    "500_then_200": Case(_first_page, _failing(status=500, body="json", times=1)),
    "502_then_200": Case(_first_page, _failing(status=502, times=1)),
    "503_application": Case(_single_order, _failing(status=503, body="json"), retry_seconds=0.1),
    "504_gateway": Case(_first_page, _failing(status=504), retry_seconds=0.1),
}


def client_for(case: Case, base_url: str = BASE_URL) -> QTicketsClient:
    """Return a client with the token and the retries of a case."""
    return open_client(
        base_url=base_url,
        token=case.token,
        # VCR replaces the connection classes of the process, and puts them back while it makes a
        # connection: another thread could then reach the network.
        connections=1,
        retry_seconds=case.retry_seconds,
    )


# -- removal of personal data ---------------------------------------------------------------------

_KEPT_HEADERS = ("Content-Type", "Date", "Retry-After")
_WITHHELD = (
    WITHHELD_ORDER_FIELDS
    | WITHHELD_TICKET_FIELDS
    | WITHHELD_EVENT_FIELDS
    # Fields of `/clients`, and of the client of an order.
    | {"email", "phone", "surname", "middlename"}
) - {"client_id"}
_TIMESTAMP = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\+03:00")


@dataclass
class Scrubber:
    """Removes personal data and links; equal barcodes are replaced by equal texts."""

    _codes: dict[str, str] = field(default_factory=dict)

    def payload(self, payload: Any, path: str) -> Any:
        """Return a payload without personal data; in `/clients` all texts are personal."""
        return self._value(payload, is_personal="/clients" in path)

    def _value(self, value: Any, *, is_personal: bool) -> Any:
        if isinstance(value, dict):
            return {
                key: self._field(key, item, is_personal=is_personal) for key, item in value.items()
            }
        if isinstance(value, list):
            return [self._value(item, is_personal=is_personal) for item in value]
        if isinstance(value, str):
            is_personal = is_personal and value != "" and not _TIMESTAMP.fullmatch(value)
            return None if is_personal or redact_json(value) != value else value
        return value

    def _field(self, key: str, value: Any, *, is_personal: bool) -> Any:
        if key == "barcode" and value:
            return self._codes.setdefault(value, f"barcode-{len(self._codes) + 1}")
        if key == "scheme_properties":
            return _first_entries(value)
        if key not in _WITHHELD:
            return self._value(value, is_personal=is_personal)
        if isinstance(value, (dict, list)):
            return self._value(value, is_personal=True)
        return value if value == "" else None


def _first_entries(value: Any) -> Any:
    """Return an object or list with its first entry only, at every depth."""
    if isinstance(value, dict):
        return {key: _first_entries(item) for key, item in list(value.items())[:1]}
    return [_first_entries(item) for item in value[:1]] if isinstance(value, list) else value


def _scrub_request(request: Request) -> Request:
    path = urlsplit(request.uri).path
    request.headers = {}
    request.uri = urlunsplit(("https", "qtickets.ru", path, "", ""))
    return request


class _ExchangeScrubber:
    """Scrubs a request and its response, for which VCR does not pass the path of the request."""

    def __init__(self) -> None:
        self._scrubber = Scrubber()
        self._path = ""

    def request(self, request: Request) -> Request:
        self._path = urlsplit(request.uri).path
        return _scrub_request(request)

    def response(self, response: Row) -> Row:
        headers = {name.title(): values for name, values in response["headers"].items()}
        text = response["body"]["string"].decode()
        if "json" in headers["Content-Type"][0]:
            text = _one_row_per_line(self._scrubber.payload(json.loads(text), self._path))
        else:
            text = text[:160] + "</body></html>"
        return {
            "status": response["status"],
            "headers": {name: headers[name] for name in _KEPT_HEADERS if name in headers},
            "body": {"string": text.encode()},
        }


def _one_row_per_line(payload: Any) -> str:
    """Return JSON with each row of `data` on a line of its own."""

    def compact(value: Any) -> str:
        return json.dumps(value, ensure_ascii=False, separators=(",", ":"))

    data = payload if isinstance(payload, list) else payload.get("data")
    if isinstance(data, list) and data:
        rows = "[\n" + ",\n".join(compact(row) for row in data) + "\n]"
        rest = compact({**payload, "data": None}) if data is not payload else ""
        return rest.replace('"data":null', f'"data":{rows}', 1) or rows
    if isinstance(data, dict) and data and all(isinstance(item, dict) for item in data.values()):
        lines = ",\n".join(f"{compact(key)}:{compact(item)}" for key, item in data.items())
        return f'{{"data":{{\n{lines}\n}}}}'
    return compact(payload)


class _Readable(yaml.SafeDumper):
    """YAML with multi-line texts as blocks."""


_Readable.add_representer(
    str,
    lambda dumper, text: dumper.represent_scalar(
        "tag:yaml.org,2002:str", text, style="|" if "\n" in text else None
    ),
)


class _Serializer:
    """A serializer for VCR: bodies as blocks, Cyrillic unescaped."""

    @staticmethod
    def serialize(cassette: Row) -> str:
        text: str = yaml.dump(cassette, Dumper=_Readable, allow_unicode=True, width=10**9)
        return text

    @staticmethod
    def deserialize(text: str) -> Any:
        return yaml.load(text, Loader=getattr(yaml, "CSafeLoader", yaml.SafeLoader))


def _same_json(one: Request, other: Request) -> None:
    bodies = [json.loads(request.body) if request.body else None for request in (one, other)]
    assert bodies[0] == bodies[1]


def _recorder(**more: Any) -> vcr.VCR:
    recorder = vcr.VCR(serializer="readable", match_on=["method", "path", "json"], **more)
    recorder.register_serializer("readable", _Serializer)
    recorder.register_matcher("json", _same_json)
    return recorder


@contextmanager
def played(name: str) -> Iterator[Any]:
    """Replay a cassette in place of the network; a request that it does not contain fails."""
    with _recorder(record_mode="none").use_cassette(str(CASSETTES / f"{name}.yaml")) as cassette:
        yield cassette


def record(folder: Path) -> None:
    """Write all cassettes to a folder."""
    folder.mkdir(exist_ok=True)
    for old in folder.glob("*.yaml"):
        old.unlink()
    with serve(organiser(), TOKEN) as server:
        for name, case in CASES.items():
            scrubber = _ExchangeScrubber()
            # The size of the captured pages.
            server.faults[:] = [Fault(kind="ignore_key", key="perPage")]
            server.faults += [Fault(**fault) for fault in case.faults]
            recorder = _recorder(
                record_mode="all",
                before_record_request=scrubber.request,
                before_record_response=scrubber.response,
            )
            with recorder.use_cassette(str(folder / f"{name}.yaml")):
                try:
                    case.read(client_for(case, server.url))
                except QTicketsError as error:
                    if not name[0].isdigit():
                        raise AssertionError(
                            f"recording the case {name} failed: {error}"
                        ) from error


if __name__ == "__main__":
    record(CASSETTES)
    size = sum(path.stat().st_size for path in CASSETTES.iterdir())
    sys.stdout.write(f"{len(CASES)} cassettes in {CASSETTES.name}/, {size // 1000} KB\n")
