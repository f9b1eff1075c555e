"""`reconcile`: the raw tables held against the service."""

from datetime import datetime, timezone
from typing import Annotated
from zoneinfo import ZoneInfo

import typer

from pipelines.commands.command import command
from pipelines.commands.options import Options
from pipelines.commands.run import load_and_build
from pipelines.errors import ExitCode


@command(
    ExitCode.SERVICE,
    ExitCode.CLICKHOUSE,
    ExitCode.MARTS,
    ExitCode.LEFT_OUT,
    ExitCode.BUSY,
    examples={
        "reconcile": "compare the counts of all months, and load what is missing",
        "reconcile --since 2025-01-01 --no-repair": "compare only",
        "reconcile --deep": "read every order again, and compare tickets and money too",
    },
)
def reconcile(
    options: Options,
    *,
    since: Annotated[
        datetime | None,
        typer.Option(
            "--since",
            formats=["%Y-%m-%d"],
            metavar="YYYY-MM-DD",
            help="First date of payment, in REPORT_TZ.",
            show_default="the beginning of what is loaded",
        ),
    ] = None,
    deep: Annotated[
        bool,
        typer.Option("--deep", help="Read every order again; compare tickets and money as well."),
    ] = False,
    repair: Annotated[
        bool, typer.Option("--repair/--no-repair", help="Load what is missing or has changed.")
    ] = True,
) -> None:
    """Compare the raw tables with QTickets, month by month; load what differs, build the marts.

    It counts paid orders by month of payment, then by day where a month differs, then compares ids.
    Orders that QTickets no longer lists leave revenue after two reconciliations 20 hours apart.
    Runs compare this month and the last once a day, and all months once a week.
    """
    settings = options.read_settings(writes=True, alerts=True)
    from pipelines.loading.reconciliation import ReconciliationJob

    zone = ZoneInfo(settings.report_tz)
    begins = since.replace(tzinfo=zone).astimezone(timezone.utc) if since else None
    job = ReconciliationJob(begins, deep=deep, repair=repair)
    load_and_build(options, options.announce(settings), reconciliation=job)
