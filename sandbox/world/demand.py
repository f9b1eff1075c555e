"""Demand: when orders are made and for which show.

Order `i` of `N` is made where the cumulative demand over the world's life reaches `i`, so
`created_at` never goes back as ids grow, and any order is found without making the others.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from sandbox.world.events import Show
from sandbox.world.seeded_random import Dice, Floats, Ints
from sandbox.world.timestamps import DAY, HOUR

BY_HOUR = np.array(
    [3, 2, 1, 1, 1, 2, 4, 7, 10, 13, 15, 16, 17, 16, 15, 15, 16, 17, 19, 21, 22, 19, 13, 7]
)
BY_WEEKDAY = np.array([0.95, 0.9, 0.95, 1.05, 1.2, 1.1, 0.95])
BUCKET = 6 * HOUR
"""The choice of shows changes every six hours: sales of a show end at most so long before it."""
PLACES = 512
"""The smallest share of a show in the sales of its hours is one in so many."""


class Demand:
    """The demand curve of a world and the shares of the shows in it."""

    def __init__(
        self, dice: Dice, orders: int, start: int, end: int, shows: Sequence[Show]
    ) -> None:
        self.dice, self.orders, self.start = dice, orders, start
        hours = np.arange(start, end + HOUR, HOUR)
        local = hours + 3 * HOUR
        weekday = (local // DAY + 3) % 7
        season = 1 + 0.25 * np.cos((local / DAY % 365.25 - 350) / 365.25 * 2 * np.pi)
        weight = BY_HOUR[local // HOUR % 24] * BY_WEEKDAY[weekday] * season
        curve = np.concatenate([[0.0], np.cumsum(weight[:-1])])
        self._hours, self._curve = hours.astype(np.float64), curve / curve[-1] * orders
        self._share_out(shows, -((start - end) // BUCKET))

    def _share_out(self, shows: Sequence[Show], buckets: int) -> None:
        """For every bucket of time a table of shows, each in as many places as is its share."""
        bucket_of, show_of, weights = [], [], []
        for number, show in enumerate(shows):
            first = max(0, -((self.start - show.sale_from) // BUCKET))
            last = min(buckets, (show.sale_until - self.start) // BUCKET)
            if last > first:
                mine = np.arange(first, last)
                bucket_of.append(mine)
                show_of.append(np.full(len(mine), number))
                weights.append(
                    show.appeal((self.start + mine * BUCKET + BUCKET / 2).astype(np.float64))
                )
        bucket = np.concatenate(bucket_of)
        line = np.argsort(bucket, kind="stable")
        bucket, weight = bucket[line], np.concatenate(weights)[line]
        show_number = np.concatenate(show_of)[line]
        total = np.bincount(bucket, weight, minlength=buckets)
        if not total.all():
            raise ValueError("a time without any show on sale: give the world more events")
        running = np.cumsum(weight)
        before = (np.cumsum(total) - total)[bucket]
        # One axis for all tables: the bucket's number plus the shares of its shows so far.
        axis: Any = bucket + np.clip((running - before) / total[bucket], 0, 1)
        axis[np.flatnonzero(np.diff(bucket, append=buckets))] = np.arange(buckets) + 1.0
        places = np.arange(buckets * PLACES) / PLACES + 0.5 / PLACES
        self._tables = show_number[np.searchsorted(axis, places)].astype(np.int32)
        edges = self.start + np.arange(buckets + 1) * BUCKET
        in_bucket = np.diff(np.interp(edges, self._hours, self._curve))
        expected: Any = in_bucket[bucket] * weight / total[bucket]
        per_show: Any = np.bincount(show_number, expected, minlength=len(shows))
        self.expected_orders: Floats = per_show

    def created(self, index: Any) -> Ints:
        """When each order is made, seconds; never decreasing in `index`."""
        place = np.asarray(index) + self.dice.unit("created", index)
        made: Ints = np.interp(place, self._curve, self._hours).astype(np.int64)
        return made

    def show(self, index: Any, created: Ints) -> Ints:
        """The number of the show that each order made at `created` is mainly for."""
        draw = self.dice.bits("show", index) & np.uint64(PLACES - 1)
        place = (created - self.start) // BUCKET * PLACES + draw.view(np.int64)
        return self._tables[place].astype(np.int64)

    def made_by(self, moment: int) -> int:
        """How many orders are made at `moment` or before it."""
        guess = int(np.interp(moment, self._hours, self._curve))
        near = np.arange(max(0, guess - 3), min(self.orders, guess + 4))
        return int(max(0, guess - 3) + np.searchsorted(self.created(near), moment, side="right"))
