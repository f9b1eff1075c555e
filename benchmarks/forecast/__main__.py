"""`python -m benchmarks.forecast`: errors of the forecast on simulated accounts."""

import json
import time
from dataclasses import asdict, replace
from pathlib import Path
from typing import Annotated

import typer
from clickhouse_connect.driver.client import Client

from .errors import HORIZONS, Errors, errors, mean
from .models import build, constants_of, fill
from .options import Constants, Seeds
from .reliability import Outcomes, outcomes
from .reliability import table as reliability_table
from .server import empty_server
from .worlds import FAMILIES, World, world

FIGURES = (
    "wape",
    "wape_curve",
    "wape_last_week",
    "bias",
    "median_error",
    "coverage",
    "width",
    "uncompared",
)


def measure(
    client: Client, seeds: list[int], constants: dict[str, float], *, halls: bool
) -> tuple[list[Errors], list[Outcomes]]:
    """Return the errors and the outcomes on every family, for each seed."""
    rows, found = [], []
    used = constants_of("forecast_constants") | constants
    for seed in seeds:
        for family in FAMILIES:
            prefix = f"{family}_{seed}_"
            fill(client, prefix, world(family, seed), halls=halls)
            build(client, prefix, constants)
            rows.extend(errors(client, prefix, family))
            found.extend(outcomes(client, prefix, used["offset"], used["sold_out_from"]))
    return rows, found


def build_cost(client: Client, seed: int) -> tuple[int, float]:
    """Return shows and seconds of a build for all families as one account."""
    account = World("all")
    for family in FAMILIES:
        part = world(family, seed)
        first = len(account.shows)
        account.shows += [
            replace(show, show_id=show.show_id + first, event_id=f"{family} {show.event_id}")
            for show in part.shows
        ]
        account.sales += [replace(sale, show_id=sale.show_id + first) for sale in part.sales]
    fill(client, "all_", account)
    started = time.perf_counter()
    build(client, "all_")
    return len(account.shows), time.perf_counter() - started


def table(rows: list[Errors]) -> str:
    """Return Markdown: the mean of the families at each horizon, and the families at 14 and 7."""
    lines = [f"| days | family | shows | {' | '.join(FIGURES)} |", "| --- " * 11 + "|"]
    for days in HORIZONS:
        shows = sum(row.shows for row in rows if row.horizon == days)
        values = " | ".join(f"{mean(rows, days, name):.3f}" for name in FIGURES)
        lines.append(f"| {days} | mean | {shows} | {values} |")
    for days in (14, 7):
        for family in FAMILIES:
            own = [row for row in rows if row.family == family]
            shows = sum(row.shows for row in own if row.horizon == days)
            values = " | ".join(f"{mean(own, days, name):.3f}" for name in FIGURES)
            lines.append(f"| {days} | {family} | {shows} | {values} |")
    return "\n".join(lines)


def main(
    seeds: Seeds = "101,102",
    constants: Constants = "{}",
    halls: Annotated[bool, typer.Option(help="Whether the seats of halls are known.")] = True,
    output: Annotated[Path | None, typer.Option(help="File for the rows, as JSON.")] = None,
) -> None:
    """Build the forecast on the worlds of `seeds` and print its errors."""
    chosen = [int(seed) for seed in seeds.split(",")]
    with empty_server() as client:
        rows, found = measure(client, chosen, json.loads(constants), halls=halls)
        shows, seconds = build_cost(client, chosen[0])
    typer.echo(table(rows))
    typer.echo(f"\n{reliability_table(found)}")
    typer.echo(f"\nA build for {shows} shows: {seconds:.1f} s, within 1 GB and 2 threads.")
    if output:
        output.write_text(json.dumps([asdict(row) for row in rows], indent=1), encoding="utf-8")


if __name__ == "__main__":
    typer.run(main)
