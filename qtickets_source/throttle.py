"""How many requests are under way at once: one limit for all datasets, smaller while it hurts."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

RECOVER_AFTER = 20
"""Good answers in a row after which one more connection is tried again."""


class Throttle:
    """A limit of concurrent requests that halves when the service says "too many".

    Args:
        connections: The limit when all is well.
    """

    def __init__(self, connections: int) -> None:
        self._most = self.limit = connections
        self._under_way = 0
        self._good = 0
        self._paused_until = 0.0
        self._changed = threading.Condition()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Waits for a free slot, and for the end of a pause; holds it for the block."""
        with self._changed:
            while True:
                pause = self._paused_until - time.monotonic()
                if pause <= 0 and self._under_way < self.limit:
                    break
                self._changed.wait(pause if pause > 0 else None)
            self._under_way += 1
        try:
            yield
        finally:
            with self._changed:
                self._under_way -= 1
                self._changed.notify_all()

    def went_well(self) -> None:
        """An answer came: after enough of them the limit grows again."""
        with self._changed:
            self._good += 1
            if self._good >= RECOVER_AFTER and self.limit < self._most:
                self.limit, self._good = self.limit + 1, 0
                self._changed.notify_all()

    def slow_down(self, pause: float) -> None:
        """The service is overloaded: half as many at once, and none for `pause` seconds."""
        with self._changed:
            self.limit, self._good = max(1, self.limit // 2), 0
            self._paused_until = max(self._paused_until, time.monotonic() + pause)
