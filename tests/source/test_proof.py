"""A run believes no answer before the service has proven that it understood the question."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import dlt
import pyarrow.parquet as pq
import pytest

from qtickets_source import (
    Observations,
    QTicketsConfiguration,
    QTicketsError,
    qtickets_backfill_source,
    qtickets_source,
)
from qtickets_source.errors import FilterIgnored, Misunderstood
from sandbox import Fault, Server, World, serve

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
SINCE = NOW - timedelta(days=20)
TOKEN = "sandbox-token"
Row = dict[str, Any]


@pytest.fixture
def server() -> Iterator[Server]:
    world = World(orders=400, seed=3, start=SINCE, end=NOW + timedelta(days=5), now=NOW)
    with serve(world, TOKEN) as running:
        yield running


class Loads:
    """Loads into a destination that keeps the ids of orders."""

    def __init__(self, server: Server, folder: Path) -> None:
        self.server = server
        self.orders: list[int] = []
        self.observed = Observations()

        @dlt.destination(batch_size=0, loader_file_format="parquet", name="kept")
        def keep(path: str, table: Any) -> None:
            if table["name"] == "orders":
                self.orders += pq.read_table(path)["id"].to_pylist()

        self.pipeline = dlt.pipeline("proof", pipelines_dir=str(folder), destination=keep)

    def run(self, *resources: str) -> list[int]:
        """One run; the orders that it loaded, and `observed` anew."""
        self.orders.clear()
        self.observed = Observations()
        source = qtickets_source(self.configuration, observed=self.observed)
        self.pipeline.run(source.with_resources(*(resources or ("orders", "order_changes"))))
        return sorted(self.orders)

    def backfill(self) -> list[int]:
        self.orders.clear()
        source = qtickets_backfill_source(SINCE, NOW, {}, self.configuration)
        self.pipeline.run(source)
        return sorted(self.orders)

    @property
    def configuration(self) -> QTicketsConfiguration:
        return QTicketsConfiguration(
            token=TOKEN,
            pii_salt="0" * 64,
            base_url=self.server.url,
            initial_since=SINCE,
            retry_seconds=1,
            overlap_hours=0,
        )

    @property
    def state(self) -> dict[str, Any]:
        state: dict[str, Any] = self.pipeline.state.get("sources", {}).get("qtickets", {})
        return {name: value for name, value in state.items() if name != "resources"}

    def fails(self, words: str) -> None:
        """A run ends with these words, and everything that later runs go by is as it was."""
        before = repr(self.state)
        with pytest.raises(Exception) as raised:
            self.run()
        error: BaseException | None = raised.value
        while error and not isinstance(error, QTicketsError):
            error = error.__cause__ or error.__context__
        assert isinstance(error, (Misunderstood, FilterIgnored)), raised.value
        assert words in str(error)
        self.pipeline.abort_packages()
        assert repr(self.state) == before


@pytest.fixture
def loads(server: Server, tmp_path: Path) -> Loads:
    return Loads(server, tmp_path)


def paid(server: Server) -> list[int]:
    assert isinstance(server.world, World)
    return sorted(order["id"] for order in server.world.orders() if order["payed"])


def refund_one(server: Server, number: int = 0) -> int:
    """Refund an order that is in nobody's overlap any more; its id."""
    assert isinstance(server.world, World)
    world = server.world
    world.advance(24)
    order = next(
        order["id"]
        for order in world.orders()[number:]
        if order["payed"]
        and order["deleted_at"] is None
        and any(t["refunded_at"] is None and t["deleted_at"] is None for t in order["baskets"])
    )
    world.refund(order)
    return order


DEVIATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "times read 3 hours later": ({"kind": "shift_times", "hours": 3}, "payed_at"),
    "times read 3 hours earlier": ({"kind": "shift_times", "hours": -3}, "payed_at"),
    "changes read 3 hours later": (
        {"kind": "shift_times", "hours": 3, "column": "updated_at"},
        "updated_at",
    ),
    "every list is empty": ({"kind": "empty_lists"}, "answers lists with nothing"),
    "an answer for every question": ({"kind": "by_address"}, "out of a cache"),
}


@pytest.mark.parametrize("name", DEVIATIONS)
def test_a_service_that_deviates_after_a_good_run_stops_the_run_and_loses_nothing(
    server: Server, loads: Loads, name: str
) -> None:
    fault, words = DEVIATIONS[name]
    assert loads.run() == paid(server)
    refunded = refund_one(server)
    server.faults.append(Fault("/orders", **fault))

    loads.fails(words)

    server.faults.clear()
    assert refunded in loads.run()


@pytest.mark.parametrize("name", [name for name in DEVIATIONS if "empty" not in name])
def test_a_service_that_deviates_from_the_first_run_on_is_not_believed(
    server: Server, loads: Loads, name: str
) -> None:
    fault, words = DEVIATIONS[name]
    server.faults.append(Fault("/orders", **fault))

    # With one answer for all, already the second page of the first list is not what was asked for.
    loads.fails("ignored the filter" if "every question" in name else words)

    server.faults.clear()
    assert loads.run() == paid(server)


def test_an_account_that_seems_empty_moves_no_cursor(server: Server, loads: Loads) -> None:
    server.faults.append(Fault("/orders", kind="empty_lists"))

    assert loads.run() == []
    assert loads.backfill() == []
    assert {"swept_until", "cursor_from", "loaded", "orders_read"} & set(loads.state) == set()
    server.faults.clear()

    assert loads.run() == paid(server)


def test_another_organisers_account_is_noticed(server: Server, loads: Loads) -> None:
    loads.run()
    other = World(orders=300, seed=8, start=SINCE - timedelta(days=900), end=NOW, now=NOW)
    with serve(other, TOKEN) as theirs:
        loads.server = theirs

        loads.fails("another organiser")


def test_a_column_that_is_ignored_is_filtered_here_and_is_no_misunderstanding(
    server: Server, loads: Loads
) -> None:
    assert loads.run() == paid(server)
    refunded = refund_one(server)
    server.faults.append(Fault("/orders", kind="ignore_column", column="updated_at"))

    assert refunded in loads.run()


def test_a_known_order_that_has_changed_since_proves_it_as_it_is_now(
    server: Server, loads: Loads
) -> None:
    loads.run()
    assert isinstance(server.world, World)
    for known in loads.state["known_orders"]:
        is_cancelled = server.world.order(known["id"])["deleted_at"]
        change = server.world.restore if is_cancelled else server.world.cancel
        change(known["id"])

    loads.run()

    assert loads.observed.filters_proven


def test_the_proof_costs_three_requests_a_run(server: Server, loads: Loads) -> None:
    loads.run()
    server.requests.clear()

    loads.run()

    asked = [body["where"] for _, _, body, _ in server.requests]
    by_id = [where for where in asked if {"=", "id"} <= {*where[0].values()}]
    assert len(by_id) == 3


def test_no_list_is_asked_for_without_an_order_or_from_a_cache(
    server: Server, loads: Loads
) -> None:
    loads.run("orders", "order_changes", "events", "discounts", "promo_codes", "clients")

    lists = {path.rpartition("/")[2]: body for _, path, body, _ in server.requests}
    assert {"orders", "events", "discounts", "promo-codes", "clients"} <= set(lists)
    assert all(body["orderBy"] == {"id": "asc"} for _, _, body, _ in server.requests)
