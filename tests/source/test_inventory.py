"""Seats of 500 shows on sale, some of which cannot be read."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from decimal import Decimal
from tempfile import TemporaryDirectory
from typing import Any

import dlt
import pyarrow.parquet as pq
import pytest
from dlt.common.schema.typing import TTableSchema

from qtickets_source import QTicketsConfiguration, qtickets_source
from sandbox import Fault, World, serve
from sandbox.server.http import Server

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
Row = dict[str, Any]


def world_of(events: int) -> World:
    """Return an account with shows that are still on sale, and others that are not."""
    return World(
        orders=3000,
        seed=5,
        start=NOW - timedelta(days=20),
        end=NOW + timedelta(days=200),
        now=NOW,
        events=events,
    )


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(world_of(events=60)) as server:
        yield server


def read(server: Server) -> list[Row]:
    """Return the rows of the `inventory` resource, as a custom dlt destination receives them."""
    rows: list[Row] = []

    @dlt.destination(batch_size=0, loader_file_format="parquet")
    def collect(path: Any, table: TTableSchema, /) -> None:
        if table["name"] == "inventory":
            rows.extend(pq.read_table(path).to_pylist())

    with TemporaryDirectory() as folder:
        pipeline = dlt.pipeline("seats", pipelines_dir=folder, destination=collect)
        source = qtickets_source(
            QTicketsConfiguration(
                base_url=server.url,
                token=server.token,
                pii_salt="0" * 64,
                connections=8,
                retry_seconds=1,
            )
        )
        pipeline.run(source.with_resources("inventory"))
    return rows


def open_shows(world: World) -> list[Row]:
    return [
        show
        for event in world.events()
        for show in event["shows"]
        if not event["deleted_at"]
        and not show["deleted_at"]
        and datetime.fromisoformat(show["finish_date"] or show["start_date"]) >= NOW
    ]


def zones(world: World, show_id: int) -> dict[tuple[str, Decimal], tuple[int, int]]:
    """Return (capacity, free seats) by (zone, price), summed in plain Python."""
    sums: dict[tuple[str, Decimal], tuple[int, int]] = {}
    for seat in world.seats(show_id) or ():
        key = seat["zone_id"], Decimal(str(seat["price"]))
        total, free = sums.get(key, (0, 0))
        if not seat["disabled"]:
            total, free = total + seat["max_quantity"], free + seat["free_quantity"]
        sums[key] = total, free
    return sums


def test_the_seats_of_500_shows_are_summed_by_price_zone() -> None:
    world = world_of(events=700)
    shows = open_shows(world)
    with serve(world) as server:
        rows = read(server)

    assert len(shows) >= 500
    found: dict[int, dict[tuple[str, Decimal], tuple[int, int]]] = {}
    for row in rows:
        found.setdefault(row["show_id"], {})[row["zone_id"], row["price"]] = (
            row["max_quantity"],
            row["free_quantity"],
        )
    assert found == {show["id"]: zones(world, show["id"]) for show in shows}
    assert len({row["snapshot_at"] for row in rows}) == 1, (
        "all rows of a snapshot have the same time"
    )
    asked = [path for _, path, _, _ in server.requests if path.endswith("/seats")]
    assert len(asked) == len(shows), (
        "a past or deleted show was requested, or a show was requested twice"
    )


FAULTS: dict[str, Row] = {
    "503": {"kind": "status", "status": 503, "body": "html"},
    "403": {"kind": "status", "status": 403, "body": "json"},
    "404": {"kind": "status", "status": 404, "body": "json"},
    "a web page": {"kind": "html"},
    "text": {"kind": "mutate", "change": lambda payload: {**payload, "data": "no seats today"}},
    "no numbers": {
        "kind": "mutate",
        "change": lambda payload: {**payload, "data": {"1": {"id": 1}}},
    },
}


def test_a_show_whose_seats_cannot_be_read_is_unknown_and_the_others_are_not(
    server: Server,
) -> None:
    assert isinstance(server.world, World)
    shows = [show["id"] for show in open_shows(server.world)]
    unlucky, others = shows[: len(FAULTS)], shows[len(FAULTS) :]
    for show_id, fault in zip(unlucky, FAULTS.values(), strict=True):
        server.faults.append(Fault(f"/shows/{show_id}/seats", **fault))

    rows = read(server)

    unknown = {row["show_id"]: row for row in rows if row["unreadable"]}
    assert set(unknown) == set(unlucky)
    assert all(
        row["max_quantity"] is None and row["free_quantity"] is None for row in unknown.values()
    )
    assert others
    assert {row["show_id"] for row in rows if row["max_quantity"] is not None} == set(others)


def test_seats_that_all_fail_cost_the_retries_of_a_few_shows(server: Server) -> None:
    assert isinstance(server.world, World)
    shows = {show["id"] for show in open_shows(server.world)}
    server.faults.append(Fault("/seats$", kind="status", status=502))

    rows = read(server)

    assert {row["show_id"]: row["max_quantity"] for row in rows} == dict.fromkeys(shows)
    asked = [path for _, path, _, _ in server.requests if path.endswith("/seats")]
    # Eight requests are in progress when the third show fails; the other shows are not requested.
    assert len(set(asked)) <= 16 < len(shows)
    assert {row["unreadable"] for row in rows} == {"ServiceUnavailable", "NotAsked"}


def test_seats_that_come_by_zone_although_asked_for_flat_have_the_same_sums(
    server: Server,
) -> None:
    def by_zone(payload: Row) -> Row:
        tree: dict[str, Any] = {}
        for seat_id, seat in payload["data"].items():
            zone = tree.setdefault(seat["zone_id"], {"id": seat["zone_id"], "seats": {}})
            zone["seats"][seat_id] = seat
        return {**payload, "data": {"zones": tree}}

    flat = read(server)
    server.faults.append(Fault("/seats$", kind="mutate", change=by_zone))
    hierarchical = read(server)

    for row in flat + hierarchical:
        del row["_fetched_at"], row["snapshot_at"]
    assert hierarchical == flat
