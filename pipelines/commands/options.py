"""What the lesser commands share: an option, and how they end when something fails."""

from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipelines.errors import RunError

EnvFile = Annotated[
    Path | None, typer.Option("--env-file", help="Read variables from this file, not .env.")
]


@contextmanager
def failures_in_one_line() -> Iterator[None]:
    """Ends the command with the one line of a RunError on stderr, and with its exit code."""
    try:
        yield
    except RunError as error:
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]Failed:[/] {error}")
        raise typer.Exit(int(error.exit_code)) from None
