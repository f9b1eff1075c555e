"""The suite `run`: the command as a scheduler starts it, without and with new orders."""

import shutil
from collections.abc import Callable
from datetime import timedelta
from pathlib import Path

from sandbox import World, serve

from .command import run_command
from .cost import Cost
from .order_file import SEED
from .report import Growth, Measurement, Ratio, Results, exponent
from .sandbox_process import NOW, TOKEN, YEAR

ORDERS = 100_000
NEW_ORDERS, LATE_CHANGES = 800, 50
NO_CHANGES = "nothing new"
CHANGES = f"{NEW_ORDERS} new orders, {LATE_CHANGES} late refunds"


def measure(scale: float, repeat: int, folder: Path, say: Callable[[str], None]) -> Results:
    """At three sizes of history: a first run, runs without changes, and a run with changes."""
    results = Results()
    growing: dict[str, dict[int, Cost]] = {NO_CHANGES: {}, CHANGES: {}}
    for share in (0.01, 0.1, 1.0):
        # One year of sales in the past, and one in the future, which is not visible yet.
        world = World(
            orders=round(2 * ORDERS * scale * share),
            seed=SEED,
            start=NOW - YEAR,
            end=NOW + YEAR,
            now=NOW,
        )
        size = world.count()
        home = folder / "home-run"
        shutil.rmtree(home, ignore_errors=True)
        with serve(world, token=TOKEN) as server:
            steps = {"first run": [run_command(home, server)]}
            steps[f"{NO_CHANGES}, first time"] = [run_command(home, server)]
            steps[NO_CHANGES] = [run_command(home, server) for _ in range(max(2, repeat))]
            _change(world)
            steps[CHANGES] = [run_command(home, server)]
        shutil.rmtree(home, ignore_errors=True)
        for what, costs in steps.items():
            cost = min(costs, key=lambda cost: cost.seconds)
            cost.cpu_seconds = min(cost.cpu_seconds for cost in costs)
            results.measurements.append(Measurement("run", what, size, cost))
            say(f"run: {what}, {size:,} orders: {cost.seconds:.1f} s, CPU {cost.cpu_seconds:.1f}")
            if what in growing:
                growing[what][size] = cost
    largest = growing[NO_CHANGES][size]
    results.ratios = [
        Ratio("run", f"{NO_CHANGES}: seconds", largest.seconds, "≤ 6"),
        Ratio("run", f"{NO_CHANGES}: processor seconds", largest.cpu_seconds, "≤ 5"),
    ]
    for what, by_size in growing.items():
        seconds = [cost.cpu_seconds for cost in by_size.values()]
        growth = exponent(list(by_size), seconds)
        results.growths.append(Growth("run", f"{what}: processor", list(by_size), growth))
    return results


def _change(world: World) -> None:
    """Refund some old orders and sell new ones."""
    paid = [
        order["id"]
        for order in world.orders(0, 20 * LATE_CHANGES)
        if order["payed"]
        and not any(ticket["deleted_at"] or ticket["refunded_at"] for ticket in order["baskets"])
    ]
    for order_id in paid[:LATE_CHANGES]:
        world.refund(order_id)
    for number in range(NEW_ORDERS):
        world.sell(tickets=2, at=NOW - timedelta(seconds=NEW_ORDERS - number))
