"""The simulator of the service, tested over HTTP: the behaviour that other tests rely on."""

import json
import os
import re
import signal
import subprocess
import sys
import time
from collections import Counter, defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from hashlib import sha256
from itertools import pairwise
from typing import Any

import pytest
import requests

from sandbox import Fault, RecordedWorld, Server, World, demo_world, serve
from tests.support.paths import PROJECT, REAL_PAGES

NOW = "2026-07-01T12:00:00+03:00"
JULY = "2026-06-25T00:00:00+03:00"
Row = dict[str, Any]


def get(server: Server, path: str, body: Any = None, query: str = "") -> requests.Response:
    headers = {"Authorization": f"Bearer {server.token}"}
    return requests.get(server.url + path + query, headers=headers, json=body, timeout=20)


def where(column: str, value: Any = None, operator: str = "=") -> Row:
    return {"column": column, "operator": operator, "value": value}


def listed(server: Server, path: str, *conditions: Row, **more: Any) -> list[Row]:
    """Return all rows of a list, read page by page."""
    rows: list[Row] = []
    page = 1
    while True:
        answer = get(server, path, {"where": list(conditions), "page": page, **more}).json()
        rows, page = rows + answer["data"], page + 1
        if not answer["data"]:
            assert len(rows) == answer["paging"]["total"]
            return rows


def parsed(text: str) -> datetime:
    return datetime.fromisoformat(text)


def is_valid(ticket: Row) -> bool:
    return ticket["deleted_at"] is None and ticket["refunded_at"] is None


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    """A world that no test changes."""
    with serve(World(orders=2500, seed=7, now=NOW, tenge_event=True)) as running:
        yield running


@pytest.fixture(scope="module")
def orders(server: Server) -> list[Row]:
    assert isinstance(server.world, World)
    return server.world.orders()


@pytest.fixture
def own() -> Iterator[Server]:
    """A small world that one test may change."""
    with serve(World(orders=800, seed=3, now=NOW)) as running:
        yield running


def world_of(server: Server) -> World:
    assert isinstance(server.world, World)
    return server.world


# -- lists -----------------------------------------------------------------------------------------


def test_the_query_string_is_ignored_and_the_body_of_the_get_is_honoured(server: Server) -> None:
    everything = get(server, "/orders").json()
    by_query = get(server, "/orders", query="?payed=0&per_page=200&page=3&since=2026-06-01")
    by_body = get(server, "/orders", {"where": [where("payed", 0)], "page": 2}).json()
    assert by_query.status_code == 200
    assert by_query.json() == everything
    assert {row["payed"] for row in everything["data"]} == {True, False}
    assert {row["payed"] for row in by_body["data"]} == {False}
    assert by_body["paging"]["currentPage"] == 2
    assert by_body["paging"]["total"] < everything["paging"]["total"]


@pytest.mark.parametrize(
    ("path", "size"),
    [("/orders", 50), ("/clients", 100), ("/events", 10), ("/discounts", 100),
     ("/promo-codes", 500), ("/baskets", 100)],
)  # fmt: skip
def test_lists_have_the_observed_page_sizes_and_a_total_of_rows(
    server: Server, path: str, size: int
) -> None:
    rows = listed(server, path)
    paging = get(server, path).json()["paging"]
    assert paging == {"perPage": size, "currentPage": 1, "total": len(rows)}
    ids = [row["id"] for row in rows]
    assert ids == sorted(set(ids))
    assert get(server, path, {"page": 999}).json()["data"] == []


def test_a_larger_page_is_honoured_up_to_a_limit(server: Server) -> None:
    assert len(get(server, "/orders", {"perPage": 100}).json()["data"]) == 100
    assert get(server, "/orders", {"perPage": 10_000}).json()["paging"]["perPage"] == 200


def test_color_themes_have_no_paging(server: Server) -> None:
    answer = get(server, "/color-themes").json()
    assert list(answer) == ["data"]
    assert len(answer["data"]) == 15


CONDITIONS = [
    (where("payed", 1), lambda o: o["payed"]),
    ({"column": "payed", "value": False}, lambda o: not o["payed"]),
    (where("id", 2_000_000, ">"), lambda o: o["id"] > 2_000_000),
    (where("id", 2_000_000, "<="), lambda o: o["id"] <= 2_000_000),
    (where("price", 0, "!="), lambda o: o["price"] != 0),
    (where("price", 1500.5, "<"), lambda o: o["price"] < 1500.5),
    (where("price", "1000", ">="), lambda o: o["price"] >= 1000),
    (where("deleted_at", None, "null"), lambda o: o["deleted_at"] is None),
    (where("deleted_at", None, "not null"), lambda o: o["deleted_at"] is not None),
    (where("promo_code_id", None, "null"), lambda o: o["promo_code_id"] is None),
    (where("currency_id", "KZT"), lambda o: o["currency_id"] == "KZT"),
    (where("event_id", [24044, 24118], "in"), lambda o: o["event_id"] in (24044, 24118)),
    (where("event_id", [24044], "not in array"), lambda o: o["event_id"] != 24044),
    (where("updated_at", JULY, ">="), lambda o: parsed(o["updated_at"]) >= parsed(JULY)),
    (where("payed_at", JULY, "<"), lambda o: o["payed_at"] and o["payed_at"] < JULY),
    (where("created_at", "2026-06-24T21:00:00Z", ">"), lambda o: o["created_at"] > JULY),
]


