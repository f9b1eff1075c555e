"""The suite `reconcile`: a history of five years that is equal at both ends."""

import shutil
from collections.abc import Callable
from pathlib import Path

from sandbox import World, serve

from .command import run_command
from .order_file import SEED
from .report import Measurement, Ratio, Results
from .sandbox_process import NOW, TOKEN, YEAR

ORDERS = 126_000
YEARS = 5


def measure(scale: float, repeat: int, folder: Path, say: Callable[[str], None]) -> Results:
    """A load of everything, then the command `reconcile`."""
    results = Results()
    world = World(
        orders=round(ORDERS * scale), seed=SEED, start=NOW - YEARS * YEAR, end=NOW, now=NOW
    )
    home = folder / "home-reconcile"
    shutil.rmtree(home, ignore_errors=True)
    with serve(world, token=TOKEN) as server:
        run_command(home, server)
        costs = [run_command(home, server, "reconcile") for _ in range(repeat)]
        idle = [run_command(home, server) for _ in range(repeat)]
    shutil.rmtree(home, ignore_errors=True)
    for what, measured in (("equal history", costs), ("idle run after it", idle)):
        cost = min(measured, key=lambda cost: cost.seconds)
        results.measurements.append(Measurement("reconcile", what, world.count(), cost))
        requests = cost.counts["requests"]
        say(
            f"reconcile: {what}, {world.count():,} orders: {cost.seconds:.1f} s,"
            f" {requests} requests"
        )
    requests = max(cost.counts["requests"] for cost in costs)
    results.ratios = [Ratio("reconcile", "equal history: requests", requests, "≤ 130")]
    return results
