"""The plan of a generated world: everything that follows from its parameters alone."""

from dataclasses import dataclass

import numpy as np

from sandbox.world.demand import Demand
from sandbox.world.promotions import Promotions
from sandbox.world.schedule import ZONE_SHARES, Schedule
from sandbox.world.seeded_random import Flags, Ints, SeededRandom
from sandbox.world.timestamps import DAY

FIRST_ORDER_ID = 1_600_000
EXCHANGE_EVERY = 199
"""Order 199·k may be exchanged for the order `exchange_gap` positions after it."""

YEAR = 365.25 * DAY
EVENTS_PER_YEAR = 25


@dataclass(frozen=True)
class WorldPlan:
    """The fixed parts of a generated world."""

    orders: int
    stride: int
    """Distance between the ids of two orders."""
    random: SeededRandom
    schedule: Schedule
    demand: Demand
    promotions: Promotions
    exchange_gap: int
    """Number of orders made in about ten minutes: the distance from an order to its replacement."""
    seats_planned: Ints
    """Seats of each (show, zone), before the sales are known."""
    numbered: Flags
    """Zones (show, zone) with rows and places; the others are admission zones."""

    def order_id(self, index: Ints) -> Ints:
        """Return ids that rise with gaps, since many organisers share the service's counter."""
        return (
            FIRST_ORDER_ID
            + index * self.stride
            + self.random.below("order-id", index, self.stride // 8)
        )

    def index_of(self, order_id: int) -> int:
        """Return the index of the order whose range of ids contains this id."""
        return (order_id - FIRST_ORDER_ID) // self.stride


def make_plan(
    orders: int, seed: int, *, start: int, end: int, events: int | None, tenge_event: bool
) -> WorldPlan:
    """Return the plan of a world with `orders` orders between `start` and `end` (seconds).

    Raises:
        ValueError: There is no order, less than a day, or too few events to sell all the time.
    """
    if orders < 1 or end - start < DAY:
        raise ValueError("a world needs at least one order and one day")
    by_orders = round(25 * (max(orders, 5000) / 5000) ** 0.394)
    count = events or max(min(by_orders, 500), round(EVENTS_PER_YEAR * (end - start) / YEAR))
    random = SeededRandom(seed)
    schedule = Schedule(seed, count, start, end, tenge_event)
    cities = [schedule.events[event].city[1].strip().lower() for event in schedule.event_of]
    demand = Demand(random, orders, start, end, schedule.shows, cities)
    tickets = demand.expected_orders[:, None] * 2.3 * np.array(ZONE_SHARES)
    spare = 1.05 + random.unit("spare-seats", np.arange(len(schedule.shows)))[:, None]
    planned = np.ceil(tickets * spare + 4 * np.sqrt(tickets) + 4).astype(np.int64)
    hall = np.array([show.hall for show in schedule.shows])[:, None]
    numbered = hall & (np.arange(planned.shape[1]) < 3) & (planned <= 500)
    return WorldPlan(
        orders=orders,
        stride=int(np.clip(10**9 // orders, 64, 1000)),
        random=random,
        schedule=schedule,
        demand=demand,
        promotions=Promotions(random, orders, start, end, schedule.events),
        exchange_gap=int(np.clip(600 * orders / (end - start), 1, EXCHANGE_EVERY - 1)),
        seats_planned=planned,
        numbered=numbered,
    )
