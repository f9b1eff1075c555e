"""Which shows had seats: a show that suddenly has none is more likely a fault than the truth."""

from collections.abc import MutableMapping
from datetime import datetime, timedelta
from typing import Any

BELIEVED_AFTER = timedelta(hours=2)
BELIEVED_SNAPSHOTS = 3


class KnownSeats:
    """Shows that had seats for sale, and since when they have none.

    Args:
        state: The state of the resource; updated.
    """

    def __init__(self, state: MutableMapping[str, Any]) -> None:
        self._without: MutableMapping[str, list[datetime]] = state.setdefault("seats", {})

    def is_credible(self, show_id: int, capacity: int, at: datetime) -> bool:
        """Return whether a snapshot is to be believed, and record it.

        The capacity of a show that never had seats may be 0. One that had some is believed to have
        none after three snapshots over two hours.

        Args:
            show_id: The show.
            capacity: Its seats for sale.
            at: The moment of the snapshot.
        """
        key = str(show_id)
        if capacity:
            self._without[key] = []
            return True
        if (moments := self._without.get(key)) is None:
            return True
        moments.append(at)
        if len(moments) < BELIEVED_SNAPSHOTS or moments[-1] - moments[0] < BELIEVED_AFTER:
            return False
        del self._without[key]
        return True
