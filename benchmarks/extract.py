"""The suite `extract`: orders over HTTP to rows, compared with pages x latency / connections."""

import math
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from datetime import timedelta
from pathlib import Path

from qtickets_source.api.client import open_client
from qtickets_source.api.filters import Condition
from qtickets_source.observations import Observations
from qtickets_source.resources.batches import batches
from qtickets_source.rows.context import RowContext
from qtickets_source.rows.order_records import decode_order_page
from qtickets_source.rows.orders import order_tables

from .cost import Cost, measured
from .own_process import in_own_process
from .report import Growth, Measurement, Ratio, Results, exponent
from .sandbox_process import NOW, TOKEN, YEAR, sandbox_process

ORDERS = 100_000
PER_PAGE = 50
LATENCIES_MS = (200, 2000)
CONNECTIONS = (1, 4, 8, 16)
TARGET_CONNECTIONS = 8
SLOW_MS = 1000
"""Readers that wait for such responses need no processor, so they run at the same time."""


def backfill(url: str, connections: int, days: float) -> Cost:
    """Read the paid orders of the last `days`, and convert them to rows."""
    observed = Observations()
    counts = observed.counts
    client = open_client(base_url=url, token=TOKEN, connections=connections, observed=observed)
    window = [
        Condition("payed_at", ">=", NOW - timedelta(days=days)),
        Condition("payed_at", "<", NOW),
    ]
    client.count("orders", window)  # The sandbox counts the matches once, here.
    counts.requests, counts.seconds, orders = 0, 0.0, 0
    context = RowContext(b"benchmark")
    with measured() as cost:
        pages = client.list_pages("orders", window, decode_order_page)
        for batch in batches(pages):
            table, tickets = order_tables(batch, context)
            orders += len(table)
            cost.rows += len(table) + len(tickets)
    cost.counts = {
        "requests": counts.requests,
        "orders": orders,
        # On a busy machine this is more than the configured latency.
        "ms a response": round(1000 * counts.seconds / counts.requests),
    }
    return cost


def measure(scale: float, repeat: int, folder: Path, say: Callable[[str], None]) -> Results:
    """Read at several sizes, latencies and numbers of connections."""
    del folder  # This suite writes no files.
    orders = round(ORDERS * scale)
    results, plain = Results(), {}
    with sandbox_process(orders, 0) as url:
        for share in (0.01, 0.1, 1):
            cost = _best(repeat, url, 4, share)
            say(f"extract: {cost.counts['orders']:,} orders, no latency: {cost.seconds:.1f} s")
            plain[cost.counts["orders"]] = cost
    results.measurements += [
        Measurement("extract", "no latency, 4 connections", size, cost)
        for size, cost in plain.items()
    ]
    sizes = list(plain)
    processor = [cost.cpu_seconds for cost in plain.values()]
    results.growths.append(
        Growth("extract", "processor seconds", sizes, exponent(sizes, processor))
    )
    for latency in LATENCIES_MS:
        at_once = len(CONNECTIONS) if latency >= SLOW_MS else 1
        with sandbox_process(orders, latency) as url, ThreadPoolExecutor(at_once) as readers:
            # Once each: waiting takes the same time in every repetition.
            costs = list(readers.map(lambda n, url=url: _best(1, url, n, 1), CONNECTIONS))
        for connections, cost in zip(CONNECTIONS, costs, strict=True):
            read = cost.counts["orders"]
            ideal = math.ceil(read / PER_PAGE) * latency / 1000 / connections
            say(f"extract: {latency} ms, {connections}: {ideal / cost.seconds:.0%} of ideal")
            what = f"{latency} ms a response, {connections} connections"
            results.measurements.append(Measurement("extract", what, read, cost, ideal))
            if connections == TARGET_CONNECTIONS:
                results.ratios.append(
                    Ratio("extract", f"{what}: share of ideal", ideal / cost.seconds, "≥ 0.90")
                )
    return results


def _best(repeat: int, url: str, connections: int, share: float) -> Cost:
    costs = [
        in_own_process(
            "extract", "backfill", url=url, connections=connections, days=share * YEAR.days
        )
        for _ in range(repeat)
    ]
    return min(costs, key=lambda cost: cost.seconds)
