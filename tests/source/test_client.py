"""The client, tested against the sandbox over HTTP: it checks every answer."""

import json
import logging
import threading
import time
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import pytest
from pydantic import SecretStr
from requests import Request

from pipelines.configuration.environment import Settings
from pipelines.loading import dry_run, pipeline
from pipelines.loading.pipeline import LoadReport
from pipelines.loading.service import Service
from qtickets_source.api.client import QTicketsClient, open_client
from qtickets_source.api.filters import Condition
from qtickets_source.api.list_reader import PAGES_AHEAD
from qtickets_source.api.session import LIST_KEYS, ReadOnlySession
from qtickets_source.api.throttle import RECOVER_AFTER, Throttle
from qtickets_source.errors import (
    AccessRefused,
    FilterIgnored,
    NotFound,
    PagesDontAddUp,
    QTicketsError,
    ServiceUnavailable,
    UnexpectedAnswer,
    WriteRefused,
)
from qtickets_source.observations import Observations
from sandbox import Fault, Server, World, serve
from tests.support.retry_clock import RetryClock

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
LAST_WEEK = Condition("payed_at", ">=", NOW - timedelta(days=7))
TOKEN = "sandbox-token"
Row = dict[str, Any]


def small_world() -> World:
    return World(orders=400, seed=3, start=NOW - timedelta(days=20), end=NOW, now=NOW)


@pytest.fixture(scope="module")
def unchanging() -> Iterator[Server]:
    """A world that no test changes. Faults are removed after each test."""
    with serve(small_world(), TOKEN) as running:
        yield running


PAGES_OF_50 = Fault("/orders", kind="ignore_key", key="perPage")
"""The service's own size of pages, of which these worlds have several."""


@pytest.fixture
def server(unchanging: Server) -> Iterator[Server]:
    unchanging.requests.clear()
    unchanging.faults.append(PAGES_OF_50)
    yield unchanging
    unchanging.faults.clear()


@pytest.fixture
def own() -> Iterator[Server]:
    """A world that one test may change."""
    with serve(small_world(), TOKEN, faults=[PAGES_OF_50]) as running:
        yield running


def client_of(server: Server, **more: Any) -> QTicketsClient:
    return open_client(**{"base_url": server.url, "token": TOKEN, "retry_seconds": 5.0, **more})


def world_of(server: Server) -> World:
    assert isinstance(server.world, World)
    return server.world


def orders_paid_since(server: Server, moment: datetime) -> list[Row]:
    return [
        order
        for order in world_of(server).orders()
        if order["payed_at"] and datetime.fromisoformat(order["payed_at"]) >= moment
    ]


def ids(rows: Iterator[list[Row]] | list[Row]) -> list[int]:
    """Return the ids of rows, or of pages of rows, in their order."""
    flat = [row for page in rows for row in (page if isinstance(page, list) else [page])]
    return [row["id"] for row in flat]


def on_every_answer(change: Callable[[Any], object], path: str = "/orders", **more: Any) -> Fault:
    """Return a fault that calls `change` with every answer of a path before it is sent."""

    def mutate(payload: Any) -> Any:
        change(payload)
        return payload

    return Fault(path, kind="mutate", change=mutate, **more)


# -- answers are checked against filters ----------------------------------------------------------


def read_by(client: QTicketsClient, how: str, *conditions: Condition) -> list[int]:
    return ids(getattr(client, how)("orders", conditions))


@pytest.mark.parametrize("how", ["walk", "list_pages"])
def test_a_filtered_list_is_exactly_what_the_filter_asks_for(server: Server, how: str) -> None:
    expected = ids(orders_paid_since(server, LAST_WEEK.value))
    assert len(expected) > 100

    assert read_by(client_of(server), how, LAST_WEEK) == expected


@pytest.mark.parametrize("how", ["walk", "list_pages"])
def test_one_row_that_breaks_the_filter_is_noticed_on_any_page(server: Server, how: str) -> None:
    expected = ids(orders_paid_since(server, LAST_WEEK.value))
    client = client_of(server)

    def break_a_row(payload: Any) -> None:
        payload["data"][7]["payed_at"] = "2021-01-01T00:00:00+03:00"

    server.faults.append(on_every_answer(break_a_row, after=1, times=1))
    received = read_by(client, how, LAST_WEEK)

    assert set(received) == set(expected)
    assert (
        "asked for payed_at >= 2026-06-08T13:00:00+03:00, received id" in client.findings.ignored[0]
    )