@pytest.mark.parametrize(("condition", "expected"), CONDITIONS)
def test_every_operator_filters_as_python_does(
    server: Server, orders: list[Row], condition: Row, expected: Any
) -> None:
    wanted = [row for row in orders if expected(row)]
    assert 0 < len(wanted) < len(orders)
    assert listed(server, "/orders", condition, perPage=200) == wanted


def test_all_conditions_of_other_lists_must_match(server: Server) -> None:
    codes = get(server, "/promo-codes").json()["data"]
    some = codes[0]["discount_id"]
    conditions = [where("discount_id", some), where("deleted_at", None, "null")]
    wanted = [c for c in codes if c["discount_id"] == some and c["deleted_at"] is None]
    assert listed(server, "/promo-codes", *conditions) == wanted
    events = listed(server, "/events", where("deleted_at", None, "not null"))
    assert events
    assert all(event["deleted_at"] for event in events)


@pytest.mark.parametrize("column", ["id", "updated_at", "payed_at", "price"])
@pytest.mark.parametrize("direction", ["asc", "desc"])
def test_lists_are_ordered_as_asked(
    server: Server, orders: list[Row], column: str, direction: str
) -> None:
    rows = listed(server, "/orders", perPage=200, orderBy={column: direction})
    wanted = sorted(orders, key=lambda row: row[column] or "" if "_at" in column else row[column])
    wanted = wanted if direction == "asc" else wanted[::-1]
    assert [row[column] for row in rows] == [row[column] for row in wanted]
    assert sorted(row["id"] for row in rows) == [row["id"] for row in orders]


def test_tickets_are_listed_with_their_orders_id(server: Server, orders: list[Row]) -> None:
    scanned = listed(server, "/baskets", where("checked_at", None, "not null"), perPage=500)
    wanted = {t["id"]: o["id"] for o in orders for t in o["baskets"] if t["checked_at"]}
    assert {ticket["id"]: ticket["order_id"] for ticket in scanned} == wanted


def test_a_single_row_equals_the_row_of_the_list(server: Server, orders: list[Row]) -> None:
    order = orders[100]
    assert get(server, f"/orders/{order['id']}").json() == {"data": order}
    client = get(server, f"/clients/{order['client_id']}").json()["data"]
    assert client == order["client"]
    event = get(server, f"/events/{order['event_id']}").json()["data"]
    assert event in listed(server, "/events")


# -- errors ----------------------------------------------------------------------------------------


def test_errors_look_like_the_captured_ones(server: Server) -> None:
    missing = get(server, "/orders/4360")
    assert missing.status_code == 404
    assert missing.json() == {
        "error": 'Resource "Order" not found', "status": 404, "code": "RESOURCE_NOT_FOUND",
        "info": {"id": 4360, "resource": "Order"},
    }  # fmt: skip
    page = get(server, "/events/24044/seats")
    assert page.status_code == 404
    assert page.headers["Content-Type"] == "text/html"
    assert 10_000 < len(page.content) < 15_000
    stranger = requests.get(server.url + "/orders", timeout=5)
    assert (stranger.status_code, stranger.json()["status"]) == (403, 403)


@pytest.mark.parametrize(
    "body",
    [
        {"where": [where("nonsense", 1)]},
        {"where": [where("id", 1, "like")]},
        {"where": [where("updated_at", "yesterday", ">")]},
        {"where": {"payed": 1}},
        {"orderBy": {"nonsense": "asc"}},
    ],
)
def test_an_invalid_query_gets_the_unhandled_503(server: Server, body: Row) -> None:
    answer = get(server, "/orders", body)
    assert answer.status_code == 503
    expected = {"error": "Unknown error", "status": 503, "code": "UNKNOWN_ERROR", "info": []}
    assert answer.json() == expected


def test_writes_are_refused_and_counted(own: Server) -> None:
    headers = {"Authorization": f"Bearer {own.token}"}
    before = world_of(own).orders()
    for method, path in (("POST", "/orders"), ("PUT", "/baskets/1"), ("DELETE", "/orders/1")):
        answer = requests.request(method, own.url + path, headers=headers, json={}, timeout=5)
        assert answer.status_code == 503
    assert own.writes_received == 3
    assert world_of(own).orders() == before


# -- seats -----------------------------------------------------------------------------------------


