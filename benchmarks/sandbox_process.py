"""The sandbox in a process of its own, so that its work is not measured."""

import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone

import requests

from .order_file import SEED

TOKEN = "sandbox-token"
NOW = datetime(2026, 6, 15, 12, tzinfo=timezone.utc)
YEAR = timedelta(days=365)


@contextmanager
def sandbox_process(orders: int, latency_ms: int) -> Iterator[str]:
    """Yield the URL of an API with `orders` orders in a year and responses after `latency_ms`."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-u", "-m", "sandbox", "--orders", str(orders), "--token", TOKEN),
            *("--port", "0", "--latency-ms", str(latency_ms), "--now", NOW.isoformat()),
            *("--start", (NOW - YEAR).isoformat(), "--end", NOW.isoformat(), "--seed", str(SEED)),
        ],
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    try:
        assert process.stdout is not None
        # Its first line ends with its URL.
        url = process.stdout.readline().split()[-1]
        _wait_for(url)
        yield url
    finally:
        process.terminate()
        process.wait()


def _wait_for(url: str) -> None:
    stats = url.removesuffix("/api/rest/v1") + "/sandbox/stats"
    for _ in range(200):
        try:
            requests.get(stats, timeout=5)
            return
        except requests.ConnectionError:
            time.sleep(0.1)
    raise RuntimeError(f"the sandbox did not respond at {stats} within 20 s")
