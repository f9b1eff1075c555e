"""From pages to raw tables: rows a second, and memory, beside other ways of doing it.

The bytes of the pages are there already (`order_file`, `file_service`), so what is measured is all
that happens to them: JSON, checks, hashes, columns, files, inserts. And, but for `fetched_pages`
and ClickHouse alone, what it costs to ask for them with `requests`. Contestants take turns.
"""

import shutil
from collections.abc import Callable
from dataclasses import replace
from importlib import import_module
from itertools import product
from pathlib import Path

from .cost import Cost
from .order_file import order_file
from .process import in_own_process
from .report import Growth, Measurement, Ratio, Results, exponent

ORDERS = 1_000_000
SHARES = (0.05, 0.1, 1)

CONTESTANTS = {
    "product": "this project",
    "fetched_pages": "this project, from fetched pages",
    "clickhouse_alone": "ClickHouse alone, from the file",
    "by_hand": "requests and clickhouse-connect by hand",
    "plain_dlt": "dlt, nested dicts, merge",
}
SLOW = ("by_hand", "plain_dlt")
"""All orders take these minutes: they load them in the first turn only."""


def contestant(name: str, folder: str, file_orders: int, orders: int) -> Cost:
    """Runs one contestant in this process, on an empty ClickHouse."""
    home = Path(folder) / f"home-{name}"
    shutil.rmtree(home, ignore_errors=True)
    file = order_file(Path(folder), file_orders)
    # The first contestant would wait for the disk, the others not.
    file.read_through(orders)
    cost: Cost = import_module(f"benchmarks.contestants.{name}").load(file, orders, home)
    expected = orders + int(file.tickets_of(orders))
    if cost.rows != expected:
        raise RuntimeError(f"{name} loaded {cost.rows:,} rows of {expected:,}")
    shutil.rmtree(home, ignore_errors=True)
    return cost


def measure(scale: float, repeat: int, folder: Path, say: Callable[[str], None]) -> Results:
    """All contestants at three sizes."""
    sizes = [round(ORDERS * scale * share) for share in SHARES]
    largest = sizes[-1]
    order_file(folder, largest)
    best: dict[tuple[str, int], Cost] = {}
    for turn in range(repeat):
        for orders, name in product(sizes, CONTESTANTS):
            if turn and name in SLOW and orders == largest:
                continue
            cost = in_own_process(
                "load",
                "contestant",
                name=name,
                folder=str(folder),
                file_orders=largest,
                orders=orders,
            )
            say(f"load {turn + 1}: {name}, {orders:,} orders: {cost.seconds:.1f} s")
            best[name, orders] = _cheaper(best.get((name, orders)), cost)
    results = Results(
        [Measurement("load", CONTESTANTS[name], size, cost) for (name, size), cost in best.items()]
    )
    results.ratios = _ratios({name: best[name, largest] for name in CONTESTANTS})
    costs = [best["product", size] for size in sizes]
    for what, values in {
        "seconds of a processor": [cost.all_cpu_seconds for cost in costs],
        "seconds": [cost.seconds for cost in costs],
        "peak memory": [float(cost.peak_bytes) for cost in costs],
    }.items():
        results.growths.append(Growth("load", what, sizes, exponent(sizes, values)))
    return results


def _cheaper(one: Cost | None, other: Cost) -> Cost:
    """The best of both, each figure by itself: what disturbs only ever adds."""
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
    """Of what each took at the largest size."""
    ours, alone = costs["product"], costs["clickhouse_alone"]
    ratios = [
        Ratio("load", "rows a second, in thousands", ours.rows / ours.seconds / 1000, "≥ 30"),
        Ratio("load", "peak memory, MB", ours.peak_bytes / 1e6, "≤ 600"),
    ]
    for whose, mine, target in (
        ("from fetched pages", costs["fetched_pages"], "≤ 3"),
        ("with HTTP", ours, ""),
    ):
        seconds = mine.seconds / alone.seconds
        processor = mine.all_cpu_seconds / alone.all_cpu_seconds
        ratios += [
            Ratio("load", f"time, over ClickHouse alone, {whose}", seconds, target),
            Ratio("load", f"processor time, over ClickHouse alone, {whose}", processor, ""),
        ]
    for name, target in (("plain_dlt", "≥ 4"), ("by_hand", "≥ 1")):
        seconds = costs[name].seconds / ours.seconds
        processor = costs[name].all_cpu_seconds / ours.all_cpu_seconds
        ratios += [
            Ratio("load", f"times as fast as {name}", seconds, target),
            Ratio("load", f"times less processor time than {name}", processor, ""),
        ]
    return ratios