def occupied(rows: list[Row]) -> Counter[tuple[int, str]]:
    """Return the number of seats by (show, paid or reserved) that these orders occupy."""
    found: Counter[tuple[int, str]] = Counter()
    for order in rows:
        for ticket in order["baskets"]:
            if is_valid(ticket):
                kind = "paid" if order["payed"] else "reserved"
                found[ticket["show_id"], kind] += ticket["quantity"]
    return found


def assert_seats_follow_the_orders(world: World) -> dict[int, int]:
    """Check the seats of all shows, and return the number of free seats by show."""
    wanted, left = occupied(world.orders()), {}
    for event in world.events():
        for show in event["shows"]:
            seats = world.seats(show["id"])
            assert seats is not None
            on_sale = [seat for seat in seats if not seat["disabled"]]
            total, free, ordered, payed = (
                sum(seat[name] for seat in on_sale)
                for name in ("max_quantity", "free_quantity", "ordered_quantity", "payed_quantity")
            )
            paid, reserved = wanted[show["id"], "paid"], wanted[show["id"], "reserved"]
            assert (total - free, ordered, payed) == (paid + reserved, paid + reserved, paid)
            assert min(seat["free_quantity"] for seat in seats) >= 0
            left[show["id"]] = free
    return left


def test_seats_follow_the_orders_as_the_clock_moves() -> None:
    world = World(orders=3000, seed=5, now="2026-02-01")
    capacities: dict[int, set[int]] = defaultdict(set)
    for now in ("2026-02-01", "2026-05-03T10:00:00+03:00", "2026-12-31", "2026-03-01"):
        world.now = now
        left = assert_seats_follow_the_orders(world)
        for show in left:
            seats = world.seats(show) or []
            capacities[show].add(sum(s["max_quantity"] for s in seats if not s["disabled"]))
    assert all(len(totals) == 1 for totals in capacities.values())


def test_seats_follow_edits_of_single_orders() -> None:
    world = World(orders=500, seed=5, now="2026-05-03")
    before = assert_seats_follow_the_orders(world)
    sold = world.sell(tickets=3)
    after = assert_seats_follow_the_orders(world)
    show = world.order(sold)["baskets"][0]["show_id"]
    assert before | {show: before[show] - 3} == after
    world.refund(sold, [world.order(sold)["baskets"][0]["id"]], deduction=50)
    assert_seats_follow_the_orders(world)
    world.exchange(world.sell(tickets=2))
    other = world.sell()
    world.cancel(other)
    assert_seats_follow_the_orders(world)
    world.restore(other)
    world.advance(hours=24 * 100)
    assert_seats_follow_the_orders(world)


def test_some_shows_sell_out(server: Server) -> None:
    world = World(orders=3000, seed=5, now="2027-02-01")
    assert 0 in assert_seats_follow_the_orders(world).values()


def test_seats_are_flat_or_by_zone_with_selected_fields(server: Server, orders: list[Row]) -> None:
    show = orders[-1]["baskets"][0]["show_id"]
    body = {"select": ["id", "free_quantity", "spread.users"], "flat": True}
    flat = get(server, f"/shows/{show}/seats", body).json()["data"]
    assert all(list(seat) == ["id", "free_quantity", "spread"] for seat in flat.values())
    zones = get(server, f"/shows/{show}/seats").json()["data"]["zones"]
    assert {seat for zone in zones.values() for seat in zone["seats"]} == set(flat)
    free = [where("available", True), where("price", 1, ">=")]
    some = get(server, f"/shows/{show}/seats", {"where": free, "flat": True}).json()["data"]
    assert some
    assert all(seat["free_quantity"] and not seat["disabled"] for seat in some.values())
    assert get(server, "/shows/1/seats").json()["code"] == "RESOURCE_NOT_FOUND"


def test_halls_have_numbered_seats_admission_zones_and_disabled_seats() -> None:
    world = World(orders=5000, seed=1, now=NOW)
    shows = [event["shows"][0] for event in world.events()]
    seats = [seat for show in shows for seat in world.seats(show["id"]) or []]
    assert {seat["admission"] for seat in seats} == {True, False}
    assert {seat["disabled"] for seat in seats} == {True, False}
    assert all(seat["max_quantity"] == 1 for seat in seats if not seat["admission"])


def test_barcodes_are_the_valid_tickets_of_a_show(server: Server, orders: list[Row]) -> None:
    show = next(t["show_id"] for o in orders for t in o["baskets"] if t["refunded_at"])
    wanted = [
        ticket["barcode"]
        for order in orders
        if order["payed"]
        for ticket in order["baskets"]
        if ticket["show_id"] == show and is_valid(ticket)
    ]
    rows = get(server, f"/shows/{show}/barcodes", {"select": ["barcode", "price"]}).json()
    assert sorted(row["barcode"] for row in rows) == sorted(wanted)
    assert list(rows[0]) == ["barcode", "price"]


