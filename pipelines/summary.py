"""What a run prints: first whose data it reads, last what it did and where to look."""

import sys
from pathlib import Path
from typing import TYPE_CHECKING
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.table import Table

from pipelines.configuration.environment import PROJECT, Settings
from qtickets_source.observations import NEW_COLUMNS_PER_RUN

if TYPE_CHECKING:
    # They import dlt and dbt, which commands without a run do not need.
    from pipelines.loading.pipeline import LoadReport
    from pipelines.run_report import RunReport

DEMO = (
    "DEMO: made-up sales from the built-in sandbox, since QTICKETS_TOKEN is not set."
    " The live service is not called."
)

_SHOWN_SHOWS = 5


def announce(settings: Settings, console: Console, *, loads: bool = True) -> None:
    """Print whose data are read, from where, and, if they are loaded, where they go."""
    where = settings.clickhouse_host or f"embedded ClickHouse in {settings.qtickets_home}"
    if settings.is_demo:
        console.print(f"[bold yellow]{DEMO}[/]")
    elif settings.qtickets_offline:
        console.print(
            f"[bold yellow]OFFLINE: recorded answers from {settings.qtickets_offline}, as of"
            f" {settings.report_now} UTC. The live service is not called.[/]"
        )
    else:
        organiser = f" of {settings.org_name}" if settings.org_name else ""
        console.print(f"QTickets{organiser} at {settings.qtickets_base_url}")
    if loads:
        console.print(
            f"[dim]Into {where}, databases {settings.raw_db} and {settings.clickhouse_db}[/]"
        )


def summarise(report: "RunReport", settings: Settings, console: Console) -> None:
    """Print rows by table, changes in the marts, seconds of each step, and where to look next."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("raw table")
    table.add_column("new or changed", justify="right")
    for name, rows in report.load.rows.items():
        if name not in settings.skipped:
            table.add_row(name, f"{rows:,}")
    console.print(table)
    _marts(report, settings, console)
    _findings(report, settings, console)
    seconds = "  ".join(f"{step} {value:.1f} s" for step, value in report.seconds.items())
    counts = report.load.observed.counts
    retries = f", {counts.retries} of them repeated" if counts.retries else ""
    console.print(f"[dim]{seconds}  ({counts.requests} requests{retries})[/]")
    if not settings.clickhouse_host:
        console.print(
            f"Look around: [bold]{_python()} -m local_clickhouse[/] opens it to SQL and BI."
        )
    console.print(
        f"[green]Done.[/] The dashboard is the view {settings.clickhouse_db}"
        ".v_qtickets_sales_dashboard."
    )
    if report.page:
        console.print(f"The same as a page for any browser: [bold]{report.page}[/]")
    elif report.page_problem:
        console.print(f"[yellow]The page was not written:[/] {report.page_problem}")
    if settings.is_demo:
        console.print(
            f"[bold yellow]These were demo numbers.[/] For yours: {_python()} pipelines/qtickets.py"
            " drop-demo, then set QTICKETS_TOKEN."
        )
    elif settings.qtickets_offline:
        console.print(
            f"[bold yellow]These were recorded numbers, offline.[/] For live ones: {_python()}"
            " pipelines/qtickets.py drop-demo, then run without --offline."
        )


def _python() -> str:
    """Return the interpreter as it is called in the project's folder."""
    path = Path(sys.executable)
    return str(path.relative_to(PROJECT)) if path.is_relative_to(PROJECT) else "python"


def _marts(report: "RunReport", settings: Settings, console: Console) -> None:
    if not report.marts.models:
        if report.marts_state:
            built_at = report.marts_state.built_at.astimezone(ZoneInfo(settings.report_tz))
            console.print(f"Nothing new: the marts are those built at {built_at:%H:%M}.")
        _warnings(report, console)
        return
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    table.add_column("mart")
    table.add_column("rows", justify="right")
    table.add_column("before", justify="right", style="dim")
    for name, (before, after) in sorted(report.changes.items()):
        if name.startswith(("dim_", "fact_")):
            table.add_row(name, f"{after:,}", f"{before:,}")
    console.print(table)
    console.print(f"{report.marts.models} models built, {report.marts.tests} tests passed.")
    _warnings(report, console)


