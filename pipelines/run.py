"""One run, from the service to the marts, with its record; and the lesser things a user may ask."""

import os
import signal
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from importlib import import_module
from pathlib import Path
from threading import Thread, Timer, current_thread, main_thread
from typing import Any

from filelock import FileLock, Timeout
from rich.console import Console

from qtickets_source.windows import Window

from .errors import BusyError, ConfigurationError, MartsError, RunError, ServiceError
from .job_record import JobRecord, make_job_tables, start_job
from .load import RAW_TABLES, LoadReport, backfill, count_only, load, make_tables
from .marts import MartsReport, build_marts
from .progress import TerminalProgress
from .rebuild import MartsState, marts_state, plan_build, still_valid
from .service import open_service
from .settings import Settings
from .warehouse import Warehouse, open_warehouse, row_counts


@dataclass
class RunReport:
    """What a run did, for the summary and the job log.

    `seconds` is by step, in order; `datasets` are those of which all that is new was read.
    """

    load: LoadReport = field(default_factory=LoadReport)
    marts: MartsReport = field(default_factory=MartsReport)
    marts_state: MartsState | None = None
    changes: dict[str, tuple[int, int]] = field(default_factory=dict)
    datasets: list[str] = field(default_factory=list)
    page: Path | None = None
    page_problem: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.monotonic() - started

    @property
    def rows(self) -> int:
        return sum(self.load.rows.values())

    def metrics(self, settings: Settings) -> dict[str, Any]:
        """The JSON of `meta_job_runs.metrics`."""
        rows, counts = self.load.rows, self.load.counts
        return {
            "mode": settings.mode,
            "org": settings.org_name,
            "events": rows.get("events", 0),
            "orders": rows.get("orders", 0),
            "sales_rows": rows.get("tickets", 0),
            "inventory_rows": rows.get("inventory", 0),
            "sales_daily_rows": self.changes.get("fact_qtickets_sales_daily", (0, 0))[1],
            "rows": rows,
            "datasets": self.datasets,
            "requests": counts.requests,
            "retries": counts.retries,
            "ignored_filters": self.load.findings.ignored,
            "skipped_datasets": self.load.findings.skipped,
            "new_columns": sorted(self.load.findings.new_columns),
            "withheld_fields": sorted(self.load.findings.withheld),
            "missing_fields": sorted(self.load.findings.missing),
            "changed_types": sorted(self.load.findings.changed_types),
            "models": self.marts.models,
            "tests": self.marts.tests,
            "test_warnings": self.marts.warnings,
            "marts": self.marts_state.as_metrics() if self.marts_state else None,
            "seconds": {step: round(value, 3) for step, value in self.seconds.items()},
        }


@contextmanager
def only_run(settings: Settings) -> Iterator[None]:
    """Holds the lock that keeps two runs apart; the kernel frees it when a run dies.

    Raises:
        BusyError: Another run holds it.
    """
    lock = FileLock(settings.qtickets_home / "run.lock")
    try:
        settings.qtickets_home.mkdir(parents=True, exist_ok=True)
        with lock.acquire(timeout=0):
            yield
    except Timeout:
        raise BusyError(
            f"Another run is under way (it holds {settings.qtickets_home / 'run.lock'}). Nothing"
            " was done; it loads the same data, so there is nothing to repeat."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"QTICKETS_HOME {settings.qtickets_home} cannot be written: {error.strerror}."
        ) from error


def run(
    settings: Settings,
    console: Console,
    *,
    skip_marts: bool = False,
    full_refresh: bool = False,
    period: Window | None = None,
) -> RunReport:
    """Loads, builds the marts, records the run.

    Args:
        skip_marts: Load the raw tables only.
        full_refresh: Read and build everything anew, as a first run does.
        period: Load orders paid in [since, until) of the past, instead of what is new.

    Raises:
        RunError: With one line for the operator; where ClickHouse can be reached, the job log
            has it too.
    """
    report = RunReport()
    with _interruptible(), only_run(settings):
        with report.timed("start"):
            opened = open_warehouse(settings)
            warehouse = opened.__enter__()
        try:
            with report.timed("start"):
                warehouse.prepare(settings.mode)
                record = start_job(settings, warehouse)
            with _recorded(record, report):
                # dbt takes seconds to import; the service's answers take longer.
                early = Thread(target=import_module, args=("dbt.cli.main",), daemon=True)
                with open_service(settings) as service, report.timed("load"):
                    progress = TerminalProgress(console, None if skip_marts else early.start)
                    if period:
                        report.load = backfill(settings, service, warehouse, progress, period)
                    else:
                        report.load = load(
                            settings, service, warehouse, progress, full_refresh=full_refresh
                        )
                        report.datasets = sorted(set(RAW_TABLES) - settings.skipped)
                if not skip_marts:
                    flags = ("--full-refresh",) if full_refresh else ()
                    _build(record, report, console, *flags)
            if not skip_marts:
                _write_page(settings, warehouse, report)
        except (ServiceError, MartsError):
            _write_page(settings, warehouse, report)  # The page says why, on yesterday's numbers.
            raise
        finally:
            opened.__exit__(None, None, None)
    return report


def _build(record: JobRecord, report: RunReport, console: Console, *flags: str) -> None:
    settings, warehouse = record.settings, record.warehouse
    with report.timed("marts"):
        nothing_new = not report.rows and not flags
        if nothing_new and (state := still_valid(settings, warehouse)):
            report.marts_state = state
            report.marts.warnings = state.warnings
            return
        plan = plan_build(settings, warehouse, whole=bool(flags))
        before = table_rows(warehouse)
        with console.status("Building and testing the marts (dbt build)"):
            report.marts = build_marts(
                settings, warehouse, *flags, changed_since=plan.changed_since
            )
        after = table_rows(warehouse)
        report.changes = {table: (before.get(table, 0), rows) for table, rows in after.items()}
        report.marts_state = marts_state(record, plan, report.marts.warnings)