# -- rows ------------------------------------------------------------------------------------------

WIDER = {  # Types that are documented or observed elsewhere, but not in the captured pages
    "price": float, "original_price": float, "ticket_original_price": float,
    "discount_value": float, "ticket_amount": float, "refunded_at": str, "refunded_amount": float,
    "refunded_deduction_amount": float, "fields": dict, "middlename": str,
    "client_middlename": str, "organization_name": str, "legal_name": str, "work_position": str,
    "inn": str, "kpp": str, "comment": str, "surname": type(None),
    "utm_content": type(None), "min_price": type(None), "max_price": type(None),
}  # fmt: skip
FREE_FORM = {"utm", "scheme_properties", "fields", "refunds", "shows", "events"}
LINKS = {"primary_orders", "secondary_orders"}


def shape_of(rows: list[Row]) -> dict[str, set[type]]:
    """Return the types of the values in all rows by path."""
    shape: dict[str, set[type]] = defaultdict(set)

    def walk(value: Any, path: str, name: str) -> None:
        shape[path].add(type(value))
        if isinstance(value, dict) and name not in FREE_FORM - {"shows"}:
            for key, inner in value.items():
                walk(inner, f"{path}.{key}", key)
        if isinstance(value, list) and name not in ("refunds", "modifiers"):
            for inner in value:
                walk(inner, f"{path}[]", name)

    for row in rows:
        walk({k: v for k, v in row.items() if k not in LINKS}, "", "row")
    return shape


@pytest.mark.parametrize(
    ("path", "file"),
    [("/orders", "orders_page"), ("/events", "events_page"), ("/clients", "clients_page"),
     ("/discounts", "discounts_page"), ("/promo-codes", "promo_codes_page")],
)  # fmt: skip
def test_rows_have_the_fields_and_types_of_real_ones(server: Server, path: str, file: str) -> None:
    real = shape_of(json.loads((REAL_PAGES / f"{file}.json").read_text())["data"])
    ours = shape_of(listed(server, path, perPage=200))
    assert set(ours) == set(real)
    for field, types in ours.items():
        extra = types - real[field] - {WIDER.get(field.rpartition(".")[2], str)}
        assert not extra - {str} or not types - real[field], (field, types, real[field])
    for real_row in json.loads((REAL_PAGES / f"{file}.json").read_text())["data"][:1]:
        ours_row = next(row for row in get(server, path).json()["data"] if not LINKS & set(row))
        assert list(ours_row) == list(real_row)


def test_all_datetimes_are_in_moscow_time(server: Server) -> None:
    for path in ("/orders", "/events", "/discounts", "/promo-codes"):
        text = get(server, path).text
        stamps = re.findall(r'"(\d{4}-\d\d-\d\dT[^"]*)"', text)
        assert stamps
        assert all(re.fullmatch(r"[\d-]{10}T[\d:]{8}\+03:00", stamp) for stamp in stamps)


def test_scheme_properties_are_large_and_keyed_by_names(server: Server) -> None:
    shows = [show for event in listed(server, "/events") for show in event["shows"]]
    sizes = [len(json.dumps(s["scheme_properties"], ensure_ascii=False)) for s in shows]
    assert 50_000 < max(sizes) < 90_000
    rows = [zone["rows"] for show in shows for zone in show["scheme_properties"]["zones"].values()]
    assert {type(row) for row in rows} == {list, dict}
    assert any("11а" in row for row in rows)


def test_money_adds_up_in_every_order(orders: list[Row]) -> None:
    for order in orders:
        tickets = order["baskets"]
        for name in ("price", "original_price"):
            total = sum(round(ticket[name] * 100) * ticket["quantity"] for ticket in tickets)
            assert round(order[name] * 100) == total
        for ticket in tickets:
            left = round(ticket["original_price"] * 100) - round(ticket["discount_value"] * 100)
            assert round(ticket["price"] * 100) == left
            if ticket["refunded_at"]:
                paid = ticket["refunded_amount"] + ticket["refunded_deduction_amount"]
                assert round(paid * 100) == round(ticket["price"] * 100) * ticket["quantity"]
            assert (ticket["barcode"] is None) == (not order["payed"])


def test_timestamps_are_consistent_within_an_order(orders: list[Row]) -> None:
    for order in orders:
        updated = parsed(order["updated_at"])
        for name in ("created_at", "payed_at", "deleted_at"):
            assert order[name] is None or parsed(order[name]) <= updated
        for ticket in order["baskets"]:
            assert (ticket["deleted_at"] is None) == (order["deleted_at"] is None)
            for name in ("payed_at", "deleted_at"):
                assert not order[name] or parsed(ticket["updated_at"]) >= parsed(order[name])
            if ticket["refunded_at"]:
                assert parsed(ticket["refunded_at"]) <= updated
            if ticket["checked_at"]:
                assert is_valid(ticket)
                assert parsed(ticket["updated_at"]) >= parsed(ticket["checked_at"])
        if not order["payed"] and order["deleted_at"]:
            late = parsed(order["deleted_at"]) - parsed(order["reserved_to"])
            assert timedelta(minutes=15) <= late <= timedelta(minutes=17)
    ids = [order["id"] for order in orders]
    assert ids == sorted(ids)
    assert all(a["created_at"] <= b["created_at"] for a, b in pairwise(orders))


