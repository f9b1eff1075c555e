"""Stops sending one kind of request while it keeps failing."""

from collections.abc import Callable
from threading import Lock
from typing import TypeVar

from ..errors import NotAsked, ServiceUnavailable

T = TypeVar("T")


class CircuitBreaker:
    """Lets requests of one kind through until several in a row have used up their retries.

    Seats are one request for each show. If all failed, each would cost a full retry time.

    Args:
        failures: Requests in a row that must fail before the others are not sent.
    """

    def __init__(self, failures: int = 3) -> None:
        self._allowed = failures
        self._in_a_row = 0
        self._lock = Lock()

    def call(self, request: Callable[[], T]) -> T:
        """Return what the request returns.

        Raises:
            NotAsked: Too many requests before it have failed; it was not sent.
            ServiceUnavailable: The request failed.
        """
        if self._in_a_row >= self._allowed:
            raise NotAsked(f"not asked, since {self._in_a_row} requests in a row have failed")
        try:
            result = request()
        except ServiceUnavailable:
            with self._lock:
                self._in_a_row += 1
            raise
        with self._lock:
            self._in_a_row = 0
        return result
