"""A simulated clock for retries."""


class RetryClock:
    """A clock that advances only by the waits between retries."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def monotonic(self) -> float:
        return sum(self.waits)
