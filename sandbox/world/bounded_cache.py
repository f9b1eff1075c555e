"""A cache of the latest few results."""

from collections import OrderedDict
from collections.abc import Hashable
from typing import Any


class BoundedCache(OrderedDict[Hashable, Any]):
    """A dictionary of at most `size` entries; it evicts the entry that was stored first."""

    def __init__(self, size: int) -> None:
        super().__init__()
        self.size = size

    def store(self, key: Hashable, value: Any) -> Any:
        """Store a value and return it."""
        self[key] = value
        self.move_to_end(key)
        while len(self) > self.size:
            self.popitem(last=False)
        return value
