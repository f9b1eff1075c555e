"""Checks that end in time, even if a server that they ask stops answering in the middle."""

import time
from collections.abc import Callable, Iterable
from threading import Thread

from pipelines.operations.checks.health import Check


class TimedChecks:
    """Checks in a thread of their own.

    The timeouts of a connection apply to each of its steps, so a server that sends a byte now and
    then, or a process that is stopped, could hold a check without end.

    Args:
        name: The check that is an error if the others do not end in time.
        asked: What is asked, for the message.
        checks: Makes the checks.
    """

    def __init__(self, name: str, asked: str, checks: Callable[[], Iterable[Check]]) -> None:
        self._name, self._asked, self._checks = name, asked, checks
        self._found: list[Check] = []
        self._errors: list[BaseException] = []
        self._started = time.monotonic()
        # A daemon does not keep the process from ending.
        self._thread = Thread(target=self._work, daemon=True)
        self._thread.start()

    def collect(self, seconds: float) -> list[Check]:
        """Return the checks that have ended so many seconds after the start.

        If not all have, an error is among them.
        """
        self._thread.join(max(0.0, self._started + seconds - time.monotonic()))
        found = list(self._found)
        if self._thread.is_alive():
            message = f"{self._asked} gave no complete answer within {seconds:g} s."
            return [*found, Check(self._name, "error", message)]
        for error in self._errors:
            raise error
        return found

    def _work(self) -> None:
        try:
            for check in self._checks():
                self._found.append(check)
        except BaseException as error:
            self._errors.append(error)
