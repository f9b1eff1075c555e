"""`run`: one scheduled run, or a count of what it would load."""

from typing import TYPE_CHECKING, Annotated

import typer

from pipelines.commands.command import command
from pipelines.commands.offline import Offline, OfflineCommand, overrides
from pipelines.commands.options import Options
from pipelines.errors import ConfigurationError, ExitCode, RowsLeftOut

if TYPE_CHECKING:
    from pipelines.configuration.environment import Settings
    from pipelines.loading.reconciliation import ReconciliationJob
    from qtickets_source.state.periods import Window


@command(
    ExitCode.SERVICE,
    ExitCode.CLICKHOUSE,
    ExitCode.MARTS,
    ExitCode.LEFT_OUT,
    ExitCode.BUSY,
    cls=OfflineCommand,
    examples={
        "": "one scheduled run; without a token a demo with made-up sales",
        "--dry-run": "count what a run would load; write nothing",
        "--offline": "a full run on recorded answers, without network",
        "run --resources promo_codes,discounts": "load two datasets only",
    },
)
def run(
    options: Options,
    *,
    dry_run: Annotated[
        bool,
        typer.Option(
            "--dry-run",
            help="Fetch and count; write nothing anywhere. DRY_RUN=true does the same.",
        ),
    ] = False,
    offline: Offline = None,
    full_refresh: Annotated[
        bool,
        typer.Option(
            "--full-refresh",
            help="Read everything again from the earliest day ever loaded, and rebuild every mart;"
            " drops nothing.",
        ),
    ] = False,
    resources: Annotated[
        str | None,
        typer.Option(
            "--resources",
            metavar="NAMES",
            help="Load these datasets only, separated by commas: orders, events, inventory,"
            " discounts, promo_codes, price_shades, clients, barcodes, partner_tickets.",
            show_default="all that are not skipped",
        ),
    ] = None,
    skip_marts: Annotated[
        bool, typer.Option("--skip-marts", help="Load the raw tables only; leave the marts.")
    ] = False,
) -> None:
    """Load what is new, build and test the marts, record the run.

    This is the command for the scheduler, and the one that runs if none is named. The first run
    loads the last 720 hours (QTICKETS_INITIAL_BACKFILL_HOURS); every later one loads what is new
    and what changed.
    """
    given = overrides(offline)
    if resources is not None:
        if not resources.strip(" ,"):
            raise ConfigurationError("--resources: name at least one dataset.")
        given["qtickets_resources"] = resources
    settings = options.read_settings(alerts=not dry_run, **given)
    dry_run = dry_run or settings.dry_run
    if dry_run and full_refresh:
        raise ConfigurationError(
            "--full-refresh, --dry-run (or DRY_RUN=true): one at a time. A dry run counts what the"
            " next run would load."
        )
    if resources and full_refresh:
        raise ConfigurationError(
            "--resources, --full-refresh: one at a time. --full-refresh loads all datasets."
        )
    settings = options.announce(settings)
    if dry_run:
        from pipelines.loading.dry_run import dry_run as count
        from pipelines.operations.probe_report import print_probe
        from pipelines.summary import summarise_dry_run

        report = count(settings, lambda probed: print_probe(probed, options.console))
        summarise_dry_run(report, options.console)
    else:
        load_and_build(options, settings, full_refresh=full_refresh, skip_marts=skip_marts)


def load_and_build(
    options: Options,
    settings: "Settings",
    *,
    full_refresh: bool = False,
    skip_marts: bool = False,
    period: "Window | None" = None,
    reconciliation: "ReconciliationJob | None" = None,
) -> None:
    """Make a run that alerts its failure and its recovery, and print its summary.

    Raises:
        RunError: As `pipelines.run.run`.
        RowsLeftOut: The run is done, but paid orders are in quarantine.
    """
    # Imported late: dlt and dbt take seconds.
    from pipelines.operations.alerts import alerting
    from pipelines.run import run
    from pipelines.summary import summarise

    with alerting(settings):
        report = run(
            settings,
            options.console,
            skip_marts=skip_marts,
            full_refresh=full_refresh,
            period=period,
            reconciliation=reconciliation,
        )
        summarise(report, settings, options.console)
        if report.load.left_out:
            raise RowsLeftOut(report.load.left_out)
