"""How fast the service is read: requests, seconds, and how near to the ideal.

    python -m benchmarks.extract [--orders 100000]

The sandbox answers from a process of its own, the marts are not built. The ideal of a backfill is
pages x latency / connections.
"""

import math
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import requests
import typer
from rich.console import Console
from rich.table import Table

from pipelines.run import RunReport, run
from pipelines.settings import Settings
from qtickets_source.client import open_client
from qtickets_source.query import Condition
from sandbox import World, serve

TOKEN = "sandbox-token"
NOW = datetime(2026, 6, 15, 12, tzinfo=timezone.utc)
YEAR = timedelta(days=365)


@contextmanager
def sandbox_process(orders: int, latency_ms: int) -> Iterator[str]:
    """The address of a sandbox in a process of its own."""
    process = subprocess.Popen(
        [
            *(sys.executable, "-u", "-m", "sandbox", "--orders", str(orders), "--token", TOKEN),
            *("--port", "8097", "--latency-ms", str(latency_ms), "--now", NOW.isoformat()),
            *("--start", (NOW - YEAR).isoformat(), "--end", NOW.isoformat()),
        ],
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    url = "http://127.0.0.1:8097"
    try:
        for _ in range(200):
            try:
                requests.get(f"{url}/sandbox/stats", timeout=5)
                break
            except requests.ConnectionError:
                time.sleep(0.1)
        yield f"{url}/api/rest/v1"
    finally:
        process.terminate()
        process.wait()


def backfill_client(orders: int, latency_ms: int, connections: int) -> tuple[int, float]:
    """(orders, seconds) of reading every paid order of a year by page."""
    with sandbox_process(orders, latency_ms) as url:
        client = open_client(base_url=url, token=TOKEN, connections=connections)
        window = [
            Condition("payed_at", ">=", NOW - 2 * YEAR),
            Condition("payed_at", "<", NOW),
        ]
        client.count("orders", window)  # the sandbox works out its answer once
        started = time.monotonic()
        read = sum(len(page) for page in client.listed("orders", window))
        return read, time.monotonic() - started


def load_runs() -> Iterator[tuple[str, RunReport]]:
    """A first run, one with nothing new, one with 800 new orders and 50 late changes."""
    world = World(orders=20_000, seed=11, start=NOW - YEAR, end=NOW + YEAR, now=NOW)
    with TemporaryDirectory() as home, serve(world, token=TOKEN) as server:

        def once() -> RunReport:
            given: dict[str, Any] = {
                "qtickets_token": TOKEN,
                "qtickets_base_url": server.url,
                "qtickets_home": Path(home),
                "qtickets_initial_backfill_hours": "all",
            }
            return run(Settings(**given), Console(quiet=True), skip_marts=True)

        yield "first run, 10,000 orders", once()
        yield "nothing new", once()
        paid = [
            order["id"]
            for order in world.orders(0, 4000)
            if order["payed"]
            and not any(
                ticket["deleted_at"] or ticket["refunded_at"] for ticket in order["baskets"]
            )
        ]
        for order_id in paid[:50]:
            world.refund(order_id)
        for minute in range(800):
            world.sell(tickets=2, at=NOW - timedelta(seconds=800 - minute))
        yield "800 new orders, 50 late refunds", once()


def main(orders: Annotated[int, typer.Option(help="Orders of the backfill.")] = 100_000) -> None:
    console = Console()
    table = Table("what", "orders", "seconds", "orders/s", "of ideal")
    for latency, connections, size in ((0, 4, orders), (200, 8, orders), (200, 1, orders // 10)):
        read, seconds = backfill_client(size, latency, connections)
        ideal = math.ceil(read / 50) * latency / 1000 / connections
        table.add_row(
            f"backfill, {latency} ms an answer, {connections} connections",
            f"{read:,}",
            f"{seconds:.1f}",
            f"{read / seconds:,.0f}",
            f"{ideal / seconds:.0%}" if latency else "",
        )
    for name, report in load_runs():
        table.add_row(
            f"{name}: {report.load.counts.requests} requests",
            f"{report.load.rows['orders']:,}",
            f"{report.seconds['load']:.1f}",
            "",
            "",
        )
    console.print(table)


if __name__ == "__main__":
    typer.run(main)
