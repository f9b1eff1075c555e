"""Answers of a show's seats: their shapes, tariffs, and those that are not to be believed."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from qtickets_source.observations import Findings
from qtickets_source.rows.context import RowContext
from qtickets_source.rows.seats import SnapshotMoment, inventory_table, seat_rows
from qtickets_source.state.seats import KnownSeats
from sandbox import Fault, serve
from tests.support.loads import TOKEN, Loads, world

NOON = datetime(2026, 6, 15, 12, tzinfo=timezone.utc)
Row = dict[str, Any]


def seat(id_: str, **fields: Any) -> Row:
    place = {"id": id_, "root_id": id_, "zone_id": "A", "price": 500, "admission": False}
    counts = {"max_quantity": 1, "free_quantity": 1, "ordered_quantity": 0, "payed_quantity": 0}
    return place | counts | fields


def sums(answer: Any, findings: Findings | None = None) -> list[tuple[str, Decimal, int, int]]:
    """Return (zone, price, capacity, free) of each row that an answer becomes."""
    context = RowContext(b"a salt for tests", findings=findings or Findings())
    table = inventory_table(1, 7, seat_rows(answer), SnapshotMoment(NOON, NOON), context)
    columns = ("zone_id", "price", "max_quantity", "free_quantity")
    return [tuple(row[name] for name in columns) for row in table.to_pylist()]


@pytest.mark.parametrize(
    "answer",
    [
        {"A-1;1": seat("A-1;1"), "A-1;2": seat("A-1;2")},
        [seat("A-1;1"), seat("A-1;2")],
        {"A": {"zone_id": "A", "seats": {"1;1": seat("A-1;1"), "1;2": seat("A-1;2")}}},
        {"zones": {"A": {"zone_id": "A", "seats": [seat("A-1;1"), seat("A-1;2")]}}},
        {
            "A": {
                "zone_id": "A",
                "seats": [{k: v for k, v in seat(i).items() if k != "zone_id"} for i in "12"],
            }
        },
        {"A-1;1": seat("A-1;1", max_quantity=None), "A-1;2": seat("A-1;2")},
    ],
    ids=["flat", "list", "by zone", "under zones", "zone of the group", "null for one place"],
)
def test_every_documented_shape_gives_the_same_numbers(answer: Any) -> None:
    assert sums(answer) == [("A", Decimal(500), 2, 2)]


@pytest.mark.parametrize("answer", [[], {}, {"A": {"zone_id": "A", "seats": []}}])
def test_a_show_without_seats_has_a_capacity_of_zero(answer: Any) -> None:
    assert sums(answer) == [("", Decimal(0), 0, 0)]


def test_a_place_with_several_tariffs_is_counted_once_at_its_highest_price() -> None:
    places = [
        seat(f"{tariff}_A-1;{n}", root_id=f"A-1;{n}", price=price, free_quantity=int(n > 2))
        for n in range(1, 5)
        for tariff, price in (("child", 300), ("full", 500))
    ]
    sold_at_one = [
        seat("child_A-1;9", root_id="A-1;9", price=300, free_quantity=0, payed_quantity=1),
        seat("full_A-1;9", root_id="A-1;9"),
    ]
    no_longer = [
        seat("child_A-2;1", root_id="A-2;1", price=300),
        seat("full_A-2;1", root_id="A-2;1", disabled=True),
    ]

    assert sums([*places, *sold_at_one, *no_longer]) == [
        ("A", Decimal(500), 5, 2),
        ("A", Decimal(300), 1, 1),
    ]


@pytest.mark.parametrize(("most", "free"), [(1, 2), (10, -1)])
def test_more_free_places_than_there_are_and_fewer_than_none_are_reported(
    most: int, free: int
) -> None:
    findings = Findings()

    sums([seat("A-1;1"), seat("A-1;2", max_quantity=most, free_quantity=free)], findings)

    assert findings.doubtful_seats == {7: f"seat A-1;2: {free} of {most} tickets are free"}


@pytest.mark.parametrize(
    ("minutes", "believed"),
    [((0, 60, 119), [False] * 3), ((0, 60, 120), [False, False, True]), ((0, 180), [False] * 2)],
)
def test_seats_that_disappear_are_believed_after_three_snapshots_over_two_hours(
    minutes: tuple[int, ...], believed: list[bool]
) -> None:
    known = KnownSeats({})
    assert known.is_credible(7, 100, NOON)

    moments = [NOON + timedelta(minutes=minute) for minute in minutes]

    assert [known.is_credible(7, 0, moment) for moment in moments] == believed
    assert known.is_credible(8, 0, NOON), "it never had seats"


def test_a_snapshot_with_seats_ends_the_doubt() -> None:
    state: dict[str, Any] = {}
    known = KnownSeats(state)
    for minutes, capacity in ((0, 100), (30, 0), (90, 0), (120, 5), (150, 0)):
        credible = known.is_credible(7, capacity, NOON + timedelta(minutes=minutes))

    assert not credible
    assert len(state["seats"]["7"]) == 1


@pytest.mark.parametrize("answer", [[], {}, None], ids=["list", "object", "all disabled"])
def test_a_show_that_loses_its_seats_is_unknown_and_reported_until_they_are_back(
    tmp_path: Path, answer: Any
) -> None:
    def without_seats(payload: Any) -> Any:
        if answer is None:
            data = {key: {**each, "disabled": True} for key, each in payload["data"].items()}
            return {**payload, "data": data}
        return {**payload, "data": answer}

    with serve(world(), TOKEN) as server:
        loads = Loads(server, tmp_path)
        loads.run("inventory")
        assert not loads.observed.findings.doubtful_seats

        server.faults.append(Fault("/shows/", kind="mutate", change=without_seats))
        loads.run("inventory")
        doubtful = loads.observed.findings.doubtful_seats
        assert set(doubtful.values()) == {"had seats before, and now has none"}

        server.faults.clear()
        loads.run("inventory")
        assert not loads.observed.findings.doubtful_seats


def test_an_event_that_the_list_loses_is_reported_once(tmp_path: Path) -> None:
    account = world()
    lost = account.events()[0]["id"]

    def without_it(payload: Any) -> Any:
        paging = {**payload["paging"], "total": payload["paging"]["total"] - 1}
        rows = [event for event in payload["data"] if event["id"] != lost]
        return {"data": rows, "paging": paging}

    with serve(account, TOKEN) as server:
        loads = Loads(server, tmp_path)
        loads.run("events")
        server.faults.append(Fault("/events", kind="mutate", change=without_it))

        loads.run("events")
        assert loads.observed.findings.lost_events == [lost]
        loads.run("events")
        assert not loads.observed.findings.lost_events
