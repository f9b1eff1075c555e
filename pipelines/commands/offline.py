"""`--offline [CASSETTE]`: replay recorded answers instead of calling the service."""

from pathlib import Path
from typing import Annotated, Any

import typer

from pipelines.commands.command import PlainFlags

FLAG = "--offline"

Offline = Annotated[
    Path | None,
    typer.Option(
        FLAG,
        metavar="[CASSETTE]",
        help="Replay recorded answers; the network is not used. Without a path:"
        " cassettes/account.yaml, a small made-up organiser.",
    ),
]


class OfflineCommand(PlainFlags):
    """A command whose `--offline` works without a value too, which typer's options do not."""

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        return super().parse_args(ctx, with_cassette(args))


def with_cassette(arguments: list[str]) -> list[str]:
    """Return the arguments, with the project's recording after an `--offline` without a path."""
    if FLAG not in arguments:
        return arguments
    # Imported late: it imports pydantic, which `--help` does not need.
    from pipelines.configuration.environment import CASSETTE

    place = arguments.index(FLAG) + 1
    if place < len(arguments) and not arguments[place].startswith("-"):
        return arguments
    return [*arguments[:place], str(CASSETTE), *arguments[place:]]


def overrides(offline: Path | None) -> dict[str, Any]:
    """Return the settings that the option sets."""
    return {"qtickets_offline": offline} if offline else {}
