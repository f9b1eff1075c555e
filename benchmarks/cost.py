"""What a piece of work costs: seconds, processor seconds, memory."""

import os
import resource
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path

from pipelines.warehouse import Warehouse

PROCESSOR = "OSCPUVirtualTimeMicroseconds"
COUNTED = {
    "Query": "statements",
    "InsertQuery": "inserts",
    "InsertedRows": "rows written",
    "InsertedBytes": "bytes written",
}
"""Events that ClickHouse counts, and what they are called here."""


@dataclass
class Cost:
    """What something took.

    Attributes:
        seconds: By the clock on the wall.
        cpu_seconds: Of this process and the processes it started and waited for.
        server_cpu_seconds: Of ClickHouse meanwhile.
        peak_bytes: Most memory that the process ever held (resident), imports included.
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
    """What ClickHouse has done since it started."""
    if warehouse is None:
        return {}
    with warehouse.connect(warehouse.transformer) as client:
        rows = client.query(
            "SELECT event, value FROM system.events WHERE event IN {names:Array(String)}",
            parameters={"names": [PROCESSOR, *COUNTED]},
        ).result_rows
    return {str(event): int(value) for event, value in rows}


def peak_memory() -> int:
    """Most bytes that this process has had in memory."""
    status = Path("/proc/self/status")
    if status.exists():
        # `getrusage` would also tell of the process that started this one.
        line = next(row for row in status.read_text().splitlines() if row.startswith("VmHWM"))
        return int(line.split()[1]) * 1024
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    return peak if sys.platform == "darwin" else peak * 1024
