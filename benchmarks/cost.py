"""The cost of a block of code: seconds, processor seconds, memory, and ClickHouse's counters."""

import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

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
"""Events of `system.events`, and their names in the results."""


@dataclass
class Cost:
    """The cost of a block.

    Attributes:
        seconds: Wall-clock time.
        cpu_seconds: Processor time of this process and of the processes that it waited for.
        server_cpu_seconds: Processor time of ClickHouse during the block.
        peak_bytes: Peak resident memory of the process since its start, imports included.
        rows: Number of rows written.
        counts: Other counters, such as requests.
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
    """Measure a block; the cost is complete when the block ends."""
    cost = Cost()
    before = _server_events(warehouse)
    processor, started = _own_cpu(), time.monotonic()
    yield cost
    cost.seconds = time.monotonic() - started
    cost.cpu_seconds = _own_cpu() - processor
    cost.peak_bytes = peak_memory()
    spent = {
        event: count - before.get(event, 0) for event, count in _server_events(warehouse).items()
    }
    cost.server_cpu_seconds = spent.pop(PROCESSOR, 0) / 1e6
    cost.counts |= {COUNTED[event]: count for event, count in spent.items()}


def _own_cpu() -> float:
    times = os.times()
    return times.user + times.system + times.children_user + times.children_system


def _server_events(warehouse: Warehouse | None) -> dict[str, int]:
    """Return the counters of ClickHouse since its start."""
    if warehouse is None:
        return {}
    with warehouse.connect(warehouse.transformer) as client:
        rows = client.query(
            "SELECT event, value FROM system.events WHERE event IN {names:Array(String)}",
            parameters={"names": [PROCESSOR, *COUNTED]},
        ).result_rows
    return {str(event): int(value) for event, value in rows}


def peak_memory() -> int:
    """Return the peak resident memory of this process in bytes."""
    status = Path("/proc/self/status")
    if status.exists():
        # `getrusage` would include the process that started this one.
        lines = status.read_text().splitlines()
        return sum(int(line.split()[1]) * 1024 for line in lines if line.startswith("VmHWM"))
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
