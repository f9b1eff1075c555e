"""The command that schedulers run: QTickets → ClickHouse → marts. See `--help`."""

import logging
import os
import sys
from datetime import datetime
from enum import StrEnum
from pathlib import Path
from typing import Annotated, Any

# Started as a script, Python looks for modules in this folder; they are in the one above.
sys.path[0] = str(Path(__file__).resolve().parent.parent)

import typer
from rich.console import Console

from pipelines.configuration.environment import CASSETTE, Settings, read_period, read_settings
from pipelines.errors import ConfigurationError, RunError
from pipelines.logs import set_up_logs
from pipelines.process import tune_process

EXAMPLES = """
Examples:

  python pipelines/qtickets.py                    one scheduled run (a demo without a token)

  python pipelines/qtickets.py --dry-run          fetch and count, write nothing

  python pipelines/qtickets.py --offline          the whole run on recorded answers, without network

  python pipelines/qtickets.py --bootstrap        make every table and view, and list them

  python pipelines/qtickets.py --check            is all well? exit code 0 or 1

  python pipelines/qtickets.py --check --alert    the same, and tell about it

  python pipelines/qtickets.py --show-config      every setting and where it came from

  python pipelines/qtickets.py --since 2025-01-01 --until 2025-06-30      load history, resumable

  python pipelines/qtickets.py --dashboard        write the page anew from the marts as they are

Exit codes: 0 done, 2 wrong configuration, 3 QTickets, 4 ClickHouse, 5 marts or their tests,
75 another run is under way, 1 a bug, or something that --check found.
"""


class OutputFormat(StrEnum):
    """For people, or for machines."""

    TABLE = "table"
    JSON = "json"