def test_the_world_has_all_kinds_of_orders(orders: list[Row]) -> None:
    paid = [order for order in orders if order["payed"]]
    tickets = [ticket for order in orders for ticket in order["baskets"]]
    free = [order for order in paid if order["price"] == 0]
    assert 0.35 < len(free) / len(orders) < 0.55
    assert 2 < len(tickets) / len(orders) < 2.6
    kinds = {
        "unpaid": not all(order["payed"] for order in orders),
        "unpaid and not yet expired": any(not o["payed"] and not o["deleted_at"] for o in orders),
        "cancelled though paid": any(order["deleted_at"] for order in paid),
        "kopecks": any(isinstance(ticket["price"], float) for ticket in tickets),
        "part of an order refunded": any(
            0 < sum(t["refunded_at"] is not None for t in o["baskets"]) < len(o["baskets"])
            for o in paid
        ),
        "deduction": any(ticket["refunded_deduction_amount"] for ticket in tickets),
        "several shows": any(len({t["show_id"] for t in o["baskets"]}) > 1 for o in orders),
        "quantity": any(ticket["quantity"] > 1 for ticket in tickets),
        "exchange": any(order.get("secondary_orders") for order in orders),
        "scan that the order doesn't show": any(
            t["checked_at"] and parsed(t["updated_at"]) > parsed(o["updated_at"])
            for o in paid for t in o["baskets"]
        ),
        "utm as list": any(order["utm"] == [] for order in orders),
        "utm as object": any(isinstance(order["utm"], dict) for order in orders),
        "tenge": any(order["currency_id"] == "KZT" for order in orders),
    }  # fmt: skip
    assert kinds == dict.fromkeys(kinds, True)


def test_exchanged_orders_refer_to_each_other(orders: list[Row]) -> None:
    by_id = {order["id"]: order for order in orders}
    exchanged = [order for order in orders if order.get("secondary_orders")]
    for order in exchanged:
        new = by_id[order["secondary_orders"][0]["id"]]
        assert [old["id"] for old in new["primary_orders"]] == [order["id"]]
        assert order["deleted_at"]
        assert new["client_id"] == order["client_id"]
        assert new["price"] == order["price"]


def test_a_restored_order_is_deleted_only_until_its_restoration() -> None:
    world = World(orders=3000, seed=2, now="2027-03-01")
    timelines = world.order_chunks.timelines(0, world.timestamp)
    restored = [int(id_) for id_ in timelines.id[timelines.restored_at < world.timestamp]]
    assert restored
    order = world.order(restored[0])
    changed = timelines.deletion_at[list(timelines.id).index(restored[0])]
    world.now = int(changed) + 60
    assert world.order(restored[0])["deleted_at"] is not None
    assert order["deleted_at"] is None
    assert all(is_valid(ticket) for ticket in order["baskets"])


def test_personal_data_is_listed_and_is_in_no_other_row(server: Server) -> None:
    world = world_of(server)
    personal = set(world.personal_data(3000))
    assert len(personal) > 1000
    text = json.dumps(world.orders(world.count() - 500), ensure_ascii=False)
    assert all(data in text for data in list(world.personal_data(500)))
    events = json.dumps([{**e, "payments": []} for e in world.events()], ensure_ascii=False)
    assert not [data for data in personal if data in events]


# -- the clock and edits ---------------------------------------------------------------------------


def test_the_clock_is_set_over_http_and_decides_what_is_visible(own: Server) -> None:
    before = get(own, "/orders").json()["paging"]["total"]
    answer = requests.post(f"{own.origin}/sandbox/clock", json={"advance_hours": 240}, timeout=5)
    assert answer.json() == {"now": "2026-07-11T12:00:00+03:00"}
    after = get(own, "/orders").json()["paging"]["total"]
    assert after > before
    requests.post(f"{own.origin}/sandbox/clock", json={"now": "2026-01-05"}, timeout=5)
    assert get(own, "/orders").json()["paging"]["total"] < before
    newest = get(own, "/orders", {"orderBy": {"id": "desc"}}).json()["data"][0]
    assert parsed(newest["updated_at"]) < parsed("2026-01-05T00:00:00+03:00")
    wrong = requests.post(f"{own.origin}/sandbox/clock", json={"now": "soon"}, timeout=5)
    assert wrong.status_code == 400


