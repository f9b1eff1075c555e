"""A filter that the service refuses is treated like one that it ignores: no row is lost."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from qtickets_source.api.client import open_client
from qtickets_source.api.filters import Condition
from qtickets_source.errors import ServiceUnavailable
from qtickets_source.observations import Observations
from sandbox import Fault, Server, World, serve
from tests.support.loads import NOW, TOKEN, Loads, paid, refund_one, world

LAST_WEEK = Condition("payed_at", ">=", NOW - timedelta(days=7))


def only(operator: str | None) -> dict[str, Any]:
    """Return the parameter of a fault for one operator, or none for all operators."""
    return {"operator": operator} if operator else {}


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(world(), TOKEN) as running:
        yield running


@pytest.mark.parametrize(
    ("status", "column", "operator"),
    [
        (422, "payed_at", ">="),
        (422, "payed_at", None),
        (422, "updated_at", ">="),
        (422, "updated_at", None),
        (422, "id", ">"),
        (422, "id", "="),
        (422, "id", None),
        (400, "updated_at", ">="),
        # The application's 503 is retried first.
        (503, "updated_at", ">="),
    ],
)
def test_a_refused_filter_costs_requests_and_no_row(
    server: Server, tmp_path: Path, status: int, column: str, operator: str | None
) -> None:
    loads = Loads(server, tmp_path)
    refusal = Fault("/orders", kind="refuse", column=column, status=status, **only(operator))
    server.faults.append(refusal)

    assert loads.run() == paid(server)
    assert any(f"refused `{column}" in text for text in loads.observed.findings.instead)
    refunded = refund_one(server)
    assert refunded in loads.run()


DEVIATIONS = {
    "another operator is refused": Fault(
        "/orders", kind="refuse", column="updated_at", operator=">=", status=422
    ),
    "another operator is ignored": Fault(
        "/orders", kind="ignore_column", column="updated_at", operator=">="
    ),
    "a column is ignored": Fault("/orders", kind="ignore_column", column="updated_at"),
    "no filter is honoured": Fault("/orders", kind="ignore_where"),
    "totals ignore the filter": Fault("/orders", kind="unfiltered_total"),
}


@pytest.mark.parametrize("name", DEVIATIONS)
def test_what_was_learned_is_remembered_for_a_day_and_then_tried_again(
    tmp_path: Path, name: str
) -> None:
    with serve(world(), TOKEN) as server:
        loads = Loads(server, tmp_path)
        fault = DEVIATIONS[name]
        server.faults.append(fault)

        assert loads.run() == paid(server)
        told = loads.observed.findings.instead
        assert told and "Instead" in told[0]
        assert loads.state["dialect"]
        assert isinstance(server.world, World)
        server.world.advance(0.5)
        server.requests.clear()
        loads.run()
        assert loads.observed.findings.instead == [], "said once"
        assert not loads.observed.findings.ignored, "not tried again"

        # The service is well again; a day later the better way is tried, and found to work.
        server.faults.clear()
        refunded = refund_one(server)
        assert refunded in loads.run()
        assert not loads.state["dialect"]


@pytest.mark.parametrize("kind", ["page_as_text", "page_size"])
def test_pages_of_another_size_or_with_numbers_as_text_are_read(
    server: Server, tmp_path: Path, kind: str
) -> None:
    server.faults.append(Fault("/orders", kind=kind, size=20))
    client = open_client(base_url=server.url, token=TOKEN, retry_seconds=1)
    assert isinstance(server.world, World)
    expected = {order["id"] for order in server.world.orders()}

    everything = [Condition("created_at", ">=", NOW - timedelta(days=99))]
    read = {row["id"] for page in client.list_pages("orders", everything) for row in page}

    assert read == expected
    assert Loads(server, tmp_path).run() == paid(server)


@pytest.mark.parametrize("operator", ["in", None])
def test_values_are_asked_for_one_by_one_where_in_is_refused(
    server: Server, operator: str | None
) -> None:
    server.faults.append(Fault("/orders", kind="refuse", column="id", status=422, **only(operator)))
    client = open_client(base_url=server.url, token=TOKEN, retry_seconds=1)
    wanted = paid(server)[:3]

    pages = client.list_pages("orders", [Condition("id", "in", wanted)])

    assert sorted({row["id"] for page in pages for row in page}) == wanted


def test_changes_are_read_once_a_day_where_that_means_reading_everything(
    server: Server, tmp_path: Path
) -> None:
    server.faults += [
        Fault("/orders", kind="refuse", column="updated_at", status=422),
        Fault("/orders", kind="ignore_order", column="updated_at"),
    ]
    loads = Loads(server, tmp_path)
    loads.run()
    assert any("once a day" in text for text in loads.observed.findings.instead)
    assert isinstance(server.world, World)
    swept = loads.state["swept_until"]

    server.world.advance(2)
    server.requests.clear()
    loads.run()
    assert loads.state["swept_until"] == swept, "the cursor waits for the next sweep"
    assert len(server.requests) < 8

    refunded = refund_one(server)
    assert refunded in loads.run()


def test_a_misread_column_is_noticed_although_the_other_is_refused(
    server: Server, tmp_path: Path
) -> None:
    loads = Loads(server, tmp_path)
    server.faults += [
        Fault("/orders", kind="refuse", column="updated_at"),
        Fault("/orders", kind="shift_times", hours=3, column="payed_at"),
    ]

    loads.fails("payed_at")


def test_an_outage_is_no_refusal(server: Server) -> None:
    server.faults.append(Fault("/orders", kind="status", status=503, body="json"))
    observed = Observations()
    client = open_client(base_url=server.url, token=TOKEN, retry_seconds=2, observed=observed)

    with pytest.raises(ServiceUnavailable, match="application's own error"):
        next(client.walk("orders", [LAST_WEEK]))

    assert observed.findings.ignored == []


def test_an_outage_that_passes_while_the_filter_is_suspected_is_no_refusal(
    server: Server,
) -> None:
    server.faults.append(Fault("/orders", kind="status", status=503, body="json", times=4))
    client = open_client(base_url=server.url, token=TOKEN, retry_seconds=20)

    rows = [row for page in client.walk("orders", [LAST_WEEK]) for row in page]

    assert rows and all(LAST_WEEK.matches(row) for row in rows)
