"""The command as a scheduler starts it, in a process of its own, against a sandbox."""

import os
import subprocess
import sys
import time
from collections.abc import Mapping
from pathlib import Path
from threading import Timer
from types import MappingProxyType

from pipelines.configuration.environment import PROJECT
from sandbox import Server

from .cost import Cost
from .sandbox_process import TOKEN


def run_command(
    home: Path,
    server: Server,
    *arguments: str,
    exit_codes: tuple[int, ...] = (0,),
    kill_after: float | None = None,
    variables: Mapping[str, str] = MappingProxyType({}),
) -> Cost:
    """Run the command once. The processor time excludes ClickHouse, a process of its own.

    Args:
        home: QTICKETS_HOME.
        server: The service to read.
        arguments: Of the command.
        exit_codes: With which it may end.
        kill_after: Kill it after so many seconds if it has not ended.
        variables: More environment variables.

    Raises:
        RuntimeError: It ended with another exit code.
    """
    environment = {
        **{name: value for name, value in os.environ.items() if not name.startswith("QTICKETS_")},
        "QTICKETS_HOME": str(home.absolute()),
        "QTICKETS_TOKEN": TOKEN,
        "QTICKETS_BASE_URL": server.url,
        "QTICKETS_INITIAL_BACKFILL_HOURS": "all",
        **variables,
    }
    environment.pop("CLICKHOUSE_HOST", None)
    before, started = sum(server.counters.values()), time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "pipelines/qtickets.py", *arguments, "--quiet"],
        cwd=PROJECT,
        env=environment,
    )
    killer = Timer(kill_after or 0, process.kill)
    if kill_after:
        killer.start()
    _, status, used = os.wait4(process.pid, 0)
    killer.cancel()
    seconds = time.monotonic() - started
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode not in exit_codes:
        raise RuntimeError(f"the run failed with exit code {process.returncode}")
    return Cost(
        seconds=seconds,
        cpu_seconds=used.ru_utime + used.ru_stime,
        peak_bytes=used.ru_maxrss * (1 if sys.platform == "darwin" else 1024),
        counts={"requests": sum(server.counters.values()) - before},
    )