def _warnings(report: "RunReport", console: Console) -> None:
    for warning in report.marts.warnings:
        console.print(f"[yellow]Test warning: {warning}[/]")


def _findings(report: "RunReport", settings: Settings, console: Console) -> None:
    findings = report.load.observed.findings
    if report.load.reconciliation:
        console.print(report.load.reconciliation.sentence)
    for text in findings.instead:
        console.print(f"[yellow]A filter is not honoured:[/] {text}")
    if findings.ignored and not findings.instead:
        console.print(f"[yellow]A filter was not honoured:[/] {findings.ignored[0]}")
    for dataset, reason in findings.skipped.items():
        console.print(f"[yellow]Dataset {dataset} was left out:[/] {reason}")
    for table_name, reasons in findings.bad_rows.items():
        console.print(f"[yellow]{len(reasons)} rows of {table_name} left out:[/] {reasons[0]}")
    for show, reason in list(findings.doubtful_seats.items())[:_SHOWN_SHOWS]:
        console.print(f"[yellow]Seats of show {show} are doubtful:[/] {reason}")
    if findings.lost_events:
        ids = ", ".join(map(str, findings.lost_events[:_SHOWN_SHOWS]))
        console.print(f"[yellow]Events no longer listed, which stay in the marts:[/] {ids}")
    if findings.unreadable_fields:
        fields = ", ".join(sorted(findings.unreadable_fields))
        console.print(f"[yellow]Fields with values that cannot be read, now null:[/] {fields}")
    if findings.new_columns:
        console.print(f"[yellow]New columns:[/] {', '.join(sorted(findings.new_columns))}")
    if findings.changed_types:
        types = ", ".join(sorted(findings.changed_types))
        console.print(f"[yellow]Fields whose type has changed:[/] {types}")
    if findings.missing:
        console.print(f"[yellow]Fields no longer sent:[/] {', '.join(sorted(findings.missing))}")
    if findings.too_many:
        console.print(
            f"[yellow]New fields left out, since a run adds at most {NEW_COLUMNS_PER_RUN} columns"
            f" to a table:[/] {len(findings.too_many)}"
        )
    if findings.clock_ahead_seconds and settings.mode == "live":
        minutes = round(findings.clock_ahead_seconds / 60)
        console.print(
            f"[yellow]The service's clock differs from this machine's by {minutes:+} min:[/] check"
            " the time of this machine."
        )
    if findings.warehouse_ahead_seconds:
        minutes = round(findings.warehouse_ahead_seconds / 60)
        console.print(
            f"[yellow]ClickHouse's clock differs from this machine's by {minutes:+} min:[/] correct"
            " it; the dashboard takes today from ClickHouse, and cursors the earliest clock."
        )
    if findings.withheld:
        console.print(
            "[yellow]New fields withheld because they may be personal:[/]"
            f" {', '.join(sorted(findings.withheld))} (QTICKETS_ALLOW_FIELDS loads them)"
        )


def summarise_dry_run(report: "LoadReport", console: Console) -> None:
    """Print counts of what a run would load."""
    rows = dict(report.rows)
    events, shows, orders, tickets, inventory = (
        rows.pop(table, 0) for table in ("events", "shows", "orders", "tickets", "inventory")
    )
    others = "".join(f", {count:,} {table}" for table, count in rows.items() if count)
    console.print(
        f"Would load {events:,} new or changed events with {shows:,} shows, {orders:,} orders with"
        f" {tickets:,} tickets, {inventory:,} inventory rows{others}"
        f" ({report.observed.counts.requests} requests)."
    )
    console.print("Dry run: no ClickHouse writes.")
