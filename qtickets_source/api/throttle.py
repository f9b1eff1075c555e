"""The limit of concurrent requests, shared by all datasets and reduced under overload."""

import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager

RECOVER_AFTER = 20
"""Successful answers in a row after which the limit grows by one."""


class Throttle:
    """A limit of concurrent requests that halves when the service reports overload.

    Args:
        connections: The limit without overload.
    """

    def __init__(self, connections: int) -> None:
        self._maximum = self.limit = connections
        self._active = 0
        self._successes = 0
        self._paused_until = 0.0
        self._condition = threading.Condition()

    @contextmanager
    def slot(self) -> Iterator[None]:
        """Wait for a free slot and for the end of a pause; hold the slot for the block."""
        with self._condition:
            while True:
                pause = self._paused_until - time.monotonic()
                if pause <= 0 and self._active < self.limit:
                    break
                self._condition.wait(pause if pause > 0 else None)
            self._active += 1
        try:
            yield
        finally:
            with self._condition:
                self._active -= 1
                self._condition.notify_all()

    def record_success(self) -> None:
        """Count a successful answer; after enough of them the limit grows again."""
        with self._condition:
            self._successes += 1
            if self._successes >= RECOVER_AFTER and self.limit < self._maximum:
                self.limit, self._successes = self.limit + 1, 0
                self._condition.notify_all()

    def slow_down(self, pause: float) -> None:
        """Halve the limit, and send nothing for `pause` seconds."""
        with self._condition:
            self.limit, self._successes = max(1, self.limit // 2), 0
            self._paused_until = max(self._paused_until, time.monotonic() + pause)
