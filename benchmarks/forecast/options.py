"""Options of the commands that measure forecast and silence alarm."""

from typing import Annotated

import typer

Seeds = Annotated[str, typer.Option(help="Seeds, by commas. The constants were chosen on seed 1.")]
Constants = Annotated[str, typer.Option(help="JSON: constants to replace.")]