def test_a_row_that_changes_gets_a_later_updated_at() -> None:
    world = World(orders=2000, seed=4, now=NOW)
    before = {order["id"]: order for order in world.orders()}
    world.advance(hours=120)
    changed = 0
    for order in world.orders():
        old = before.get(order["id"])
        if old and old != order:
            changed += 1
            stamps = [order["updated_at"], *(t["updated_at"] for t in order["baskets"])]
            assert max(map(parsed, stamps)) > parsed(NOW)
    assert changed > 5


def test_an_edit_changes_one_order_in_all_lists(own: Server) -> None:
    world = world_of(own)
    total = world.count()
    sold = world.sell(tickets=3, price=100.5)
    order = get(own, f"/orders/{sold}").json()["data"]
    assert (order["price"], order["payed"], order["payed_at"]) == (301.5, True, NOW)
    assert get(own, "/orders").json()["paging"]["total"] == total + 1
    assert listed(own, "/orders", where("id", sold)) == [order]
    assert world.orders()[-1] == order

    world.advance(hours=2)
    later = world.now.isoformat()
    first, second, third = (ticket["id"] for ticket in order["baskets"])
    world.refund(sold, [first], deduction=10)
    order = world.order(sold)
    assert order["baskets"][0]["refunded_at"] == order["updated_at"] == later
    assert order["baskets"][0]["refunded_amount"] == 90.5
    assert order["refunds"][0]["deduction_amount"] == 10
    assert [o["id"] for o in listed(own, "/orders", where("updated_at", later))] == [sold]
    assert [t["id"] for t in listed(own, "/baskets", where("refunded_at", later))] == [first]

    world.advance(hours=1)
    world.scan(second)
    assert world.order(sold)["updated_at"] == later
    assert world.order(sold)["baskets"][1]["checked_at"] == world.now.isoformat()

    world.cancel(sold)
    assert world.order(sold)["deleted_at"] == world.now.isoformat()
    with pytest.raises(ValueError, match="refunds"):
        world.restore(sold)
    assert world.order(sold)["baskets"][2]["id"] == third


def test_generated_orders_of_any_age_can_be_edited(own: Server) -> None:
    world = world_of(own)
    old = next(o for o in world.orders() if o["payed"] and all(map(is_valid, o["baskets"])))
    world.cancel(old["id"])
    recent = listed(own, "/orders", where("updated_at", NOW, ">="))
    assert [order["id"] for order in recent] == [old["id"]]
    world.advance(hours=1)
    world.restore(old["id"])
    assert world.order(old["id"])["deleted_at"] is None
    world.now = parsed(NOW) - timedelta(hours=1)
    assert world.order(old["id"]) == old
    world.now = NOW
    new = world.exchange(world.sell(tickets=1))
    assert world.order(new)["primary_orders"][0]["deleted_at"] == NOW


def test_nothing_is_sold_when_no_show_is_on_sale(own: Server) -> None:
    with pytest.raises(ValueError, match="no show on sale"):
        world_of(own).sell(event_id=1)


# -- determinism and size --------------------------------------------------------------------------

FINGERPRINT = """
import hashlib, json
from sandbox import World, demo_world
for world in (World(orders=2000, seed=9, now="2026-09-01"), demo_world(now="2026-02-01")):
    show = world.events()[3]["shows"][0]["id"]
    rows = [world.orders(0, 800), world.events()[:5], world.seats(show)]
    print(hashlib.sha256(json.dumps(rows, sort_keys=True).encode()).hexdigest())
"""


def run(code: str, **environment: str) -> str:
    result = subprocess.run(
        [sys.executable, "-c", code], cwd=PROJECT, capture_output=True, text=True, check=True,
        env={**os.environ, **environment},
    )  # fmt: skip
    return result.stdout


def test_another_process_sees_the_same_world() -> None:
    first, second = (run(FINGERPRINT, PYTHONHASHSEED=seed) for seed in ("1", "2"))
    assert first == second
    assert len(set(first.split())) == 2


def test_another_seed_is_another_organiser() -> None:
    texts = [json.dumps(World(orders=200, seed=seed, now=NOW).orders()) for seed in (1, 2)]
    assert len({sha256(text.encode()).hexdigest() for text in texts}) == 2


def test_the_demo_world_gains_orders_and_keeps_old_ones() -> None:
    today, tomorrow = demo_world(now="2026-11-21"), demo_world(now="2026-11-22")
    assert 10 < tomorrow.count() - today.count() < 120
    assert today.orders(0, 500) == tomorrow.orders(0, 500)
    on_sale = [
        show
        for event in today.events()
        for show in event["shows"]
        if show["is_active"] and parsed(show["sale_finish_date"]) > today.now
    ]
    assert len(on_sale) > 3