def test_if_the_body_of_a_get_is_ignored_the_query_string_is_used_from_then_on(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults.append(Fault(kind="only_query"))
    client = client_of(server)
    show_id = world_of(server).events()[0]["shows"][0]["id"]

    assert ids(client.walk("orders", [LAST_WEEK])) == ids(
        orders_paid_since(server, LAST_WEEK.value)
    )
    assert client.count("orders", [LAST_WEEK])[0] > 100
    assert len(ids(client.list_pages("events"))) == len(world_of(server).events())
    seats = client.get(f"shows/{show_id}/seats", {"select": ["id", "price"], "flat": True})

    assert {tuple(seat) for seat in seats.values()} == {("id", "price")}
    assert len(client.findings.ignored) == 1, "the working request format was searched for twice"
    assert [r.getMessage() for r in caplog.records if "Trying get_query" in r.getMessage()]
    assert sum(body is not None for _, _, body, _ in server.requests) == 1


def test_two_lists_read_in_turns_each_find_the_request_format_that_works(server: Server) -> None:
    server.faults.append(Fault(kind="only_query"))
    client = client_of(server)
    today = Condition("updated_at", ">=", NOW - timedelta(days=1))
    paid, changed = client.walk("orders", [LAST_WEEK]), client.list_pages("orders", [today])

    first_of_each = [next(paid), next(changed)]

    assert all(first_of_each)
    assert sum("orders?" not in path for _, path, _, _ in server.requests) == 1


@pytest.mark.parametrize("how", ["walk", "list_pages"])
def test_if_every_request_format_is_ignored_lists_are_read_newest_first(
    server: Server, how: str
) -> None:
    server.faults.append(Fault("/orders", kind="ignore_where"))
    client = client_of(server)
    expected = ids(orders_paid_since(server, LAST_WEEK.value))

    received = read_by(client, how, LAST_WEEK)

    assert sorted(received) == expected
    assert "in descending order of `payed_at`" in client.findings.instead[-1]
    # Both request formats of `>=` and of `>`, then the pages.
    assert len(server.requests) <= 4 + len(expected) / 50 + 2
    server.requests.clear()
    assert sorted(read_by(client, how, LAST_WEEK)) == expected
    assert len(server.requests) <= len(expected) / 50 + 2, "what was learned is not tried again"
    # Counting here would mean reading everything.
    assert client.count("orders", [LAST_WEEK]) == (0, [])


@pytest.mark.parametrize("how", ["walk", "list_pages"])
def test_if_the_order_is_ignored_too_all_pages_are_read_and_filtered_with_a_warning(
    server: Server, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults += [
        Fault("/orders", kind="ignore_where"),
        Fault("/orders", kind="ignore_order", column="payed_at"),
    ]
    client = client_of(server)

    received = read_by(client, how, LAST_WEEK)

    assert received == ids(orders_paid_since(server, LAST_WEEK.value))
    assert "costs a request for every page of the whole history" in caplog.text
    # The full history may have thousands of pages: they are read once.
    assert len(server.requests) <= world_of(server).count() / 50 + 9


def test_reading_all_pages_copes_with_new_orders(own: Server) -> None:
    world = world_of(own)
    expected = ids(orders_paid_since(own, LAST_WEEK.value))

    def sell(_: Any) -> None:
        world.advance(hours=0.01)
        world.sell()

    # After the four requests in which the client learns that the filter is ignored.
    own.faults += [Fault("/orders", kind="ignore_where"), on_every_answer(sell, after=4)]
    received = ids(client_of(own).walk("orders", [LAST_WEEK], closed_by="payed_at"))

    assert sorted(set(received)) == expected, (
        "orders that were paid after the start belong to the next walk"
    )


def test_a_service_that_ignores_even_the_page_is_given_up_after_a_few_requests(
    server: Server,
) -> None:
    server.faults += [Fault(kind="ignore_where"), Fault(kind="repeat_page")]
    client = client_of(server)

    with pytest.raises(FilterIgnored, match="asked for payed_at"):
        ids(client.walk("orders", [LAST_WEEK]))
    with pytest.raises(FilterIgnored, match="ignores `page`"):
        ids(client.list_pages("events"))

    assert len(server.requests) <= 25


def test_a_first_page_without_a_filter_does_not_prove_a_request_format(server: Server) -> None:
    server.faults += [Fault("/events", kind="repeat_page"), Fault("/events", kind="ignore_where")]
    client = client_of(server)
    show_id = world_of(server).events()[0]["shows"][0]["id"]

    with pytest.raises(FilterIgnored, match="ignores `page`"):
        for _ in client.list_pages("events"):
            seats = client.get(f"shows/{show_id}/seats", {"select": ["id", "price"], "flat": True})
            assert {tuple(seat) for seat in seats.values()} == {("id", "price")}


def test_a_walk_whose_order_is_ignored_is_not_trusted(server: Server) -> None:
    server.faults.append(on_every_answer(lambda payload: payload["data"].reverse(), times=1))
    client = client_of(server)

    assert ids(client.walk("orders", [LAST_WEEK])) == ids(
        orders_paid_since(server, LAST_WEEK.value)
    )
    assert "ascending order" in client.findings.ignored[0]


# -- nothing is ever written ----------------------------------------------------------------------

FILTER: Row = {"where": [], "orderBy": {"id": "asc"}, "page": 1}
WRITES: list[tuple[str, str, Any]] = [
    *((method, "/orders", FILTER) for method in ("PUT", "PATCH", "DELETE", "HEAD", "OPTIONS")),
    ("POST", "/orders", {"event_id": 1, "baskets": []}),
    ("POST", "/orders", {**FILTER, "event_id": 1}),
    ("POST", "/orders", [FILTER]),
    ("POST", "/orders", {}),
    ("POST", "/orders", None),
    ("POST", "/orders/1", FILTER),
    ("POST", "/orders/1/baskets", {"page": 1}),
    ("POST", "/shows/1/barcodes", {"page": 1}),
    ("POST", "/shows/1/seats", {"where": []}),
    ("post", "/orders", FILTER),
]


@pytest.mark.parametrize("post_lists", [False, True])
def test_no_request_that_could_write_is_ever_sent(server: Server, post_lists: bool) -> None:
    session = ReadOnlySession(post_lists=post_lists)

    for method, path, body in WRITES:
        if post_lists and method == "post":
            continue  # requests changes it to capitals, so it is an ordinary list request
        with pytest.raises(WriteRefused, match="never write"):
            session.request(method, server.url + path, json=body)
    with pytest.raises(WriteRefused):
        session.post(server.url + "/orders", data="event_id=1")
    with pytest.raises(WriteRefused):
        session.send(Request("POST", server.url + "/orders", json=FILTER | {"x": 1}).prepare())

    assert not server.requests


def test_lists_are_posted_only_when_asked_for_by_name(server: Server) -> None:
    with pytest.raises(WriteRefused):
        ReadOnlySession().post(server.url + "/orders", json=FILTER)
    assert not server.requests

    client = client_of(server, transports=("post_body",), retry_seconds=0.1)
    expected = ids(orders_paid_since(server, LAST_WEEK.value))

    # The service refuses lists by POST, so they are read by GET, newest first.
    assert sorted(read_by(client, "walk", LAST_WEEK)) == expected
    assert "shape of a request" in client.findings.ignored[0]
    asked = {
        (method, path.rsplit("/", 1)[1], *sorted(body)) for method, path, body, _ in server.requests
    }
    assert ("POST", "orders", "orderBy", "perPage", "where") in asked
    assert ("GET", "orders", "orderBy", "page") in asked
    assert all(set(keys) <= LIST_KEYS for _, _, *keys in asked)


def test_a_redirect_is_not_followed(server: Server) -> None:
    class Elsewhere(BaseHTTPRequestHandler):
        def do_GET(self) -> None:
            self.send_response(302)
            self.send_header("Location", server.url + "/orders")
            self.send_header("Content-Length", "0")
            self.end_headers()

        def log_message(self, format: str, *args: Any) -> None:
            """Keep the log out of the output of the tests."""

    with ThreadingHTTPServer(("127.0.0.1", 0), Elsewhere) as other:
        threading.Thread(target=other.serve_forever, args=(0.05,), daemon=True).start()
        url = f"http://127.0.0.1:{other.server_address[1]}/api/rest/v1"
        with pytest.raises(UnexpectedAnswer, match="redirected"):
            next(open_client(base_url=url, token=TOKEN).walk("orders", [LAST_WEEK]))
        other.shutdown()

    assert not server.requests


# -- rows are counted -----------------------------------------------------------------------------


@pytest.mark.parametrize("how", ["walk", "list_pages"])
def test_pages_that_do_not_add_up_are_read_once_more(
    server: Server, how: str, caplog: pytest.LogCaptureFixture
) -> None:
    server.faults.append(Fault("/orders", kind="wrong_total", times=1, after=2))

    received = read_by(client_of(server), how, LAST_WEEK)

    assert set(received) == set(ids(orders_paid_since(server, LAST_WEEK.value)))
    assert "Reading it once more" in caplog.text


@pytest.mark.parametrize("how", ["walk", "list_pages"])
def test_pages_that_never_add_up_are_an_error(server: Server, how: str) -> None:
    server.faults.append(Fault("/orders", kind="wrong_total"))

    with pytest.raises(PagesDontAddUp, match="though the service counts"):
        read_by(client_of(server), how, LAST_WEEK)


@pytest.mark.parametrize("how", ["walk", "list_pages"])
def test_a_row_that_is_missing_from_a_page_is_noticed(server: Server, how: str) -> None:
    server.faults.append(on_every_answer(lambda payload: payload["data"].pop(3), after=1, times=1))

    received = read_by(client_of(server), how, LAST_WEEK)

    assert set(received) == set(ids(orders_paid_since(server, LAST_WEEK.value)))


ODD_ANSWERS: dict[str, Callable[[Any], object]] = {
    "rows that are no objects": lambda payload: payload.update(data=[1, 2]),
    "rows without an id": lambda payload: [row.pop("id") for row in payload["data"]],
    "ids that are no numbers": lambda payload: payload["data"][0].update(id="12"),
    "an object instead of a list": lambda payload: payload.update(data={"1": {"id": 1}}),
    "no paging": lambda payload: payload.pop("paging"),
    "paging that is a list": lambda payload: payload.update(paging=[]),
    "a page of no rows at all": lambda payload: payload["paging"].update(perPage=0),
    "a total that is no number": lambda payload: payload["paging"].update(total="many"),
}


@pytest.mark.parametrize("how", ["walk", "list_pages"])
@pytest.mark.parametrize("name", ODD_ANSWERS)
def test_an_answer_of_another_shape_is_an_error_that_says_so(
    server: Server, name: str, how: str
) -> None:
    server.faults.append(on_every_answer(ODD_ANSWERS[name]))

    with pytest.raises(UnexpectedAnswer, match=r"GET /orders .*Nothing|nothing was loaded"):
        read_by(client_of(server), how, LAST_WEEK)


# -- in parallel, under one limit -----------------------------------------------------------------


class Gauge:
    """Measures how many requests the service answers at the same time.

    Each answer waits until `expected` answers are in progress, however slow the machine is.
    """

    def __init__(self, expected: int) -> None:
        self._changed, self._now = threading.Condition(), 0
        self._expected, self.most = expected, 0

    def __call__(self, _: Any) -> None:
        with self._changed:
            self._now += 1
            self.most = max(self.most, self._now)
            self._changed.notify_all()
            self._changed.wait_for(lambda: self.most >= self._expected, timeout=30)
        time.sleep(0.02)
        with self._changed:
            self._now -= 1


@pytest.mark.parametrize("connections", [1, 2, 5])
def test_pages_in_parallel_are_the_rows_of_the_sequential_walk(
    server: Server, connections: int
) -> None:
    lanes = min(connections, len(orders_paid_since(server, LAST_WEEK.value)) // 50)
    gauge = Gauge(lanes)
    server.faults.append(on_every_answer(gauge, after=1))
    client = client_of(server, connections=connections)

    in_parallel = [row for page in client.list_pages("orders", [LAST_WEEK]) for row in page]
    one_by_one = [row for page in client.walk("orders", [LAST_WEEK]) for row in page]

    for row in in_parallel + one_by_one:
        row.pop("_fetched_at")
    assert in_parallel == one_by_one
    assert gauge.most == lanes


def test_a_slow_page_holds_up_no_other(server: Server) -> None:
    """While one connection waits, the others continue to read a bounded number of pages."""
    asked, seen = threading.Condition(), 0

    def slow_second(payload: Any) -> None:
        nonlocal seen
        with asked:
            seen += 1
            asked.notify_all()
            if payload["paging"]["currentPage"] == 2:
                asked.wait_for(lambda: seen > 5, timeout=30)

    server.faults.append(on_every_answer(slow_second))
    client = client_of(server, connections=2)
    everything = Condition("payed_at", ">=", NOW - timedelta(days=30))

    pages = client.list_pages("orders", [everything])
    next(pages), next(pages)

    assert seen > 5
    assert len(ids(pages)) == len(orders_paid_since(server, everything.value)) - 100


def test_a_bounded_number_of_pages_is_read_ahead(server: Server) -> None:
    client = client_of(server, connections=1)
    pages = client.list_pages("orders", [Condition("payed_at", ">=", NOW - timedelta(days=30))])

    next(pages), next(pages)
    time.sleep(0.3)

    assert len(server.requests) <= 2 + PAGES_AHEAD


def test_everything_that_a_client_reads_shares_one_limit(server: Server) -> None:
    gauge = Gauge(3)
    server.faults.append(on_every_answer(gauge, path=""))
    client = client_of(server, connections=3)
    shows = [show["id"] for event in world_of(server).events() for show in event["shows"]][:8]

    def seats(show_id: int) -> Any:
        return client.get(f"shows/{show_id}/seats", {"flat": True})

    reading = threading.Thread(target=lambda: list(client.walk("orders")))
    reading.start()
    answers = list(client.map_parallel(seats, shows))
    received = ids(client.list_pages("orders", [LAST_WEEK]))
    reading.join()

    assert len(answers) == 8 and received
    assert gauge.most == 3


def test_the_limit_halves_when_the_service_is_overloaded_and_recovers_one_by_one() -> None:
    throttle = Throttle(8)

    throttle.slow_down(0)
    assert throttle.limit == 4
    for _ in range(5):
        throttle.slow_down(0)
    assert throttle.limit == 1
    for _ in range(RECOVER_AFTER):
        throttle.record_success()
    assert throttle.limit == 2
    for _ in range(RECOVER_AFTER * 20):
        throttle.record_success()
    assert throttle.limit == 8


@pytest.mark.parametrize("status", [429, 503])
def test_after_an_overloaded_answer_fewer_requests_are_under_way(
    server: Server, status: int
) -> None:
    gauge = Gauge(2)
    overloaded = Fault("/orders", kind="status", status=status, times=1, after=1)
    server.faults += [overloaded, on_every_answer(gauge, after=5)]
    observed = Observations()

    received = ids(client_of(server, connections=4, observed=observed).list_pages("orders"))

    assert len(received) == len(set(received)) == world_of(server).count()
    assert observed.counts.retries == 1
    assert gauge.most == 2


def test_every_request_of_the_client_waits_for_retry_after(
    server: Server, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    caplog.set_level(logging.DEBUG, "qtickets_source")
    slow_down, is_paused = Throttle.slow_down, threading.Event()

    def noted(throttle: Throttle, pause: float) -> None:
        slow_down(throttle, pause)
        is_paused.set()

    monkeypatch.setattr(Throttle, "slow_down", noted)
    server.faults.append(Fault("/orders", kind="status", status=429, retry_after=1, times=1))
    client = client_of(server, connections=4)

    def first_page(_: int) -> int:
        return client.count("orders", [LAST_WEEK])[0]

    def refused_once() -> None:
        answered.append(first_page(0))

    answered: list[int] = []
    first = threading.Thread(target=refused_once)
    first.start()
    assert is_paused.wait(30)
    answered += client.map_parallel(first_page, range(3))
    first.join()

    lines = [record for record in caplog.records if record.name.endswith("session")]
    (refused,) = [line for line in lines if vars(line)["status"] == 429]
    later = [line for line in lines if line is not refused]
    began = [line.created - vars(line)["milliseconds"] / 1000 for line in later]
    assert len(answered) == 4 and len(set(answered)) == 1
    assert [vars(line)["attempt"] for line in later].count(2) == 1, (
        "only the refused request was retried"
    )
    assert min(began) - refused.created >= 0.95


# -- retries and their limits ---------------------------------------------------------------------

PASSING = {
    "a time-out": Fault("/orders", kind="timeout", seconds=5, times=1, after=1),
    "a reset": Fault("/orders", kind="reset", times=1, after=1),
    "a truncated body": Fault("/orders", kind="truncate", times=1, after=1),
    **{
        f"HTTP {status}": Fault("/orders", kind="status", status=status, times=1, after=1)
        for status in (429, 500, 502, 503, 504)
    },
}


@pytest.mark.parametrize("name", PASSING)
def test_a_temporary_error_is_retried(server: Server, name: str, retry_clock: RetryClock) -> None:
    fault = PASSING[name]
    server.faults.append(
        Fault("/orders", fault.times, fault.after, kind=fault.kind, **fault.params)
    )
    observed = Observations()

    # Long enough for a busy machine, and shorter than the answer that must time out.
    timeout = 2 if fault.kind == "timeout" else 30
    received = ids(client_of(server, observed=observed, timeout_seconds=timeout).walk("orders"))

    assert len(received) == len(set(received)) == world_of(server).count()
    assert observed.counts.retries == len(retry_clock.waits) == 1


FINAL: dict[str, tuple[Fault, type[QTicketsError], str]] = {
    "400": (Fault(kind="status", status=400), UnexpectedAnswer, "HTTP 400"),
    "401": (Fault(kind="status", status=401), AccessRefused, "Check QTICKETS_TOKEN"),
    "403": (Fault(kind="status", status=403, body="json"), AccessRefused, "Check QTICKETS_TOKEN"),
    "404 by the application": (
        Fault(kind="status", status=404, body="json"),
        NotFound,
        "no such row",
    ),
    "404 by the web server": (
        Fault(kind="status", status=404),
        UnexpectedAnswer,
        "Check QTICKETS_BASE_URL",
    ),
    "a redirect": (Fault(kind="status", status=301), UnexpectedAnswer, "redirected"),
    "a web page": (Fault(kind="html"), UnexpectedAnswer, "web page instead of JSON"),
    "no data": (Fault(kind="no_data"), UnexpectedAnswer, "without `data`"),
}


@pytest.mark.parametrize("name", FINAL)
def test_a_permanent_error_fails_immediately_and_says_what_to_do(server: Server, name: str) -> None:
    fault, error, words = FINAL[name]
    order_id = world_of(server).orders(0, 1)[0]["id"]
    server.faults.append(Fault(kind=fault.kind, **fault.params))
    client = client_of(server)

    # After a 400 the list is requested as it comes, and without a filter: these may be the cause.
    more = 2 if name == "400" else 0
    for request, requests in (
        (lambda: next(client.walk("orders", [LAST_WEEK])), 1 + more),
        (lambda: next(client.list_pages("orders", [LAST_WEEK])), 1 + more),
        (lambda: client.get(f"orders/{order_id}", {}), 1),
    ):
        server.requests.clear()
        with pytest.raises(error, match=words):
            request()
        assert len(server.requests) == requests


def test_a_wrong_token_is_refused_at_once(server: Server) -> None:
    with pytest.raises(AccessRefused):
        next(client_of(server, token="another").walk("orders"))

    assert len(server.requests) == 1


def test_waits_between_tries_double_and_have_a_jitter_of_half_a_second(
    server: Server, retry_clock: RetryClock
) -> None:
    server.faults.append(Fault("/orders", kind="status", status=500))
    session = ReadOnlySession(max_attempts=8)

    with pytest.raises(ServiceUnavailable, match=r"HTTP 500 \(8 tries"):
        session.get(server.url + "/orders")

    jitter = [
        wait - planned
        for wait, planned in zip(retry_clock.waits, (0.5, 1, 2, 4, 8, 16, 30), strict=True)
    ]
    assert all(0 <= seconds <= 0.5 for seconds in jitter), jitter
    assert len(set(jitter)) > 1, "jitter must be random"


def test_a_wait_is_as_long_as_retry_after_asks_for(server: Server, retry_clock: RetryClock) -> None:
    # Status 500 does not pause the other requests of the client, which would take real time.
    failure = Fault("/orders", kind="status", status=500, retry_after=45, times=1)
    server.faults.append(failure)

    assert next(client_of(server, retry_seconds=60).walk("orders"))

    (wait,) = retry_clock.waits
    assert 45 <= wait <= 45.5


def test_retries_end_after_a_number_of_attempts(server: Server, retry_clock: RetryClock) -> None:
    server.faults.append(Fault("/orders", kind="reset"))
    session = ReadOnlySession(max_attempts=2)

    with pytest.raises(ServiceUnavailable, match=r"connection reset|broke.*2 tries"):
        session.get(server.url + "/orders")

    assert len(server.requests) == 2


def test_retries_end_after_a_time(server: Server, retry_clock: RetryClock) -> None:
    server.faults.append(Fault("/orders", kind="status", status=502))

    with pytest.raises(ServiceUnavailable, match=r"HTTP 502.*next run catches up"):
        next(client_of(server, retry_seconds=1.5).walk("orders"))

    assert sum(retry_clock.waits) < 1.5
    # The last one asks, once, for a page of the service's own size.
    assert len(server.requests) == 3


def test_a_retry_after_of_a_day_ends_the_run_instead_of_waiting(server: Server) -> None:
    tomorrow = Fault("/orders", kind="status", status=429, retry_after=86_400, times=1)
    server.faults.append(tomorrow)
    client = client_of(server, retry_seconds=1)
    started = time.monotonic()

    with pytest.raises(ServiceUnavailable, match="HTTP 429"):
        next(client.walk("orders"))
    assert time.monotonic() - started < 5
    # Other requests of the client do not wait until tomorrow either.
    assert client.count("orders", [LAST_WEEK])[0]
    assert time.monotonic() - started < 10


def test_the_applications_own_503_names_the_shape_of_the_request_as_a_cause(
    server: Server,
) -> None:
    client = client_of(server, retry_seconds=0.1)

    assert read_by(client, "walk", Condition("no_such_column", "=", 1)) == []
    assert "cannot handle the shape of a request" in client.findings.ignored[0]
    server.faults.append(Fault("/orders", kind="status", status=503))
    with pytest.raises(ServiceUnavailable) as gateway:
        next(client.walk("orders"))

    assert "shape" not in str(gateway.value)


# -- changes during a walk ------------------------------------------------------------------------


def test_orders_paid_during_a_walk_are_neither_lost_nor_doubled() -> None:
    world = World(orders=600, seed=3, start=NOW - timedelta(days=20), end=NOW + timedelta(days=9))
    world.now = NOW
    sold = []

    def go_on(_: Any) -> None:
        """Let an hour pass, with payments of old orders, and sell a new one."""
        world.advance(hours=1)
        sold.append(world.sell())

    with serve(world, TOKEN, faults=[PAGES_OF_50, on_every_answer(go_on)]) as server:
        client = client_of(server)
        first = [row for page in client.walk("orders", [LAST_WEEK], "payed_at") for row in page]
        server.faults.clear()
        cursor = max(datetime.fromisoformat(row["payed_at"]) for row in first)
        second = ids(client.walk("orders", [Condition("payed_at", ">=", cursor)], "payed_at"))

        assert len(sold) > 2 and set(sold[1:]) <= set(second)
        assert len(ids(first)) == len(set(ids(first))) > 100
        assert len(second) == len(set(second))
        assert set(ids(first)) | set(second) == set(ids(orders_paid_since(server, LAST_WEEK.value)))


def test_orders_that_change_during_a_walk_are_neither_skipped_nor_doubled(own: Server) -> None:
    world = world_of(own)
    since = Condition("updated_at", ">=", NOW - timedelta(days=5))
    paid = [order for order in world.orders() if order["payed"] and not order["deleted_at"]]
    # Orders change at both ends: ids behind the walk enter the list, ids ahead of it leave the list
    # because it is closed at the start of the walk.
    behind, ahead = iter(paid), iter(reversed(paid))

    def change(_: Any) -> None:
        world.advance(hours=0.01)
        for order in (next(behind), next(ahead)):
            world.cancel(order["id"])

    own.faults.append(on_every_answer(change))
    client = client_of(own)
    first = [row for page in client.walk("orders", [since], "updated_at") for row in page]
    began_at = NOW.astimezone(timezone.utc)
    own.faults.clear()
    again = Condition("updated_at", ">=", began_at)
    second = [row for page in client.walk("orders", [again], "updated_at") for row in page]

    newest = {row["id"]: row for row in first + second}
    for row in newest.values():
        row.pop("_fetched_at")
    assert len(ids(first)) == len(set(ids(first))) > 50
    assert json.dumps(newest, default=float, sort_keys=True) == json.dumps(
        {
            order["id"]: order
            for order in world.orders()
            if datetime.fromisoformat(order["updated_at"]) >= since.value
        },
        default=float,
        sort_keys=True,
    )


# -- logs -----------------------------------------------------------------------------------------


def test_every_request_is_one_debug_line_with_its_facts(
    server: Server, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG, "qtickets_source")
    server.faults.append(Fault("/orders", kind="status", status=502, times=1))
    observed = Observations()

    rows = ids(client_of(server, observed=observed).list_pages("orders", [LAST_WEEK]))

    lines = [vars(record) for record in caplog.records if record.name.endswith("session")]
    assert len(lines) == observed.counts.requests == len(server.requests)
    assert [line["attempt"] for line in lines][:2] == [1, 2]
    assert {line["method"] for line in lines} == {"GET"}
    assert {line["path"] for line in lines} == {"/api/rest/v1/orders"}
    assert sorted(line["page"] for line in lines[1:]) == list(range(1, len(lines)))
    assert sum(line["rows"] or 0 for line in lines) == len(rows)
    assert all(0 <= line["milliseconds"] < 5000 for line in lines)


@pytest.mark.parametrize("fault", [None, "only_query"])
def test_no_log_of_a_run_holds_the_token_a_person_or_a_value_of_a_request(
    server: Server,
    tmp_path: Any,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    fault: str | None,
) -> None:
    if fault:
        server.faults.append(Fault(kind=fault))
    loud_dlt = {**pipeline.DLT_SETTINGS, "RUNTIME__LOG_LEVEL": "DEBUG"}
    monkeypatch.setattr(pipeline, "DLT_SETTINGS", loud_dlt)
    caplog.set_level(logging.DEBUG)
    loud = [logging.getLogger(name) for name in ("dlt", "urllib3", "requests", "qtickets_source")]
    for log in loud:
        monkeypatch.setattr(log, "level", logging.DEBUG)
        if not log.propagate:
            monkeypatch.setattr(log, "handlers", [caplog.handler])
    settings = Settings(
        qtickets_token=SecretStr(TOKEN),
        qtickets_base_url=server.url,
        qtickets_home=tmp_path,
        qtickets_initial_backfill_hours="all",
    )

    report = dry_run._count_new_rows(settings, Service(server.url, TOKEN), None, LoadReport())

    assert report.rows["orders"] > 100
    text = "\n".join(
        f"{record.getMessage()} {record.exc_text or ''} {vars(record)}" for record in caplog.records
    )
    assert {record.name.split(".")[0] for record in caplog.records} >= {"urllib3", "dlt"}
    assert TOKEN not in text
    for secret in world_of(server).personal_data():
        assert len(secret) < 6 or secret not in text, secret


@pytest.mark.parametrize("token", ["top\nsecret", "top secret", "секрет", "", " \n"])
def test_a_token_that_no_header_can_carry_is_refused_without_showing_it(
    server: Server, token: str
) -> None:
    with pytest.raises(AccessRefused, match="copy it again") as refused:
        client_of(server, token=token)

    assert "secret" not in str(refused.value) and "секрет" not in str(refused.value)


def test_a_line_break_at_the_end_of_the_token_does_no_harm(server: Server) -> None:
    assert next(client_of(server, token=TOKEN + "\r\n").walk("orders"))
