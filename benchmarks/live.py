"""The suite `live`: how long a sale takes to the dashboard with `serve`, and what it costs.

The sandbox runs in this process, `serve` and its embedded ClickHouse in others, all on the same
cores. A sale is visible once `v_qtickets_sales_dashboard` has its tickets and all earlier ones.
"""

import json
import os
import re
import shutil
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from statistics import quantiles
from threading import Event, Thread

import requests

from local_clickhouse.local_server import find_server
from sandbox import Server, Webhooks, World, serve

from .clients import connect
from .order_file import SEED
from .report import Ratio, Results
from .sandbox_process import TOKEN, YEAR

PROJECT = Path(__file__).resolve().parents[1]
HISTORY = 100_000
STEADY_SALES, STEADY_PER_SECOND = 120, 1.0
ON_SALE_SALES, ON_SALE_SECONDS = 10_000, 600
ANSWER_MS = 200
ACKNOWLEDGED, ACKNOWLEDGED_PER_SECOND = 1500, 50
IDLE_SECONDS = 60
QUIET_SECONDS = 45
SALES_BETWEEN_ORDERS = 700
SECRET = "the secret of the cabinet"


def measure(scale: float, repeat: int, folder: Path, say: Callable[[str], None]) -> Results:
    """Steady sales, an on-sale, acknowledgements, and an idle process."""
    del repeat  # It is measured over many sales.
    now = datetime.now(timezone.utc)
    world = World(orders=round(2 * HISTORY * scale), seed=SEED, start=now - YEAR, end=now + YEAR)
    home = folder / "home-live"
    shutil.rmtree(home, ignore_errors=True)
    results = Results()
    sales = max(20, round(ON_SALE_SALES * scale))
    with (
        serve(world, token=TOKEN) as server,
        _resident(home, server) as resident,
        Webhooks(resident.hook, SECRET) as webhooks,
    ):
        world.listeners.append(webhooks.send)
        resident.wait_until_alone()
        idle = resident.idle(IDLE_SECONDS)
        steady = resident.sell(world, STEADY_SALES, STEADY_PER_SECOND)
        acknowledged = resident.acknowledge(world)
        resident.wait_until_read()
        server.latency_ms = ANSWER_MS
        before = server.counters.total()
        rush = resident.sell(world, sales, ON_SALE_SALES / ON_SALE_SECONDS)
        spent = server.counters.total() - before
        server.latency_ms = 0
        time.sleep(QUIET_SECONDS)
        warm = resident.megabytes()
    shutil.rmtree(home, ignore_errors=True)
    sweep = -(-sales // 100)
    cents = quantiles(steady.seconds, n=100)
    results.ratios = [
        Ratio("live", "an order a second, post to dashboard, p50, s", cents[49], "≤ 8"),
        Ratio("live", "an order a second, post to dashboard, p95, s", cents[94], "≤ 20"),
        Ratio("live", "acknowledgement at 50 a second, p99, ms", acknowledged * 1000, "≤ 50"),
        Ratio("live", f"on-sale of {sales:,} orders, last one visible after, s",
              rush.seconds[-1], "≤ 120"),
        Ratio("live", "on-sale, slowest order, s", max(rush.seconds), ""),
        Ratio("live", "on-sale, requests relative to one sweep", spent / sweep, "≤ 1.1"),
        Ratio("live", "idle, % of a core", idle.percent, "≤ 1"),
        Ratio("live", "idle, MB", idle.megabytes, "≤ 300"),
        Ratio("live", f"{QUIET_SECONDS} s after the last sale, MB", warm, "≤ 300"),
    ]  # fmt: skip
    for ratio in results.ratios:
        say(f"live: {ratio.what}: {ratio.value:.2f} ({ratio.target})")
    return results


@dataclass
class Sales:
    """Seconds from each sale until it was visible, in the order of the sales."""

    seconds: list[float] = field(default_factory=list)


@dataclass(frozen=True)
class Idle:
    percent: float
    megabytes: float


@dataclass(frozen=True)
class Resident:
    """A process of `serve`."""

    process: "subprocess.Popen[str]"
    address: str
    home: Path

    @property
    def hook(self) -> str:
        return f"{self.address}/webhooks/qtickets"

    def sell(self, world: World, number: int, per_second: float) -> Sales:
        """Sell at a constant rate; return when all sales are visible."""
        sold: list[tuple[float, int]] = []
        seen: list[tuple[float, int]] = []
        stop = Event()
        server = find_server(self.home, "zakaz")
        assert server is not None
        client = connect(server)

        def visible() -> int:
            sql = "SELECT sum(tickets_sold_14d) FROM zakaz.v_qtickets_sales_dashboard"
            return int(client.query(sql).result_rows[0][0])

        def look() -> None:
            while not stop.wait(0.2):
                seen.append((time.monotonic(), visible()))

        gap = YEAR.total_seconds() / world.count()
        base = visible()
        looking = Thread(target=look, daemon=True)
        looking.start()
        began = time.monotonic()
        for index in range(number):
            time.sleep(max(0.0, began + index / per_second - time.monotonic()))
            sold.append((time.monotonic(), base + 2 * (index + 1)))
            # Ids follow the time of payment, and between two orders of the world is room for some.
            earlier = index // SALES_BETWEEN_ORDERS * 3 * gap
            world.sell(tickets=2, at=world.timestamp - round(earlier))
        deadline = time.monotonic() + 300
        while (not seen or seen[-1][1] < sold[-1][1]) and time.monotonic() < deadline:
            time.sleep(0.1)
        stop.set()
        looking.join()
        client.close()
        found, place = Sales(), 0
        for at, tickets in sold:
            while place < len(seen) - 1 and seen[place][1] < tickets:
                place += 1
            found.seconds.append(seen[place][0] - at)
        return found

    def acknowledge(self, world: World) -> float:
        """Return the 99th percentile of acknowledgements, in seconds, while orders are read."""
        first = world.sell()
        done = subprocess.run(
            [
                *(sys.executable, "-m", "benchmarks.post_webhooks", self.hook, SECRET, str(first)),
                *(str(ACKNOWLEDGED), str(ACKNOWLEDGED_PER_SECOND)),
            ],
            cwd=PROJECT,
            capture_output=True,
            text=True,
            check=True,
        )
        seconds: list[float] = json.loads(done.stdout)
        return quantiles(seconds, n=100)[98]

    def idle(self, seconds: int) -> Idle:
        """Return what the process uses while nothing happens, without a worker."""
        before = self._cpu_seconds()
        time.sleep(seconds)
        used = self._cpu_seconds() - before
        return Idle(100 * used / seconds, self.megabytes())

    def megabytes(self) -> float:
        """Return the memory (PSS) of the process and of its worker, without ClickHouse."""
        kilobytes = 0
        for pid in (self.process.pid, *self._workers()):
            rollup = Path(f"/proc/{pid}/smaps_rollup").read_text()
            found = re.search(r"^Pss:\s+(\d+)", rollup, re.M)
            assert found
            kilobytes += int(found[1])
        return kilobytes / 1024

    def _workers(self) -> list[str]:
        children = Path(f"/proc/{self.process.pid}/task/{self.process.pid}/children")
        return [
            child
            for child in children.read_text().split()
            if b"spawn_main" in Path(f"/proc/{child}/cmdline").read_bytes()
        ]

    def wait_until_alone(self) -> None:
        """Wait until the worker has ended, which it does after five minutes without work."""
        for _ in range(400):
            if not self._workers():
                return
            time.sleep(1)

    def wait_until_read(self) -> None:
        """Wait until no order waits, for two minutes."""
        for _ in range(240):
            text = requests.get(f"{self.address}/metrics", timeout=30).text
            if "\nqtickets_pending_orders 0\n" in text:
                return
            time.sleep(0.5)

    def _cpu_seconds(self) -> float:
        fields = Path(f"/proc/{self.process.pid}/stat").read_text().rpartition(")")[2].split()
        return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


@contextmanager
def _resident(home: Path, server: Server) -> Iterator[Resident]:
    """Start `serve`, and wait until its first run has ended."""
    process = subprocess.Popen(
        [sys.executable, PROJECT / "pipelines" / "qtickets.py", "serve"],
        env={
            "PATH": os.environ["PATH"],
            "HOME": str(home),
            "QTICKETS_HOME": str(home),
            "QTICKETS_TOKEN": TOKEN,
            "QTICKETS_BASE_URL": server.url,
            "QTICKETS_INITIAL_BACKFILL_HOURS": "all",
            "QTICKETS_LISTEN": "127.0.0.1:0",
            "QTICKETS_WEBHOOK_SECRET": SECRET,
            # Not within the measurement.
            "QTICKETS_EVERY_MINUTES": "1440",
        },
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert process.stdout
        address = ""
        for line in process.stdout:
            if found := re.search(r"Webhooks: (http://[^/]+)", line):
                address = found[1]
                break
        Thread(target=process.stdout.read, daemon=True).start()
        deadline = time.monotonic() + timedelta(minutes=10).total_seconds()
        while requests.get(f"{address}/ready", timeout=30).status_code != 200:
            if time.monotonic() > deadline:
                raise RuntimeError("the first run did not end within ten minutes")
            time.sleep(0.5)
        yield Resident(process, address, home)
    finally:
        process.terminate()
        process.wait(60)
