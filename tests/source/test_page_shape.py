"""Larger pages, and pages of selected fields, are used where the service honours them."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from sandbox import Fault, Server, World, serve
from tests.support.loads import TOKEN, Loads, paid, world


@pytest.fixture
def server() -> Iterator[Server]:
    with serve(world(), TOKEN) as running:
        yield running


def bodies(server: Server, path: str) -> list[dict[str, Any]]:
    return [body for _, asked, body, _ in server.requests if asked.endswith(path) and body]


def world_of(server: Server) -> World:
    assert isinstance(server.world, World)
    return server.world


def test_orders_come_a_hundred_to_a_page(server: Server, tmp_path: Path) -> None:
    loads = Loads(server, tmp_path)

    assert loads.run() == paid(server)
    assert any(body.get("perPage") == 100 for body in bodies(server, "/orders"))


def test_events_are_read_whole_once_a_day_and_by_their_needed_fields_otherwise(
    server: Server, tmp_path: Path
) -> None:
    loads = Loads(server, tmp_path)
    loads.run("orders", "events")
    whole = sorted(map(repr, loads.events))
    assert whole
    server.requests.clear()

    world_of(server).advance(0.5)
    loads.run("orders", "events")

    (asked,) = bodies(server, "/events")
    assert asked["perPage"] == 100
    assert {"id", "city.name", "shows.start_date"} <= set(asked["select"])
    assert not {"poster", "payments", "shows.scheme_properties"} & set(asked["select"])
    assert loads.events == [], "the same rows, which are not loaded twice"

    # Not loaded before: the rows of selected fields are those of the whole answer.
    loads.pipeline.drop()
    server.requests.clear()
    again = Loads(server, tmp_path / "again")
    again.run("orders", "events")
    assert sorted(map(repr, again.events)) == whole

    world_of(server).advance(24)
    server.requests.clear()
    again.run("orders", "events")
    assert not any("select" in body for body in bodies(server, "/events")[:2])


def test_a_change_of_an_event_is_loaded_from_selected_fields(
    server: Server, tmp_path: Path
) -> None:
    loads = Loads(server, tmp_path)
    loads.run("orders", "events")

    def rename(payload: Any) -> Any:
        payload["data"][0]["name"] = "Another name"
        return payload

    server.faults.append(Fault("/events", kind="mutate", change=rename))
    loads.run("orders", "events")

    assert [row["name"] for row in loads.events if "city_name" in row] == ["Another name"]


@pytest.mark.parametrize("key", ["select", "perPage"])
@pytest.mark.parametrize(
    ("kind", "status"),
    [("ignore_key", 200), ("refuse_key", 422), ("refuse_key", 503), ("refuse_key", 504)],
)
def test_what_is_not_honoured_costs_requests_and_no_row(
    server: Server, tmp_path: Path, key: str, kind: str, status: int
) -> None:
    expected = Loads(server, tmp_path / "well")
    expected.run("orders", "order_changes", "events")
    server.faults.append(Fault(r"/(orders|events)$", kind=kind, key=key, status=status))
    loads = Loads(server, tmp_path / "deviating")

    assert loads.run("orders", "order_changes", "events") == expected.orders
    assert sorted(map(repr, loads.events)) == sorted(map(repr, expected.events))
    told = loads.observed.findings.instead
    is_loud = kind == "refuse_key" and key == "perPage"
    assert [text for text in told if f"`{key}`" in text] == told
    assert bool(told) == is_loud, "a selection is tried once, beside a list that was read whole"

    server.requests.clear()
    world_of(server).advance(0.5)
    loads.run("orders", "order_changes", "events")
    assert loads.observed.findings.instead == []
    if kind == "refuse_key":
        assert not any(key in body for body in bodies(server, "s"))


def test_a_selection_that_loses_the_shows_is_given_up(server: Server, tmp_path: Path) -> None:
    loads = Loads(server, tmp_path)
    loads.run("orders", "events")

    def lose_shows(payload: Any) -> Any:
        for event in payload["data"]:
            if "description" not in event:
                event.pop("shows")
        return payload

    server.faults.append(Fault("/events", kind="mutate", change=lose_shows))
    loads.run("orders", "events")

    assert "`select` of /events" in loads.observed.findings.instead[0]
    assert loads.events == []