HUGE = """
import json, re
from sandbox import World
from sandbox.search.query import parse_query
world = World(orders=10_000_000, seed=1, now="2027-02-01")
orders = world.tables["orders"]
def page(body):
    before = world.search.chunks_scanned
    rows, paging = world.search.page(orders, parse_query(body), world.timestamp)
    return [len(rows), paging["total"], world.search.chunks_scanned - before]
since = [{"column": "updated_at", "operator": ">=", "value": "2026-12-20T00:00:00+03:00"}]
rich = [{"column": "price", "operator": ">", "value": 9000}]
answers = [page({"page": 100_000}), page({"where": since}), page({"where": since, "page": 2}),
           page({"where": rich}), page({"where": rich, "page": 2})]
world.advance(24)
answers.append(page({"where": rich, "page": 3}))
world.seats(world.plan.schedule.shows[500].id)
status = open("/proc/self/status").read()
print(json.dumps({"answers": answers, "chunks": 10_000_000 // 16_384,
                  "peak_kb": int(re.search(r"VmHWM:\\s+(\\d+)", status)[1])}))
"""


def test_ten_million_orders_fit_into_300_mb_and_are_counted_once() -> None:
    found = json.loads(run(HUGE))
    deep, recent, recent_2, rich, rich_2, rich_tomorrow = found["answers"]
    assert found["peak_kb"] < 300_000
    assert deep[:2] == [50, 10_000_000]
    assert recent[0] == 50
    assert recent[2] < found["chunks"] / 5  # only the chunks of a period are searched
    assert rich[2] >= found["chunks"]
    assert recent_2[2] <= 1
    assert rich_2[2] <= 1
    assert rich_tomorrow[2] <= 2  # chunks that can no longer change are not counted again


# -- recorded pages --------------------------------------------------------------------------------


def test_recorded_pages_are_served_with_the_same_filters() -> None:
    plan = {"A-1;1": {"id": "A-1;1", "zone_id": "A", "max_quantity": 5, "free_quantity": 2}}
    world = RecordedWorld(REAL_PAGES, now="2021-06-01T00:00:00+03:00", seats={152887: plan})
    rows = json.loads((REAL_PAGES / "orders_page.json").read_text())["data"]
    with serve(world) as server:
        assert get(server, "/orders").json()["data"] == rows
        unpaid = listed(server, "/orders", where("payed", 0))
        assert unpaid == [row for row in rows if not row["payed"]]
        since = where("updated_at", "2021-06-08T10:00:00+03:00", ">=")
        late = [row for row in rows if row["updated_at"] >= since["value"]]
        assert listed(server, "/orders", since) == late
        assert get(server, "/shows/152887/seats", {"flat": True}).json()["data"] == plan
        assert get(server, "/shows/152898/seats").status_code == 200  # on sale then
        assert get(server, "/shows/1/seats").status_code == 404
        assert get(server, "/orders/1669080").json()["data"]["payed"] is False
        barcodes = get(server, "/shows/152887/barcodes", {"select": ["barcode"]}).json()
        assert len(barcodes) == 83
        assert len(listed(server, "/baskets")) == 91


# -- partners --------------------------------------------------------------------------------------


def test_the_partners_api_treats_get_and_post_alike(server: Server, orders: list[Row]) -> None:
    headers = {"Authorization": f"Bearer {server.token}"}
    url = server.partners_url
    wrong = requests.get(f"{url}/events/lists", headers={"Authorization": "Bearer x"}, timeout=5)
    assert (wrong.status_code, wrong.json()["code"]) == (200, "WRONG_AUTHORIZATION")
    shows = requests.post(f"{url}/events/lists", headers=headers, timeout=5).json()["result"]
    assert shows
    offer = f"{url}/events/offers/{shows[0]['event_id']}/{shows[0]['show_id']}"
    offers = requests.get(offer, headers=headers, timeout=5).json()["offers"]
    assert all("available" in seat for seat in offers["full"]["seats"].values())
    ticket = next(order["baskets"][0] for order in orders[::-1] if order["payed"])
    for body in ({"filter": {"id": [ticket["id"]]}}, {"filter": {"barcode": ticket["barcode"]}}):
        answers = [
            requests.request(method, f"{url}/tickets/find", headers=headers, json=body, timeout=5)
            for method in ("GET", "POST")
        ]
        assert answers[0].json() == answers[1].json()
        assert [found["id"] for found in answers[0].json()["result"]] == [ticket["id"]]
    assert server.writes_received == 0


# -- faults ----------------------------------------------------------------------------------------


def test_a_status_fault_skips_and_applies_as_often_as_configured(own: Server) -> None:
    own.faults.append(Fault("/orders", times=2, after=1, kind="status", status=502))
    own.faults.append(Fault("/events", times=1, kind="status", status=429, body="json",
                            retry_after=3))  # fmt: skip
    assert [get(own, "/orders").status_code for _ in range(5)] == [200, 502, 502, 200, 200]
    limited = get(own, "/events")
    assert (limited.status_code, limited.headers["Retry-After"]) == (429, "3")
    assert limited.json()["code"] == "UNKNOWN_ERROR"
    assert [status for *_, status in own.requests] == [200, 502, 502, 200, 200, 429]


