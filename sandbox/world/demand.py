"""Demand: when orders are made and for which show.

Order `i` is made when the cumulative demand reaches `i`. So `created_at` never decreases as ids
grow, and any order can be computed without the others.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sandbox.world.schedule import Show
from sandbox.world.seeded_random import Floats, Ints, SeededRandom
from sandbox.world.timestamps import DAY, HOUR
from sandbox.world.weather import weather

BY_HOUR = np.array(
    [3, 2, 1, 1, 1, 2, 4, 7, 10, 13, 15, 16, 17, 16, 15, 15, 16, 17, 19, 21, 22, 19, 13, 7]
)
BY_WEEKDAY = np.array([0.95, 0.9, 0.95, 1.05, 1.2, 1.1, 0.95])
BUCKET = 6 * HOUR
"""The shares of the shows are constant for six hours; sales end up to six hours early."""
SLOTS = 512
"""Each bucket has 512 slots, so the smallest share of a show is 1/512."""


class Demand:
    """The demand curve of a world and the share of each show in it."""

    def __init__(
        self,
        random: SeededRandom,
        orders: int,
        start: int,
        end: int,
        shows: Sequence[Show],
        cities: Sequence[str],
    ) -> None:
        """Make the demand for shows, each in the city of the same position."""
        self.random, self.orders, self.start = random, orders, start
        hours = np.arange(start, end + HOUR, HOUR)
        local = hours + 3 * HOUR
        weekday = (local // DAY + 3) % 7
        season = 1 + 0.25 * np.cos((local / DAY % 365.25 - 350) / 365.25 * 2 * np.pi)
        weight = BY_HOUR[local // HOUR % 24] * BY_WEEKDAY[weekday] * season
        curve = np.concatenate([[0.0], np.cumsum(weight[:-1])])
        self._hours, self._curve = hours.astype(np.float64), curve / curve[-1] * orders
        self._allocate(shows, cities, -((start - end) // BUCKET))

    def _allocate(self, shows: Sequence[Show], cities: Sequence[str], buckets: int) -> None:
        """Fill the slots of every bucket with shows, each in proportion to its share."""
        bucket_of, show_of, weights = [], [], []
        middles: Floats = np.asarray(self.start + (np.arange(buckets) + 0.5) * BUCKET)
        days = (middles // DAY).astype(np.int64)
        weather_of = {city: weather(self.random, city, days) for city in set(cities)}
        for number, (show, city) in enumerate(zip(shows, cities, strict=True)):
            first = max(0, -((self.start - show.sale_from) // BUCKET))
            last = min(buckets, (show.sale_until - self.start) // BUCKET)
            if last > first:
                on_sale = np.arange(first, last)
                bucket_of.append(on_sale)
                show_of.append(np.full(len(on_sale), number))
                weights.append(show.demand(middles[on_sale]) * weather_of[city][on_sale])
        bucket = np.concatenate(bucket_of)
        by_bucket = np.argsort(bucket, kind="stable")
        bucket, weight = bucket[by_bucket], np.concatenate(weights)[by_bucket]
        show_number = np.concatenate(show_of)[by_bucket]
        total = np.bincount(bucket, weight, minlength=buckets)
        if not total.all():
            raise ValueError("no show is on sale for a part of the period: use more events")
        running = np.cumsum(weight)
        before = (np.cumsum(total) - total)[bucket]
        # One axis for all buckets: the number of the bucket plus the cumulated shares of its shows.
        axis: Any = bucket + np.clip((running - before) / total[bucket], 0, 1)
        axis[np.flatnonzero(np.diff(bucket, append=buckets))] = np.arange(buckets) + 1.0
        slots = np.arange(buckets * SLOTS) / SLOTS + 0.5 / SLOTS
        self._show_of_slot = show_number[np.searchsorted(axis, slots)].astype(np.int32)
        edges = self.start + np.arange(buckets + 1) * BUCKET
        in_bucket = np.diff(np.interp(edges, self._hours, self._curve))
        expected: Any = in_bucket[bucket] * weight / total[bucket]
        per_show: Any = np.bincount(show_number, expected, minlength=len(shows))
        self.expected_orders: Floats = per_show

    def created(self, index: Any) -> Ints:
        """Return when each order is made, in seconds; it never decreases with `index`."""
        position = np.asarray(index) + self.random.unit("created", index)
        made: Ints = np.interp(position, self._curve, self._hours).astype(np.int64)
        return made

    def show(self, index: Any, created: Ints) -> Ints:
        """Return the number of the show of most tickets of each order made at `created`."""
        draw = self.random.bits("show", index) & np.uint64(SLOTS - 1)
        slot = (created - self.start) // BUCKET * SLOTS + draw.view(np.int64)
        return self._show_of_slot[slot].astype(np.int64)

    def made_by(self, timestamp: int) -> int:
        """Return how many orders are made by `timestamp`."""
        guess = int(np.interp(timestamp, self._hours, self._curve))
        near = np.arange(max(0, guess - 3), min(self.orders, guess + 4))
        return int(max(0, guess - 3) + np.searchsorted(self.created(near), timestamp, side="right"))
