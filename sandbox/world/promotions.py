"""Discounts, promo codes and price shades."""

from typing import Any

import numpy as np

from sandbox.world.schedule import Event
from sandbox.world.seeded_random import Ints, SeededRandom
from sandbox.world.timestamps import DAY, NEVER, iso

FIRST_DISCOUNT_ID, FIRST_PROMO_CODE_ID = 6800, 168_000
DISCOUNTS = 65
FREE_DISCOUNTS = 20
"""The first twenty discounts are of 100 %: for invitations, partners and guests."""
PERCENTS = (10, 15, 20, 25, 30, 40, 45, 50)

COLOURS = {
    1: "#d80000", 2: "#d8007f", 3: "#b700d8", 4: "#8400d8", 5: "#004cd8", 6: "#00add8",
    7: "#00d8d0", 8: "#00d833", 15: "#009f4b", 9: "#a8d800", 10: "#d5d800", 11: "#d89e00",
    12: "#e27500", 13: "#606060", 14: "#a82d2d",
}  # fmt: skip
"""Price shades by id, as in the vendor's documentation."""


class Promotions:
    """The promo codes and discounts of a world."""

    def __init__(
        self, random: SeededRandom, orders: int, start: int, end: int, events: list[Event]
    ) -> None:
        self.random, self.start, self.end, self.events = random, start, end, events
        self.codes = int(np.clip(orders // 50, 120, 1200))
        number = np.arange(DISCOUNTS)
        self.percent: Ints = np.where(
            number < FREE_DISCOUNTS, 100, np.array(PERCENTS)[number % len(PERCENTS)]
        )
        self.kopecks = self.percent == 15
        """Which discounts are exact to the kopeck (15 %); others are rounded down to rubles."""
        half = np.arange(self.codes) < self.codes // 2
        draw = random.unit("code-discount", np.arange(self.codes))
        self.discount_of: Ints = np.where(
            half,
            draw * FREE_DISCOUNTS,
            FREE_DISCOUNTS + draw * (DISCOUNTS - FREE_DISCOUNTS),
        ).astype(np.int64)

    def code(self, name: str, index: Ints, free: Any) -> Ints:
        """Return the promo code of each order: one with a discount of 100 % where `free`."""
        half = self.codes // 2
        draw = self.random.unit(name, index)
        popular = draw * draw * draw
        return np.where(free, popular * half, half + popular * (self.codes - half)).astype(np.int64)

    def _dates(self, kind: str, number: int, now: int) -> dict[str, Any]:
        """Return the dates of a row: made before sales begin, and in a third withdrawn later."""
        draw, day = self.random.unit(kind, np.array([number, number + 10**6])).tolist()
        created = self.start - 30 * DAY + int(day * 20 * DAY)
        withdrawn = self.start + int(draw * 3 * (self.end - self.start))
        deleted = withdrawn if withdrawn <= now else NEVER
        return {
            "created_at": iso(created),
            "updated_at": iso(deleted if deleted < NEVER else created),
            "deleted_at": iso(deleted),
        }

    def discount_rows(self, now: int) -> list[dict[str, Any]]:
        """Return the rows of `/discounts`. As in the real ones, they lack the percentage."""
        rows = []
        for number in range(DISCOUNTS):
            events = self.events[number % len(self.events) :][:1] if number % 5 < 3 else []
            events = [event for event in events if event.created <= now]
            shows = [show for event in events for show in event.shows] if number % 10 == 0 else []
            window = (self.start, self.end) if number % 3 == 1 else (NEVER, NEVER)
            rows.append(
                {
                    "id": FIRST_DISCOUNT_ID + 7 * number,
                    "is_active": int(number % 4 > 0),
                    "name": f"Скидка {FIRST_DISCOUNT_ID + 7 * number}",
                    "active_from": iso(window[0]),
                    "active_to": iso(window[1]),
                    "type": "P",
                    "events": [event.short_row(now) for event in events],
                    "shows": [show.short_row(now) for show in shows],
                    **self._dates("discount", number, now),
                }
            )
        return rows

    def code_rows(self, now: int) -> list[dict[str, Any]]:
        """Return the rows of `/promo-codes`."""
        return [
            {
                "id": FIRST_PROMO_CODE_ID + 11 * number,
                "is_active": int(number % 6 > 0),
                "type": 0,
                "discount_id": FIRST_DISCOUNT_ID + 7 * discount,
                "code": f"CODE-{np.base_repr(10**11 + bits % 10**12, 36)}",
                "max_uses_count": (0, 1, 2, 50, 100)[bits % 5],
                "active_from": iso(self.start if number % 30 == 7 else NEVER),
                "active_to": iso(self.end if number % 3 == 1 else NEVER),
                **self._dates("code", number, now),
            }
            for number, discount, bits in zip(
                range(self.codes),
                self.discount_of.tolist(),
                self.random.bits("code", np.arange(self.codes)).tolist(),
                strict=True,
            )
        ]