def test_faults_break_the_connection(own: Server) -> None:
    own.faults.append(Fault(times=1, kind="reset"))
    with pytest.raises(requests.ConnectionError):
        get(own, "/orders")
    own.faults.append(Fault(times=1, kind="truncate"))
    with pytest.raises(requests.exceptions.ChunkedEncodingError):
        get(own, "/orders")
    own.faults.append(Fault(times=1, kind="timeout"))
    with pytest.raises(requests.exceptions.ReadTimeout):
        requests.get(own.url + "/orders", timeout=0.3)
    own.faults.append(Fault(times=1, kind="latency_ms", ms=150))
    started = time.monotonic()
    assert get(own, "/orders").ok
    assert time.monotonic() - started > 0.15


def test_faults_change_the_response(own: Server) -> None:
    unchanged = get(own, "/orders").json()
    second = {"where": [where("payed", 0)], "page": 2}
    own.faults[:] = [Fault(kind="html")]
    assert get(own, "/orders").text.startswith("<!DOCTYPE html>")
    own.faults[:] = [Fault(kind="no_data")]
    assert list(get(own, "/orders").json()) == ["paging"]
    own.faults[:] = [Fault(kind="ignore_where")]
    assert get(own, "/orders", {"where": [where("payed", 0)]}).json() == unchanged
    own.faults[:] = [Fault(kind="repeat_page")]
    repeated = get(own, "/orders", second).json()
    own.faults.clear()
    assert repeated["data"] == get(own, "/orders", {**second, "page": 1}).json()["data"]
    assert repeated["paging"]["currentPage"] == 2
    own.faults[:] = [Fault(kind="wrong_total")]
    assert get(own, "/orders").json()["paging"]["total"] == unchanged["paging"]["total"] + 7
    own.faults[:] = [Fault(kind="only_query")]
    query = "?page=2&where=" + json.dumps(second["where"])
    by_query = get(own, "/orders", {"page": 5}, query).json()
    own.faults.clear()
    assert by_query == get(own, "/orders", second).json()


def test_a_python_function_can_change_a_payload(own: Server) -> None:
    def without_tickets(payload: Row) -> Row:
        for order in payload["data"]:
            del order["baskets"]
            order["created_at"] = "вчера"
        return payload

    own.faults.append(Fault("/orders", times=1, kind="mutate", change=without_tickets))
    spoiled, good = get(own, "/orders").json(), get(own, "/orders").json()
    assert "baskets" not in spoiled["data"][0]
    assert good["data"][0]["baskets"]


def test_faults_are_set_and_cleared_over_http(own: Server) -> None:
    control = f"{own.origin}/sandbox/faults"
    fault = {"path": "/orders", "kind": "status", "status": 500, "times": 3}
    assert requests.post(control, json=[fault], timeout=5).ok
    assert get(own, "/orders").status_code == 500
    assert requests.delete(control, timeout=5).json() == {"faults": []}
    assert get(own, "/orders").status_code == 200
    assert requests.post(control, json=[{"kind": "mutate"}], timeout=5).status_code == 400
    stats = requests.get(f"{own.origin}/sandbox/stats", timeout=5).json()
    assert stats["requests"] == {
        "GET /api/rest/v1/orders 500": 1, "GET /api/rest/v1/orders 200": 1,
    }  # fmt: skip


def test_the_request_log_holds_method_path_body_and_status(own: Server) -> None:
    get(own, "/orders", {"page": 2}, "?x=1")
    assert list(own.requests) == [("GET", "/api/rest/v1/orders?x=1", {"page": 2}, 200)]


def test_a_connection_is_kept_alive(own: Server) -> None:
    with requests.Session() as session:
        session.headers["Authorization"] = f"Bearer {own.token}"
        for _ in range(3):
            session.get(own.url + "/orders", timeout=5).raise_for_status()
        pools = session.get_adapter(own.url).poolmanager.pools  # type: ignore[attr-defined]
        (pool,) = (pools[key] for key in pools.keys())  # noqa: SIM118 - not a dict
        assert (pool.num_connections, pool.num_requests) == (1, 3)


def test_the_command_serves_until_sigterm() -> None:
    command = [sys.executable, "-m", "sandbox", "--orders", "300", "--port", "0", "--now", NOW]
    process = subprocess.Popen(command, cwd=PROJECT, stdout=subprocess.PIPE, text=True)
    assert process.stdout
    url = process.stdout.readline().split()[-1]
    token = process.stdout.readline().split()[-1]
    headers = {"Authorization": f"Bearer {token}"}
    assert requests.get(f"{url}/orders", headers=headers, timeout=5).json()["data"]
    process.send_signal(signal.SIGTERM)
    assert process.wait(timeout=5) == 0
    assert "curl -X GET" in process.stdout.read()
