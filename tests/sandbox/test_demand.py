"""The demand of a world is worth forecasting: rushes, price tiers, weather, late refunds."""

from collections import defaultdict
from collections.abc import Iterator
from datetime import datetime, timedelta
from statistics import mean, median, pstdev
from typing import Any

import numpy as np
import pytest

from sandbox import World
from sandbox.world.weather import weather

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
Row = dict[str, Any]


@pytest.fixture(scope="module")
def world() -> World:
    return World(orders=6000, seed=11, start=NOW - timedelta(days=365), end=NOW, now=NOW)


def sales(world: World, genre: str) -> Iterator[tuple[Row, Row]]:
    """Yield show and ticket of each paid ticket for a past show that did not sell out."""
    schedule = world.plan.schedule
    named = {event.id for event in schedule.events if event.genre.name == genre}
    full = {event.id for event in schedule.events if event.sells_out}
    shows = {
        show["id"]: show
        for event in world.events()
        if event["id"] in named - full
        for show in event["shows"]
        if datetime.fromisoformat(show["start_date"]) < NOW and not show["deleted_at"]
    }
    for order in world.orders():
        for ticket in order["baskets"] if order["payed"] else ():
            if ticket["show_id"] in shows:
                yield shows[ticket["show_id"]], ticket


def zone_of(ticket: Row) -> str:
    return str(ticket["seat_id"]).rsplit("-", 1)[0]


def test_about_half_of_the_tickets_are_sold_in_the_last_week(world: World) -> None:
    days = [
        datetime.fromisoformat(show["start_date"]) - datetime.fromisoformat(ticket["created_at"])
        for show, ticket in sales(world, "theatre")
    ]

    assert 0.4 < mean(left < timedelta(days=7) for left in days) < 0.6


def test_the_price_of_a_concert_rises_twice(world: World) -> None:
    prices: dict[tuple[int, str], list[tuple[datetime, int]]] = defaultdict(list)
    for show, ticket in sales(world, "concert"):
        prices[show["id"], zone_of(ticket)].append(
            (datetime.fromisoformat(ticket["created_at"]), round(ticket["original_price"]))
        )

    paid = [[price for _, price in sorted(rows)] for rows in prices.values()]
    assert all(price == sorted(price) for price in paid)
    assert 3 in {len(set(price)) for price in paid}


def test_what_a_seat_costs_is_what_a_buyer_pays_then(world: World) -> None:
    sold = world.order(world.sell(tickets=1))
    (ticket,) = sold["baskets"]

    seats = world.seats(ticket["show_id"])

    assert seats
    asked = {row["price"] for row in seats if row["zone_id"] == zone_of(ticket)}
    assert asked == {ticket["original_price"]}


def test_weather_differs_by_city_and_lasts_some_days(world: World) -> None:
    days = np.arange(20_000, 20_365)
    moscow, kazan = (weather(world.plan.random, city, days) for city in ("москва", "казань"))

    assert pstdev(moscow) > 0.1
    assert abs(np.corrcoef(moscow, kazan)[0, 1]) < 0.3
    assert np.corrcoef(moscow[1:], moscow[:-1])[0, 1] > 0.4


def test_refunds_follow_sooner_than_cancellations(world: World) -> None:
    refunds, cancellations = [], []
    for order in world.orders():
        if not order["payed"]:
            continue
        bought = datetime.fromisoformat(order["created_at"])
        refunded = [t["refunded_at"] for t in order["baskets"] if t["refunded_at"]]
        if refunded:
            refunds.append((datetime.fromisoformat(refunded[0]) - bought).total_seconds())
        elif order["deleted_at"] and not order.get("secondary_orders"):
            cancellations.append(
                (datetime.fromisoformat(order["deleted_at"]) - bought).total_seconds()
            )

    assert median(refunds) < median(cancellations) / 2
