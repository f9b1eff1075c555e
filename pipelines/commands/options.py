"""Options that every command has, and the settings, console and errors that follow from them."""

import logging
import os
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from enum import StrEnum
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.console import Console
from rich.markup import escape

from pipelines.errors import (
    INTERRUPTED,
    ConfigurationError,
    OutOfMemoryError,
    RunError,
    system_error,
)
from pipelines.logs import set_up_logs

if TYPE_CHECKING:
    from pipelines.configuration.environment import Settings

LOG_WIDTH = 300
PANEL = "Options of every command"


class OutputFormat(StrEnum):
    """For people, or for programs."""

    TABLE = "table"
    JSON = "json"


Format = Annotated[OutputFormat, typer.Option("--format", help="For people, or for programs.")]


@dataclass(frozen=True)
class Options:
    """The options of every command, given before or after its name."""

    env_file: Annotated[
        Path | None,
        typer.Option(
            "--env-file",
            metavar="PATH",
            help="File of variables.",
            show_default=".env in the working folder",
            rich_help_panel=PANEL,
        ),
    ] = None
    json_logs: Annotated[
        bool,
        typer.Option(
            "--json-logs",
            help="Write log lines to stderr as JSON objects.",
            rich_help_panel=PANEL,
        ),
    ] = False
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose",
            "-v",
            help="Log every request, and the traceback of an error.",
            rich_help_panel=PANEL,
        ),
    ] = False
    quiet: Annotated[
        bool,
        typer.Option(
            "--quiet",
            "-q",
            help="Print nothing unless something fails.",
            rich_help_panel=PANEL,
        ),
    ] = False

    @cached_property
    def console(self) -> Console:
        """The console of the command: stdout, silent if `--quiet`."""
        console = Console(highlight=False, soft_wrap=True, quiet=self.quiet)
        if not console.is_terminal:
            # A log has no width to wrap the cells of tables to.
            console.width = LOG_WIDTH
        return console

    def set_up_logs(self) -> None:
        """Set up the log on stderr.

        Raises:
            ConfigurationError: `--quiet` and `--verbose` together.
        """
        set_up_logs(verbose=self.verbose, quiet=self.quiet, as_json=self.json_logs)
        if self.quiet and self.verbose:
            raise ConfigurationError("--quiet, --verbose: one at a time.")

    def read_settings(
        self, *, writes: bool = False, alerts: bool = False, **overrides: Any
    ) -> "Settings":
        """Read the settings.

        Args:
            writes: Whether the command writes, which `DRY_RUN=true` forbids.
            alerts: Whether an invalid configuration is alerted, if it says where alerts go.
            overrides: Settings given by options of the command.

        Raises:
            ConfigurationError: Naming every variable that is wrong, and what is expected.
        """
        from pipelines.configuration.environment import read_settings

        try:
            settings = read_settings(self.env_file, **overrides)
        except ConfigurationError as error:
            if alerts:
                from pipelines.operations.alerts import alert_configuration

                alert_configuration(self.env_file, error)
            raise
        if writes and settings.dry_run:
            raise ConfigurationError(
                "DRY_RUN=true: this command writes. Only `run` can be a dry run; unset DRY_RUN."
            )
        return settings

    def announce(self, settings: "Settings", *, loads: bool = True) -> "Settings":
        """Print whose data are read and, if they are loaded, where they go.

        Returns:
            The settings; with a recording, `REPORT_NOW` is its time.

        Raises:
            ConfigurationError: The recording cannot be read.
        """
        from pipelines.summary import announce

        if settings.qtickets_offline:
            from pipelines.loading.service import at_recording

            settings = at_recording(settings)
        announce(settings, self.console, loads=loads)
        return settings


@contextmanager
def one_line_errors(*, verbose: bool) -> Iterator[None]:
    """Print an expected error as one line on stderr, and exit with its code."""
    try:
        yield
    except RunError as error:
        _print_error(error, verbose=verbose)
        raise typer.Exit(int(error.exit_code)) from None
    except (OSError, MemoryError, ImportError, RuntimeError) as error:
        if not (found := system_error(error)):
            raise
        _print_error(found, verbose=verbose)
        if isinstance(found, OutOfMemoryError):
            # Without memory, the interpreter may crash while it cleans up, and hide the exit code.
            sys.stdout.flush()
            os._exit(int(found.exit_code))
        raise typer.Exit(int(found.exit_code)) from None
    except KeyboardInterrupt:
        print("Interrupted; the next run continues.", file=sys.stderr)
        raise typer.Exit(INTERRUPTED) from None


def _print_error(error: RunError, *, verbose: bool) -> None:
    if verbose:
        logging.getLogger("pipelines").exception("the command failed")
    console = Console(stderr=True, highlight=False, soft_wrap=True)
    console.print(f"[bold red]{error.heading}:[/] {escape(str(error))}")