app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command(
    help="Load ticket sales from QTickets into ClickHouse, and build the marts.\n" + EXAMPLES
)
def main(
    cassette: Annotated[
        Path | None,
        typer.Argument(help="With --offline: another recording.", show_default=False),
    ] = None,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Fetch and count; write nothing anywhere.")
    ] = False,
    offline: Annotated[
        bool, typer.Option("--offline", help="Replay recorded answers; the network is not used.")
    ] = False,
    bootstrap: Annotated[
        bool, typer.Option("--bootstrap", help="Make every table and view, and list them.")
    ] = False,
    dashboard: Annotated[
        bool, typer.Option("--dashboard", help="Write the page dashboard.html; load nothing.")
    ] = False,
    drop_demo: Annotated[
        bool,
        typer.Option("--drop-demo", help="Drop the databases if demo or offline data fill them."),
    ] = False,
    check: Annotated[
        bool,
        typer.Option("--check", help="Is all well? Freshness, last run, service, marts, disk."),
    ] = False,
    alert: Annotated[
        bool,
        typer.Option("--alert", help="With --check: send what it finds. Alone: send a test."),
    ] = False,
    output: Annotated[
        OutputFormat, typer.Option("--format", help="How --check and --show-config answer.")
    ] = OutputFormat.TABLE,
    show_config: Annotated[
        bool,
        typer.Option("--show-config", help="Every setting and where it came from; no secrets."),
    ] = False,
    resources: Annotated[
        str | None,
        typer.Option("--resources", help="Load these datasets only: orders,events,inventory,…"),
    ] = None,
    full_refresh: Annotated[
        bool,
        typer.Option("--full-refresh", help="Read and build everything anew; nothing is dropped."),
    ] = False,
    compact: Annotated[
        bool,
        typer.Option("--compact", help="Remove old versions, snapshots and records; weekly, say."),
    ] = False,
    skip_marts: Annotated[
        bool,
        typer.Option("--skip-marts", help="Load raw tables only."),
    ] = False,
    env_file: Annotated[
        Path | None, typer.Option("--env-file", help="Read variables from this file, not .env.")
    ] = None,
    since: Annotated[
        datetime | None,
        typer.Option(
            formats=["%Y-%m-%d"], help="Load orders paid from this date on, instead of what is new."
        ),
    ] = None,
    until: Annotated[
        datetime | None,
        typer.Option(formats=["%Y-%m-%d"], help="With --since: up to this date, itself included."),
    ] = None,
    json_logs: Annotated[
        bool, typer.Option("--json-logs", help="Log lines as JSON objects, on stderr.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("-v", "--verbose", help="One log line a request, and tracebacks.")
    ] = False,
    quiet: Annotated[
        bool, typer.Option("-q", "--quiet", help="Say nothing unless something fails.")
    ] = False,
) -> None:
    console = Console(highlight=False, soft_wrap=True, quiet=quiet)
    set_up_logs(verbose=verbose, quiet=quiet, as_json=json_logs)
    try:
        if quiet and verbose:
            raise ConfigurationError("--quiet, --verbose: one at a time.")
        if cassette and not offline:
            raise ConfigurationError(f"{cassette}: a recording needs --offline before it.")
        given: dict[str, Any] = {}
        if offline:
            given["qtickets_offline"] = cassette or CASSETTE
        if resources is not None:
            if not resources.strip(" ,"):
                raise ConfigurationError("--resources: name at least one dataset.")
            given["qtickets_resources"] = resources
        if show_config:
            from pipelines.configuration.config_report import show_config as show

            show(console, env_file, given, as_json=output is OutputFormat.JSON)
            return
        try:
            settings = read_settings(env_file, **given)
        except ConfigurationError as error:
            others = (dry_run, bootstrap, dashboard, drop_demo, compact, check and not alert)
            if not any(others):
                from pipelines.operations.alerts import alert_configuration

                alert_configuration(env_file, error)
            raise
        dry_run = dry_run or settings.dry_run
        alone = {
            "--dry-run": dry_run and not check,
            "--bootstrap": bootstrap,
            "--check": check,
            "--dashboard": dashboard,
            "--drop-demo": drop_demo,
            "--since": since is not None,
            "--full-refresh": full_refresh,
            "--compact": compact,
            "--alert": alert and not check,
        }
        if sum(alone.values()) > 1:
            raise ConfigurationError(f"{', '.join(alone)}: one at a time.")
        if check:
            raise typer.Exit(_check(settings, console, output, alert=alert))
        if alert:
            raise typer.Exit(_test_alert(settings, console))
        if resources and (since or full_refresh):
            raise ConfigurationError(
                "--resources goes with neither --since, which loads orders, nor --full-refresh,"
                " which loads everything."
            )
        period = read_period(since, until, settings)
        # Imported late, so that --help and configuration errors answer at once.
        from pipelines import run, summary
        from pipelines.operations.alerts import alerting

        if settings.qtickets_offline:
            from pipelines.loading.service import at_recording

            settings = at_recording(settings)
        summary.announce(settings, console)
        if dry_run:
            from pipelines.loading.dry_run import dry_run as count

            summary.summarise_dry_run(count(settings), console)
        elif bootstrap:
            from pipelines.operations.bootstrap import bootstrap as create_all

            for database, name, engine in create_all(settings, console):
                console.print(f"{database}.{name}  [dim]{engine}[/]")
        elif dashboard:
            from pipelines.operations.page import rewrite_page

            console.print(f"The page: {rewrite_page(settings)}")
        elif compact:
            from pipelines.operations.compact import compact as make_smaller

            for became in make_smaller(settings):
                (rows, rows_now), (size, size_now) = became.rows, became.bytes
                console.print(
                    f"{became.table}: {rows:,} rows are now {rows_now:,},"
                    f" {size / 2**20:,.1f} MiB are {size_now / 2**20:,.1f}"
                )
            console.print("Compacted; the marts are as they were.")
        elif drop_demo:
            from pipelines.operations.drop_demo import drop_demo as drop

            drop(settings)
            console.print("The demo databases are gone.")
        else:
            with alerting(settings):
                report = run.run(
                    settings,
                    console,
                    skip_marts=skip_marts,
                    full_refresh=full_refresh,
                    period=period,
                )
            summary.summarise(report, settings, console)
    except RunError as error:
        if verbose:
            logging.getLogger("pipelines").exception("the run failed")
        Console(stderr=True, highlight=False, soft_wrap=True).print(f"[bold red]Failed:[/] {error}")
        raise typer.Exit(int(error.exit_code)) from None
    except KeyboardInterrupt:
        print("Interrupted; the next run continues.", file=sys.stderr)
        raise typer.Exit(130) from None


def _test_alert(settings: Settings, console: Console) -> int:
    from pipelines.operations.alerts import send_test

    sent = send_test(settings)
    if not sent:
        raise ConfigurationError("--alert: no alerts are configured (QTICKETS_ALERT_…).")
    for name, delivered in sent.items():
        console.print(f"{name}: {'delivered' if delivered else '[bold red]not delivered[/]'}")
    return int(not all(sent.values()))


def _check(settings: Settings, console: Console, output: OutputFormat, *, alert: bool) -> int:
    """Without what a run imports: a probe should not take as long as a run's beginning."""
    from pipelines.operations.check import check
    from pipelines.operations.check_report import print_health

    health = check(settings)
    print_health(health, console, as_json=output is OutputFormat.JSON)
    if alert:
        from pipelines.operations.alerts import alert_health

        alert_health(settings, health)
    return int(health.status == "error")


if __name__ == "__main__":
    # Whatever a run, dlt, dbt or the embedded server writes is its user's alone.
    os.umask(0o077)
    tune_process()
    app()
