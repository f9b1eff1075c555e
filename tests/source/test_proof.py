"""A run trusts no answer before the service has proven that it understands the filters."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from sandbox import Fault, Server, World, serve
from tests.support.loads import NOW, SINCE, TOKEN, Loads, paid, refund_one, world


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(world(), TOKEN) as running:
        yield running


@pytest.fixture
def loads(server: Server, tmp_path: Path) -> Loads:
    return Loads(server, tmp_path)


DEVIATIONS: dict[str, tuple[dict[str, Any], str]] = {
    "times read 3 hours later": ({"kind": "shift_times", "hours": 3}, "payed_at"),
    "times read 3 hours earlier": ({"kind": "shift_times", "hours": -3}, "payed_at"),
    "changes read 3 hours later": (
        {"kind": "shift_times", "hours": 3, "column": "updated_at"},
        "updated_at",
    ),
    "every list is empty": ({"kind": "empty_lists"}, "the service returns empty lists"),
    "an answer for every question": ({"kind": "by_address"}, "from a cache"),
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

    # With one answer for every request, the second page of the first list breaks its filter.
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


ORDERS_AND_EVENTS = ("orders", "order_changes", "events")


def test_another_organisers_account_is_noticed_and_both_are_named(
    server: Server, loads: Loads
) -> None:
    loads.run(*ORDERS_AND_EVENTS)
    ours, refunded = server.world, refund_one(server)
    other = World(orders=300, seed=8, start=SINCE - timedelta(days=900), end=NOW, now=NOW)
    with serve(other, TOKEN) as theirs:
        loads.server = theirs

        for world in (ours, other):
            assert isinstance(world, World)
            loads.fails(f"“{max(world.events(), key=lambda event: event['id'])['name']}”")

    loads.server = server
    assert refunded in loads.run()


def test_an_account_whose_known_orders_were_deleted_is_still_the_same(
    server: Server, loads: Loads
) -> None:
    loads.run(*ORDERS_AND_EVENTS)
    known = [order["id"] for order in loads.state["known_orders"]]
    refunded = refund_one(server)

    def without_known(payload: Any) -> Any:
        if payload.get("paging"):
            kept = [row for row in payload["data"] if row["id"] not in known]
            gone = len(payload["data"]) - len(kept)
            payload["data"], payload["paging"]["total"] = kept, payload["paging"]["total"] - gone
        return payload

    server.faults.append(Fault("/orders", kind="mutate", change=without_known))

    assert refunded not in known
    assert refunded in loads.run()


def test_an_ignored_column_is_filtered_locally_and_does_not_stop_the_run(
    server: Server, loads: Loads
) -> None:
    assert loads.run() == paid(server)
    refunded = refund_one(server)
    server.faults.append(Fault("/orders", kind="ignore_column", column="updated_at"))

    assert refunded in loads.run()


def test_known_orders_that_have_changed_still_prove_the_filters(
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


def test_every_list_is_requested_in_the_order_of_ids(server: Server, loads: Loads) -> None:
    loads.run("orders", "order_changes", "events", "discounts", "promo_codes", "clients")

    lists = {path.rpartition("/")[2]: body for _, path, body, _ in server.requests}
    assert {"orders", "events", "discounts", "promo-codes", "clients"} <= set(lists)
    assert all(body["orderBy"] == {"id": "asc"} for _, _, body, _ in server.requests)


def test_a_date_header_that_is_ahead_for_one_run_loses_no_change(tmp_path: Path) -> None:
    now = datetime.now(timezone.utc)
    world = World(orders=300, seed=3, start=now - timedelta(days=19), end=now + timedelta(days=5))
    with serve(world, TOKEN) as server:
        loads = Loads(server, tmp_path)
        server.faults.append(Fault(kind="date_ahead", hours=3))
        loads.run()
        assert loads.observed.findings.clock_ahead_seconds == pytest.approx(3 * 3600, abs=60)
        server.faults.clear()
        cancelled = next(o["id"] for o in world.orders() if o["payed"] and not o["deleted_at"])
        world.cancel(cancelled)

        assert cancelled in loads.run()
        assert loads.observed.findings.clock_ahead_seconds == 0
