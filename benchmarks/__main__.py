"""The benchmarks in one run, side by side, as ratios. See `--help`."""

from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from . import extract, load, marts, whole_run
from .report import Results, environment, markdown, write

SUITES = {
    "extract": extract.measure,
    "load": load.measure,
    "run": whole_run.measure,
    "marts": marts.measure,
}
HERE = Path(__file__).resolve().parent


def main(
    only: Annotated[str, typer.Option(help="Some of them: extract,load,run,marts.")] = "",
    scale: Annotated[float, typer.Option(help="Share of the orders.")] = 1.0,
    quick: Annotated[bool, typer.Option("--quick", help="A hundredth of the orders.")] = False,
    repeat: Annotated[int, typer.Option(help="Turns; the best one counts.")] = 2,
    home: Annotated[
        Path, typer.Option(help="Where pages and servers are kept: some 15 GB at full scale.")
    ] = Path("benchmark_home"),
) -> None:
    """Measures how fast the project is, beside other ways of doing the same.

    On the sandbox and the embedded ClickHouse: nothing else is needed, nothing else is touched.
    All of it takes an hour and a half or more: for an hour of it one connection waits for answers
    that take 2 s each. `--scale 0.1` takes a tenth.
    """
    console = Console(highlight=False)
    machine = environment()
    chosen = [name for name in SUITES if not only or name in only.split(",")]
    if not chosen:
        raise typer.BadParameter(f"there are {', '.join(SUITES)}", param_hint="--only")
    results = Results()
    for name in chosen:
        measure = SUITES[name]
        results.extend(measure(0.01 if quick else scale, repeat, home.absolute(), console.print))
        written = write(results, machine, HERE / "results")
    console.print(markdown(results, machine), markup=False, soft_wrap=True)
    console.print(f"Written to {written}, and as JSON beside it.")


if __name__ == "__main__":
    typer.run(main)
