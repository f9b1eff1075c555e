"""A filter that the service refuses is treated like one that it ignores: no row is lost."""

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from qtickets_source.api.client import open_client
from qtickets_source.api.filters import Condition
from qtickets_source.errors import ServiceUnavailable
from qtickets_source.observations import Observations
from sandbox import Fault, Server, serve
from tests.support.loads import NOW, TOKEN, Loads, paid, refund_one, world

LAST_WEEK = Condition("payed_at", ">=", NOW - timedelta(days=7))


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(world(), TOKEN) as running:
        yield running


@pytest.mark.parametrize(
    ("status", "column", "operator"),
    [
        (422, "payed_at", ">="),
        (422, "updated_at", ">="),
        (422, "id", ">"),
        (422, "id", "="),
        (400, "updated_at", ">="),
        # The application's 503 is retried first.
        (503, "updated_at", ">="),
    ],
)
def test_a_refused_filter_costs_requests_and_no_row(
    server: Server, tmp_path: Path, status: int, column: str, operator: str
) -> None:
    loads = Loads(server, tmp_path)
    refusal = Fault("/orders", kind="refuse", column=column, operator=operator, status=status)
    server.faults.append(refusal)

    assert loads.run() == paid(server)
    assert any("refuses this filter" in text for text in loads.observed.findings.ignored)
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
