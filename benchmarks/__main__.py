"""`python -m benchmarks`: run the benchmark suites and write their results."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from . import extract, live, load, marts, reconciliation, soak, whole_run
from .report import Results, environment, markdown, write

SUITES = {
    "extract": extract.measure,
    "load": load.measure,
    "run": whole_run.measure,
    "reconcile": reconciliation.measure,
    "marts": marts.measure,
    "live": live.measure,
    "soak": soak.measure,
}
RESULTS = Path(__file__).resolve().parent / "results"


def main(
    only: Annotated[str, typer.Option(help=f"Suites to run, by commas: {','.join(SUITES)}.")] = "",
    scale: Annotated[float, typer.Option(help="Fraction of the orders: 0.1 runs a tenth.")] = 1.0,
    quick: Annotated[bool, typer.Option("--quick", help="The same as --scale 0.01.")] = False,
    repeat: Annotated[int, typer.Option(help="Repetitions; the best one counts.")] = 2,
    home: Annotated[
        Path, typer.Option(help="Folder for pages and servers: about 15 GB at full scale.")
    ] = Path("benchmark_home"),
) -> None:
    """Measure how fast the project is, compared with other implementations.

    Uses the sandbox and the embedded ClickHouse only. All suites take an hour and a half or more;
    for one hour of it, one connection waits for responses of 2 s each.
    """
    console = Console(highlight=False)
    machine = environment()
    chosen = [name for name in SUITES if not only or name in only.split(",")]
    if not chosen:
        raise typer.BadParameter(f"choose from {', '.join(SUITES)}", param_hint="--only")
    results = Results()
    for name in chosen:
        measure = SUITES[name]
        results.extend(measure(0.01 if quick else scale, repeat, home.absolute(), console.print))
        written = write(results, machine, RESULTS)
    console.print(markdown(results, machine), markup=False, soft_wrap=True)
    console.print(f"Written to {written}, and as JSON to {written.with_suffix('.json')}.")


if __name__ == "__main__":
    typer.run(main)
