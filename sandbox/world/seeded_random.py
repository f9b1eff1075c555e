"""Counter-based deterministic random numbers (splitmix64).

Each number is a pure function of the seed, the name of the draw, and an index.
"""

from collections.abc import Sequence
from functools import cache
from hashlib import blake2b
from typing import Any

import numpy as np
from numpy.typing import NDArray

Ints = NDArray[np.int64]
Bits = NDArray[np.uint64]
Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


class SeededRandom:
    """Random numbers for arrays of indices; each named draw is a sequence of its own."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self._key = cache(self._make_key)

    def _make_key(self, name: str) -> np.uint64:
        digest = blake2b(f"{self.seed}/{name}".encode(), digest_size=8).digest()
        return np.uint64(int.from_bytes(digest, "big"))

    def bits(self, name: str, index: Any) -> Bits:
        """Return 64 random bits for each index."""
        x: Bits = np.array(index).astype(np.uint64)
        x *= np.uint64(0x9E3779B97F4A7C15)
        x += self._key(name)
        x ^= x >> np.uint64(30)
        x *= np.uint64(0xBF58476D1CE4E5B9)
        x ^= x >> np.uint64(27)
        x *= np.uint64(0x94D049BB133111EB)
        x ^= x >> np.uint64(31)
        return x

    def unit(self, name: str, index: Any) -> Floats:
        """Return a float in [0, 1) for each index."""
        draw: Floats = (self.bits(name, index) >> np.uint64(11)) * np.float64(2.0**-53)
        return draw

    def below(self, name: str, index: Any, limit: Any) -> Ints:
        """Return an integer in [0, limit) for each index."""
        drawn: Ints = (self.unit(name, index) * limit).astype(np.int64)
        return drawn

    def pick(self, name: str, index: Any, table: Ints) -> Ints:
        """Return an entry of `table` for each index. Its length must be a power of two."""
        entry = self.bits(name, index) & np.uint64(len(table) - 1)
        return table[entry.view(np.int64)]


def weighted_table(shares: Sequence[float], length: int = 1024) -> Ints:
    """Return a table for `SeededRandom.pick` that contains each number as often as its share."""
    quantiles = (np.arange(length) + 0.5) / length
    return np.searchsorted(np.cumsum(shares)[:-1], quantiles, side="right")
