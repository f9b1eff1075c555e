"""A command: a function with options of its own, to which those of every command are added."""

import inspect
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import wraps
from typing import Any

from typer.core import TyperCommand, TyperOption

from pipelines.commands.exit_codes import MEANINGS
from pipelines.commands.options import Options, one_line_errors
from pipelines.errors import INTERRUPTED, ExitCode

PROGRAM = "python pipelines/qtickets.py"

SHARED = [
    parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
    for parameter in inspect.signature(Options).parameters.values()
]
"""The options of every command, as parameters of a function."""

ALWAYS = (ExitCode.OK, ExitCode.BUG, ExitCode.USAGE)


class PlainFlags(TyperCommand):
    """A command whose help shows flags without a type; `--dry-run <bool>` looks like a value."""

    def get_params(self, ctx: Any) -> list[Any]:
        parameters = super().get_params(ctx)
        for parameter in parameters:
            if isinstance(parameter, TyperOption) and parameter.is_flag:
                parameter.metavar = ""
        return parameters


@dataclass(frozen=True)
class Command:
    """A command of the program.

    Attributes:
        name: Its name on the command line.
        function: What typer calls, with the options of every command added.
        examples: By arguments of the program, what they do.
        exit_codes: The exit codes with which it may end.
        cls: The class with which its arguments are parsed.
    """

    name: str
    function: Callable[..., None]
    examples: Mapping[str, str]
    exit_codes: tuple[int, ...]
    cls: type[TyperCommand]

    @property
    def help(self) -> str:
        """The beginning of its `--help`: the docstring of its function."""
        return unwrapped(inspect.getdoc(self.function) or "")

    @property
    def epilog(self) -> str:
        """The end of its `--help`: examples and exit codes."""
        return epilog(self.examples, self.exit_codes)


def command(
    *fails_with: ExitCode,
    examples: Mapping[str, str],
    name: str | None = None,
    cls: type[TyperCommand] = PlainFlags,
) -> Callable[[Callable[..., None]], Command]:
    """Make a command of a function whose first argument is `Options`.

    The function's docstring is the help text. Its `RunError`s become one line and an exit code.

    Args:
        fails_with: Exit codes that not every command has.
        examples: By arguments of the program, what they do.
        name: The name on the command line; otherwise that of the function.
        cls: The class with which the arguments are parsed.
    """

    def decorate(function: Callable[..., None]) -> Command:
        own = [
            parameter.replace(kind=inspect.Parameter.KEYWORD_ONLY)
            for parameter in list(inspect.signature(function).parameters.values())[1:]
        ]

        @wraps(function)
        def call(**given: Any) -> None:
            options = Options(**{shared.name: given.pop(shared.name) for shared in SHARED})
            with one_line_errors(verbose=options.verbose):
                options.set_up_logs()
                function(options, **given)

        expect(call, [*own, *SHARED])
        codes = (*ALWAYS, *sorted(fails_with), INTERRUPTED)
        return Command(name or function.__name__, call, examples, codes, cls)

    return decorate


def expect(function: Callable[..., None], parameters: list[inspect.Parameter]) -> None:
    """Declare the parameters of a function that takes any, as typer reads them."""
    function.__signature__ = inspect.Signature(parameters)  # type: ignore[attr-defined]
    function.__annotations__ = {each.name: each.annotation for each in parameters}


def unwrapped(text: str) -> str:
    """Return the text with each paragraph on one line, for the terminal to wrap."""
    return "\n\n".join(" ".join(paragraph.split()) for paragraph in text.split("\n\n"))


def epilog(examples: Mapping[str, str], exit_codes: Iterable[int]) -> str:
    """Return examples and exit codes as the end of a help text."""
    lines = ["Examples:"]
    for arguments, meaning in examples.items():
        lines += ["", f"  # {meaning}", f"  {PROGRAM} {arguments}".rstrip()]
    lines += ["", "Exit codes:", ""]
    lines += [f"  {int(code):>3}  {MEANINGS[code]}" for code in exit_codes]
    return "\n".join(lines)
