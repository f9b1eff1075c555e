"""A simulated clock for retries."""


class RetryClock:
    """Time passes by waits between two tries, and by nothing else."""

    def __init__(self) -> None:
        self.waits: list[float] = []

    def sleep(self, seconds: float) -> None:
        self.waits.append(seconds)

    def monotonic(self) -> float:
        return sum(self.waits)
