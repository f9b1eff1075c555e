"""Rows that cannot be read are left out and reported; everything else is loaded."""

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from qtickets_source.errors import BadRow
from qtickets_source.observations import Findings
from qtickets_source.rows.context import RowContext
from qtickets_source.state.quarantine import MOST_NEW, Quarantine
from sandbox import Fault, Server, serve
from tests.support.loads import TOKEN, Loads, paid, world

Row = dict[str, Any]


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(world(), TOKEN) as running:
        yield running


@pytest.fixture
def loads(server: Server, tmp_path: Path) -> Loads:
    return Loads(server, tmp_path)


def ticket(**changes: Any) -> Callable[[Row], None]:
    return lambda order: order["baskets"][0].update(changes)


def changed(order_id: int, change: Callable[[Row], Any]) -> Fault:
    """Return a fault by which the service sends one order with another content."""

    def mutate(payload: Any) -> Any:
        for row in payload.get("data", []):
            if row["id"] == order_id:
                change(row)
        return payload

    return Fault("/orders", kind="mutate", change=mutate)


UNREADABLE: dict[str, tuple[Callable[[Row], Any], str]] = {
    "no price": (ticket(price=None), "`price` is missing"),
    "a price with a comma": (ticket(price="1 500,00"), "`price` is not an amount"),
    "half a kopeck": (ticket(price=0.005), "`price` is not an amount"),
    "a negative quantity": (ticket(quantity=-1), "`quantity` is not a number of tickets"),
    "a quantity beyond any hall": (ticket(quantity=10**9), "`quantity` is not a number of tickets"),
    "one and a half tickets": (ticket(quantity=1.5), "`quantity` is not a whole number"),
    "a payment date that is none": (lambda order: order.update(payed_at="soon"), "`payed_at`"),
    "a date of change that is none": (lambda order: order.update(updated_at="x"), "`updated_at`"),
    "a ticket twice": (
        lambda order: order["baskets"].append(dict(order["baskets"][0])),
        "comes twice",
    ),
    "no tickets": (lambda order: order.pop("baskets"), "`baskets`"),
}


@pytest.mark.parametrize(
    ("name", "backfill"), [*((name, False) for name in UNREADABLE), ("no price", True)]
)
def test_a_paid_order_that_cannot_be_read_is_left_out_until_it_can(
    server: Server, loads: Loads, name: str, backfill: bool
) -> None:
    change, words = UNREADABLE[name]
    bad = paid(server)[7]
    server.faults.append(changed(bad, change))

    loaded = loads.backfill() if backfill else loads.run()

    assert loaded == [order for order in paid(server) if order != bad]
    assert set(loads.state["quarantine"]) == {str(bad)}
    assert words in loads.state["quarantine"][str(bad)]["reason"]
    since = loads.state["quarantine"][str(bad)]["since"]
    if not backfill:
        assert loads.run("quarantined_orders") == []
        assert loads.state["quarantine"][str(bad)]["since"] == since

    server.faults.clear()

    assert loads.run("quarantined_orders") == [bad]
    assert loads.state["quarantine"] == {}


def test_no_value_of_the_service_is_kept_with_the_reason(server: Server, loads: Loads) -> None:
    bad = paid(server)[3]
    server.faults.append(changed(bad, ticket(price="Ivan Petrov")))

    loads.run()

    assert "Petrov" not in repr(loads.state)


def test_an_order_that_no_longer_exists_leaves_the_quarantine(server: Server, loads: Loads) -> None:
    bad = paid(server)[3]
    server.faults.append(changed(bad, ticket(price=None)))
    loads.run()

    def without_it(payload: Any) -> Any:
        rows = [row for row in payload["data"] if row["id"] != bad]
        lost = len(payload["data"]) - len(rows)
        paging = {**payload["paging"], "total": payload["paging"]["total"] - lost}
        return {"data": rows, "paging": paging}

    server.faults[:] = [Fault("/orders", kind="mutate", change=without_it)]
    assert loads.run("quarantined_orders") == []

    assert loads.state["quarantine"] == {}


def test_an_unpaid_order_that_cannot_be_read_is_only_reported() -> None:
    findings = Findings()
    quarantine = Quarantine({}, findings)

    quarantine.add({"id": 5, "payed": 0}, BadRow("…", "order 5: `price` is missing"))

    assert quarantine.as_state() == {}
    assert findings.bad_rows == {"orders": ["order 5: `price` is missing"]}


def test_more_bad_orders_than_mistakes_explain_end_the_run() -> None:
    quarantine = Quarantine({}, Findings())
    orders = [{"id": number, "payed": True, "_fetched_at": None} for number in range(MOST_NEW + 1)]

    with pytest.raises(BadRow, match=f"more than {MOST_NEW} paid orders.*the API has changed"):
        list(quarantine.tables(orders, RowContext(b"a salt for tests")))


LESSER: dict[str, tuple[str, str, Row, str]] = {
    "a show's start of sale": ("/events", "events", {"sale_start_date": "soon"}, "shows.sale"),
    "a discount's validity": (
        "/discounts",
        "discounts",
        {"active_to": "never"},
        "discounts.active",
    ),
    "a promo code's validity": ("/promo-codes", "promo_codes", {"active_from": "x"}, "promo_codes"),
}


def change_first(path: str, change: Row) -> Fault:
    def mutate(payload: Any) -> Any:
        rows = payload["data"]
        (rows[0]["shows"][0] if path == "/events" else rows[0]).update(change)
        return payload

    return Fault(path, kind="mutate", change=mutate)


@pytest.mark.parametrize("name", LESSER)
def test_a_field_on_which_no_number_depends_becomes_null_and_is_reported(
    server: Server, loads: Loads, name: str
) -> None:
    path, resource, change, words = LESSER[name]
    server.faults.append(change_first(path, change))

    loads.run(resource)

    assert any(words in field for field in loads.observed.findings.unreadable_fields)


@pytest.mark.parametrize(
    ("path", "resource"), [("/discounts", "discounts"), ("/promo-codes", "promo_codes")]
)
def test_a_bad_row_of_a_lesser_dataset_is_left_out_and_reported_in_each_run(
    server: Server, loads: Loads, path: str, resource: str
) -> None:
    server.faults.append(change_first(path, {"created_at": "yesterday"}))

    for _ in range(2):
        loads.run(resource)
        [reason] = loads.observed.findings.bad_rows[resource]
        assert "`created_at` is not a timestamp" in reason

    server.faults.clear()
    loads.run(resource)
    assert not loads.observed.findings.bad_rows


@pytest.mark.parametrize("status", [403, 404, 502, 503])
@pytest.mark.parametrize(("path", "resource"), [("/events", "events"), ("/discounts", "discounts")])
def test_a_dataset_that_fails_is_left_out_and_the_sales_are_loaded(
    server: Server, loads: Loads, path: str, resource: str, status: int
) -> None:
    server.faults.append(Fault(path, kind="status", status=status, body="json"))

    assert loads.run("orders", resource) == paid(server)

    assert list(loads.observed.findings.skipped) == [resource]
