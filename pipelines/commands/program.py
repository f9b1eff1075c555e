"""The program: its commands, and `run` if none is named."""

import inspect
from collections.abc import Collection, Sequence
from typing import Any

import typer
from typer.core import TyperGroup, TyperOption

from pipelines.commands.backfill import backfill
from pipelines.commands.backup import backup, restore
from pipelines.commands.bootstrap import bootstrap, drop_demo
from pipelines.commands.check import check
from pipelines.commands.command import SHARED, Command, epilog, expect, unwrapped
from pipelines.commands.compact import compact
from pipelines.commands.config import config
from pipelines.commands.dashboard import dashboard, docs
from pipelines.commands.exit_codes import MEANINGS
from pipelines.commands.move import move
from pipelines.commands.probe import probe
from pipelines.commands.reconcile import reconcile
from pipelines.commands.run import run
from pipelines.commands.serve import serve
from pipelines.commands.verify import verify

COMMANDS: dict[str, tuple[Command, ...]] = {
    "Start here": (probe, run, serve, check, backfill, dashboard),
    "Operations": (config, reconcile, bootstrap, compact, backup, restore, move, verify),
    "Other": (docs, drop_demo),
}
"""The commands, by the panel of `--help` that lists them."""

HELP = """Load ticket sales from QTickets into ClickHouse, and build the marts.

Without a command it is `run`. Every command has the options --env-file, --json-logs,
-v/--verbose and -q/--quiet, before or after its name."""

EXAMPLES = {
    "": "one scheduled run; without a token a demo with made-up sales",
    "--dry-run": "count what a run would load; write nothing",
    "--offline": "a full run on recorded answers, without network",
    "backfill --since 2024-01-01": "load history; if interrupted, the next run continues",
    "serve": "stay: scheduled runs, webhooks, the live page",
    "check": "is everything in order? exit code 0 or 1",
    "config": "every setting and where it came from",
    "COMMAND --help": "options, defaults and examples of a command",
}


class RunByDefault(TyperGroup):
    """A group of commands that runs `run` if none is named, with its options if any."""

    def __init__(self, **given: Any) -> None:
        super().__init__(**given)
        for option in self.params:
            if isinstance(option, TyperOption):
                # The help of each command has them; that of the program lists the commands first.
                option.hidden = True

    def parse_args(self, ctx: Any, args: list[str]) -> list[str]:
        options = [each for each in self.get_params(ctx) if isinstance(each, TyperOption)]
        return super().parse_args(ctx, with_command(args, options, default=run.name))


def with_command(
    arguments: Sequence[str], options: Collection[TyperOption], *, default: str
) -> list[str]:
    """Return the arguments with the default command where they name none.

    Args:
        arguments: The arguments of the program.
        options: The options that may precede a command.
        default: The command to insert after them.
    """
    flags = {name for option in options if option.is_flag for name in option.opts}
    with_value = {name for option in options if not option.is_flag for name in option.opts}
    letters = {flag[1] for flag in flags if len(flag) == 2}
    place = 0
    while place < len(arguments):
        argument = arguments[place]
        if argument in with_value:
            place += 2
        elif (
            argument in flags
            or argument.partition("=")[0] in with_value
            or (len(argument) > 1 and argument[0] == "-" and letters.issuperset(argument[1:]))
        ):
            place += 1
        elif argument.startswith("-"):
            break
        else:
            return list(arguments)
    if place > len(arguments):
        # The value of the last option is missing, which typer reports.
        return list(arguments)
    return [*arguments[:place], default, *arguments[place:]]


def _keep_for_the_command(context: typer.Context, **given: Any) -> None:
    """Make the options that precede the command the defaults of those that follow it."""
    defaults = {name: value for name, value in given.items() if value}
    context.default_map = {
        command.name: defaults for commands in COMMANDS.values() for command in commands
    }


def make_app() -> typer.Typer:
    """Return the program."""
    program = typer.Typer(
        cls=RunByDefault,
        add_completion=False,
        pretty_exceptions_enable=False,
        help=unwrapped(HELP),
        epilog=epilog(EXAMPLES, MEANINGS),
        subcommand_metavar="[COMMAND] [ARGS]...",
    )
    context = inspect.Parameter(
        "context", inspect.Parameter.POSITIONAL_OR_KEYWORD, annotation=typer.Context
    )
    expect(_keep_for_the_command, [context, *SHARED])
    program.callback()(_keep_for_the_command)
    for panel, commands in COMMANDS.items():
        for command in commands:
            program.command(
                command.name,
                cls=command.cls,
                help=command.help,
                epilog=command.epilog,
                rich_help_panel=panel,
            )(command.function)
    return program


app = make_app()
