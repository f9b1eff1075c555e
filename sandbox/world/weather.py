"""Weather of cities: on some days people go out and buy tickets, on others they stay at home."""

from collections.abc import Sequence
from zlib import crc32

import numpy as np

from sandbox.world.seeded_random import Floats, Ints, SeededRandom

DAYS = 3
"""Weather lasts: that of a day is the mean of three draws, two of them those of the day before."""
STRENGTH = 1.2


def weather(random: SeededRandom, city: str, days: Ints) -> Floats:
    """Return by how much the weather of a city multiplies demand on each day since 1970."""
    shift = crc32(city.encode()) % 2**31 * 2**20
    draws: Sequence[Floats] = [random.unit("weather", days + shift + n) for n in range(DAYS)]
    factor: Floats = np.exp(STRENGTH * (np.mean(draws, axis=0) - 0.5))
    return factor
