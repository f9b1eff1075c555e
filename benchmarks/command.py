"""The command as a scheduler starts it, in a process of its own, against a sandbox."""

import os
import subprocess
import sys
import time
from pathlib import Path

from pipelines.configuration.environment import PROJECT
from sandbox import Server

from .cost import Cost
from .sandbox_process import TOKEN


def run_command(home: Path, server: Server, *arguments: str) -> Cost:
    """Run the command once. The processor time excludes ClickHouse, a process of its own.

    Raises:
        RuntimeError: It failed.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("QTICKETS_")},
        "QTICKETS_HOME": str(home.absolute()),
        "QTICKETS_TOKEN": TOKEN,
        "QTICKETS_BASE_URL": server.url,
        "QTICKETS_INITIAL_BACKFILL_HOURS": "all",
    }
    environment.pop("CLICKHOUSE_HOST", None)
    before, started = sum(server.counters.values()), time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "pipelines/qtickets.py", *arguments, "--quiet"],
        cwd=PROJECT,
        env=environment,
    )
    _, status, used = os.wait4(process.pid, 0)
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        raise RuntimeError(f"the run failed with exit code {process.returncode}")
    return Cost(
        seconds=seconds,
        cpu_seconds=used.ru_utime + used.ru_stime,
        peak_bytes=used.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        counts={"requests": sum(server.counters.values()) - before},
    )
