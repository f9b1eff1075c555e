"""The suite `load`: from pages of orders to raw tables, in rows a second and memory.

The pages come from a file (`order_file`, `file_service`), so the service costs nothing. The time
includes JSON, checks, hashes, columns, files and inserts, and, except for `fetched_pages` and
`clickhouse_alone`, HTTP requests. Implementations alternate, each in a process of its own.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from itertools import product
from pathlib import Path

from .cost import Cost
from .order_file import order_file
from .own_process import in_own_process
from .report import Growth, Measurement, Ratio, Results, exponent

ORDERS = 1_000_000
SHARES = (0.05, 0.1, 1)

IMPLEMENTATIONS = {
    "this_project": "this project",
    "fetched_pages": "this project, from fetched pages",
    "clickhouse_alone": "ClickHouse alone, from the file",
    "by_hand": "requests and clickhouse-connect by hand",
    "stock_dlt": "stock dlt: nested dicts, merge",
}
SLOW = ("by_hand", "stock_dlt")
"""These need minutes for all orders, so they load all of them in the first repetition only."""


def run_implementation(name: str, folder: str, file_orders: int, orders: int) -> Cost:
    """Run one implementation in this process, on an empty ClickHouse.

    Raises:
        RuntimeError: It did not load all orders and tickets.
    """
    home = Path(folder) / f"home-{name}"
    shutil.rmtree(home, ignore_errors=True)
    file = order_file(Path(folder), file_orders)
    # Otherwise the first implementation would wait for the disk, and the others would not.
    file.read_through(orders)
    cost: Cost = import_module(f"benchmarks.implementations.{name}").load(file, orders, home)
    expected = orders + int(file.tickets_of(orders))
    if cost.rows != expected:
        raise RuntimeError(f"{name} loaded {cost.rows:,} rows of {expected:,}")
    shutil.rmtree(home, ignore_errors=True)
    return cost


def measure(scale: float, repeat: int, folder: Path, say: Callable[[str], None]) -> Results:
    """Run all implementations at three sizes."""
    sizes = [round(ORDERS * scale * share) for share in SHARES]
    largest = sizes[-1]
    order_file(folder, largest)
    best: dict[tuple[str, int], Cost] = {}
    for repetition in range(repeat):
        for orders, name in product(sizes, IMPLEMENTATIONS):
            if repetition and name in SLOW and orders == largest:
                continue
            cost = in_own_process(
                "load",
                "run_implementation",
                name=name,
                folder=str(folder),
                file_orders=largest,
                orders=orders,
            )
            say(f"load {repetition + 1}: {name}, {orders:,} orders: {cost.seconds:.1f} s")
            best[name, orders] = _minimum(best.get((name, orders)), cost)
    results = Results(
        [
            Measurement("load", IMPLEMENTATIONS[name], size, cost)
            for (name, size), cost in best.items()
        ]
    )
    results.ratios = _ratios({name: best[name, largest] for name in IMPLEMENTATIONS})
    costs = [best["this_project", size] for size in sizes]
    for what, values in {
        "processor seconds": [cost.all_cpu_seconds for cost in costs],
        "seconds": [cost.seconds for cost in costs],
        "peak memory": [float(cost.peak_bytes) for cost in costs],
    }.items():
        results.growths.append(Growth("load", what, sizes, exponent(sizes, values)))
    return results


def _minimum(one: Cost | None, other: Cost) -> Cost:
    """Return the minimum of each time, since disturbances only add, and the maximum of memory."""
    if one is None:
        return other
    return replace(
        one,
        seconds=min(one.seconds, other.seconds),
        cpu_seconds=min(one.cpu_seconds, other.cpu_seconds),
        server_cpu_seconds=min(one.server_cpu_seconds, other.server_cpu_seconds),
        peak_bytes=max(one.peak_bytes, other.peak_bytes),
    )


def _ratios(costs: dict[str, Cost]) -> list[Ratio]:
    """Return the ratios of the costs at the largest size."""
    ours, alone = costs["this_project"], costs["clickhouse_alone"]
    ratios = [
        Ratio("load", "rows a second, in thousands", ours.rows / ours.seconds / 1000, "≥ 30"),
        Ratio("load", "peak memory, MB", ours.peak_bytes / 1e6, "< 500"),
    ]
    for pages, cost, target in (
        ("from fetched pages", costs["fetched_pages"], "≤ 6"),
        ("with HTTP", ours, ""),
    ):
        seconds = cost.seconds / alone.seconds
        processor = cost.all_cpu_seconds / alone.all_cpu_seconds
        ratios += [
            Ratio("load", f"time relative to ClickHouse alone, {pages}", seconds, target),
            Ratio("load", f"processor time relative to ClickHouse alone, {pages}", processor, ""),
        ]
    for name, target in (("stock_dlt", "≥ 4"), ("by_hand", "≥ 1")):
        seconds = costs[name].seconds / ours.seconds
        processor = costs[name].all_cpu_seconds / ours.all_cpu_seconds
        ratios += [
            Ratio("load", f"speed relative to {name}", seconds, target),
            Ratio("load", f"processor time of {name} relative to this project", processor, ""),
        ]
    return ratios
