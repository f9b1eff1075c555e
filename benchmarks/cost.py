"""What a piece of work costs: seconds, processor seconds, memory."""

import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass, field
from pathlib import Path
from threading import Event, Thread

from pipelines.warehouse.server import Warehouse

PROCESSOR = "OSCPUVirtualTimeMicroseconds"
COUNTED = {
    "Query": "statements",
    "InsertQuery": "inserts",
    "InsertedRows": "rows written",
    "InsertedBytes": "bytes written",
    "SelectedRows": "rows read",
    "MergeTreeDataWriterBlocks": "parts written",
}
"""Events that ClickHouse counts, and what they are called here."""


@dataclass
class Cost:
    """What something took.

    Attributes:
        seconds: By the clock on the wall.
        cpu_seconds: Of this process and the processes it started and waited for.
        server_cpu_seconds: Of ClickHouse meanwhile.
        peak_bytes: Most memory that the process ever held (resident), imports included, and the
            processes that it started meanwhile. What they share counts for each of them.
        rows: How many rows came of it.
        counts: What can be counted, such as requests.
    """

    seconds: float = 0.0
    cpu_seconds: float = 0.0
    server_cpu_seconds: float = 0.0
    peak_bytes: int = 0
    rows: int = 0
    counts: dict[str, int] = field(default_factory=dict)

    @property
    def all_cpu_seconds(self) -> float:
        return self.cpu_seconds + self.server_cpu_seconds


@contextmanager
def measured(warehouse: Warehouse | None = None) -> Iterator[Cost]:
    """Measures a block."""
    cost = Cost()
    before = _server_events(warehouse)
    processor, started = _own_cpu(), time.monotonic()
    with _watched_children() as peaks:
        yield cost
    cost.seconds = time.monotonic() - started
    cost.cpu_seconds = _own_cpu() - processor
    cost.peak_bytes = peak_memory() + sum(peaks.values())
    spent = {
        event: count - before.get(event, 0) for event, count in _server_events(warehouse).items()
    }
    cost.server_cpu_seconds = spent.pop(PROCESSOR, 0) / 1e6
    cost.counts |= {COUNTED[event]: count for event, count in spent.items()}


def _own_cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _server_events(warehouse: Warehouse | None) -> dict[str, int]:
    """What ClickHouse has done since it started."""
    if warehouse is None:
        return {}
    with warehouse.connect(warehouse.transformer) as client:
        rows = client.query(
            "SELECT event, value FROM system.events WHERE event IN {names:Array(String)}",
            parameters={"names": [PROCESSOR, *COUNTED]},
        ).result_rows
    return {str(event): int(value) for event, value in rows}


def peak_memory(process: int | str = "self") -> int:
    """Most bytes that a process, by default this one, has had in memory."""
    status = Path(f"/proc/{process}/status")
    if status.exists():
        # `getrusage` would also tell of the process that started this one.
        lines = status.read_text().splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024


@contextmanager
def _watched_children() -> Iterator[dict[str, int]]:
    """Most bytes, by number, of each process that this one starts meanwhile."""
    peaks: dict[str, int] = {}
    before, is_over = _children(), Event()

    def watch() -> None:
        # What is looked at is a high-water mark, and looking costs three milliseconds.
        while not is_over.wait(1):
            # A process, or a thread that started one, may end while it is looked at.
            with suppress(OSError):
                for process in _children() - before:
                    peaks[process] = max(peaks.get(process, 0), peak_memory(process))

    thread = Thread(target=watch)
    thread.start()
    try:
        yield peaks
    finally:
        is_over.set()
        thread.join()


def _children() -> set[str]:
    """The processes that threads of this one started; none where the system does not tell."""
    return {
        child
        for file in Path("/proc/self/task").glob("*/children")
        for child in file.read_text().split()
    }
