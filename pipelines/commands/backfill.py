"""`backfill`: a period of payment dates."""

from datetime import datetime, timedelta, timezone
from typing import TYPE_CHECKING, Annotated
from zoneinfo import ZoneInfo

import typer

from pipelines.commands.command import command
from pipelines.commands.options import Options
from pipelines.commands.run import load_and_build
from pipelines.errors import ConfigurationError, ExitCode

if TYPE_CHECKING:
    from qtickets_source.state.periods import Window


@command(
    ExitCode.SERVICE,
    ExitCode.CLICKHOUSE,
    ExitCode.MARTS,
    ExitCode.LEFT_OUT,
    ExitCode.BUSY,
    examples={
        "backfill --since 2024-01-01": "load all history from this day on",
        "backfill --since 2025-03-01 --until 2025-03-31": "load one month again",
    },
)
def backfill(
    options: Options,
    *,
    since: Annotated[
        datetime,
        typer.Option(
            "--since",
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="First date of payment, in REPORT_TZ.",
        ),
    ],
    until: Annotated[
        datetime | None,
        typer.Option(
            "--until",
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="Last date of payment, included, in REPORT_TZ.",
            show_default="now",
        ),
    ] = None,
) -> None:
    """Load, or load again, orders paid in a period; then build the marts.

    The period is loaded in parts of whole months. If it is interrupted, the same command, or the
    next run, continues after the last complete part. Rows that were loaded before are not doubled.
    """
    settings = options.read_settings(writes=True, alerts=True)
    period = payment_period(since, until, ZoneInfo(settings.report_tz))
    load_and_build(options, options.announce(settings), period=period)


def payment_period(since: datetime, until: datetime | None, zone: ZoneInfo) -> "Window":
    """Return the days from `since` to `until` as a half-open period of moments, UTC.

    Raises:
        ConfigurationError: The last day is before the first.
    """
    begins = since.replace(tzinfo=zone).astimezone(timezone.utc)
    if until is None:
        return begins, None
    ends = (until + timedelta(days=1)).replace(tzinfo=zone).astimezone(timezone.utc)
    if ends <= begins:
        raise ConfigurationError(f"--until {until:%Y-%m-%d} is before --since {since:%Y-%m-%d}.")
    return begins, ends