def _write_page(settings: Settings, warehouse: Warehouse, report: RunReport) -> None:
    """The marts as a page. They are what counts: without the page a run is no failure."""
    try:
        with report.timed("page"):
            report.page = export_dashboard(settings, warehouse)
    except RunError as error:
        report.page_problem = str(error)


@contextmanager
def _interruptible() -> Iterator[None]:
    """Lets SIGTERM end a run as Ctrl-C does, and both at once: the run is recorded, the lock free.

    A thread that still waits for the service would otherwise keep the process until it answers.
    """

    def interrupt(*_: object) -> None:
        raise KeyboardInterrupt

    is_main = current_thread() is main_thread()
    before = signal.signal(signal.SIGTERM, interrupt) if is_main else None
    try:
        yield
    except KeyboardInterrupt:
        leave = Timer(1, os._exit, (130,))
        leave.daemon = True
        leave.start()
        raise
    finally:
        if is_main:
            signal.signal(signal.SIGTERM, before)


@contextmanager
def _recorded(record: JobRecord, report: RunReport) -> Iterator[None]:
    try:
        yield
    except BaseException as error:
        message = f"{type(error).__name__}: a bug"
        if isinstance(error, RunError):
            message = str(error)
        elif isinstance(error, KeyboardInterrupt):
            message = "Interrupted; the next run continues."
        _finish(record, report, "error", message)
        raise
    with report.timed("record"):
        _finish(record, report, "ok", "")


def _finish(record: JobRecord, report: RunReport, status: str, message: str) -> None:
    try:
        record.finish(
            status,
            rows_processed=report.rows,
            message=message,
            metrics=report.metrics(record.settings),
        )
    except RunError:
        # ClickHouse may be what failed; the error under way says so, and tells more.
        if status == "ok":
            raise


def dry_run(settings: Settings) -> RunReport:
    """Fetches and counts what a run would load, and writes nothing anywhere."""
    report = RunReport()
    embedded_is_new = not (settings.qtickets_home / "clickhouse").exists()
    with open_service(settings) as service, report.timed("fetch"):
        if not settings.clickhouse_host and embedded_is_new:
            # Nothing was ever loaded: starting a server to learn that would write its files.
            report.load = count_only(settings, service, None)
        else:
            with open_warehouse(settings) as warehouse:
                report.load = count_only(settings, service, warehouse)
    return report


def bootstrap(settings: Settings, console: Console) -> list[tuple[str, str, str]]:
    """Makes every table and view, empty where there is no data.

    Returns:
        (database, name, engine) of each object that is now there.
    """
    with only_run(settings), open_warehouse(settings) as warehouse:
        warehouse.prepare(settings.mode)
        make_job_tables(warehouse)
        make_tables(settings, warehouse)
        with console.status("Making the marts (dbt build)"):
            build_marts(settings, warehouse)
        return contract_objects(warehouse)


def dashboard(settings: Settings) -> Path:
    """Writes the page from the marts as they are.

    Raises:
        ConfigurationError: There are no marts yet, or the page cannot be written.
    """
    with open_warehouse(settings) as warehouse:
        return export_dashboard(settings, warehouse)


def export_dashboard(settings: Settings, warehouse: Warehouse) -> Path:
    """Read the marts and write `<QTICKETS_HOME>/dashboard.html`; return its path.

    Raises:
        ConfigurationError: There are no marts yet, or the file cannot be written.
        ClickHouseError: The server cannot be reached, or rejected a query.
    """
    from dashboard import DashboardError, PageOptions, write_dashboard

    path = settings.qtickets_home / "dashboard.html"
    options = PageOptions(
        database=warehouse.marts_db,
        time_zone=settings.report_tz,
        now=settings.report_now,
        organiser=settings.org_name,
        mode=settings.mode,
    )
    try:
        with warehouse.connect(warehouse.transformer) as client:
            write_dashboard(client, options, path)
    except DashboardError as error:
        raise ConfigurationError(str(error)) from error
    return path


def drop_demo(settings: Settings) -> None:
    """Drops both databases if a demo or recorded answers filled them.

    Raises:
        ConfigurationError: They hold live data, which this never touches.
    """
    with only_run(settings), open_warehouse(settings) as warehouse:
        warehouse.prepare("offline" if warehouse.filled_by() == "offline" else "demo")
        warehouse.drop()


def contract_objects(warehouse: Warehouse) -> list[tuple[str, str, str]]:
    """(database, name, engine) of the project's tables and views, dlt's own left out."""
    found: list[tuple[str, str, str]] = []
    for login, database in warehouse.databases:
        with warehouse.connect(login) as client:
            rows = client.query(
                "SELECT database, name, engine FROM system.tables"
                " WHERE database = {db:String} AND NOT startsWith(name, '_dlt')"
                " AND name != 'dlt_sentinel_table' ORDER BY name",
                parameters={"db": database},
            ).result_rows
            found.extend((str(row[0]), str(row[1]), str(row[2])) for row in rows)
    return found


def table_rows(warehouse: Warehouse) -> dict[str, int]:
    """Rows of each table of the marts."""
    with warehouse.connect(warehouse.transformer) as client:
        return row_counts(client, warehouse.marts_db)
