"""One run: load new and changed rows, build and test the marts, record the run."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, nullcontext
from dataclasses import dataclass
from importlib import import_module
from threading import Thread

from rich.console import Console

from pipelines.configuration.environment import Settings
from pipelines.errors import MartsError, RunError, ServiceError
from pipelines.loading.history import backfill
from pipelines.loading.incremental import load, reconcile_now
from pipelines.loading.progress import TerminalProgress
from pipelines.loading.reconciliation import ReconciliationJob
from pipelines.loading.service import Service, open_service
from pipelines.operations.page import write_page
from pipelines.run_lock import exclusive_run, interruptible
from pipelines.run_report import RunReport
from pipelines.transform.build_plan import current_state, marts_state, plan_build
from pipelines.transform.dbt_build import build_marts
from pipelines.warehouse.job_log import JobRecord, start_job
from pipelines.warehouse.objects import marts_row_counts
from pipelines.warehouse.server import Warehouse, open_warehouse
from qtickets_source.rows.schema import TABLE_NAMES
from qtickets_source.state.periods import Window


@dataclass(frozen=True)
class Opened:
    """What a resident process keeps open from run to run."""

    warehouse: Warehouse
    service: Service


def run(
    settings: Settings,
    console: Console,
    *,
    opened: Opened | None = None,
    after_load: Callable[[RunReport], object] | None = None,
    compares: bool = True,
    skip_marts: bool = False,
    full_refresh: bool = False,
    period: Window | None = None,
    reconciliation: ReconciliationJob | None = None,
) -> RunReport:
    """Load, build the marts, record the run.

    Args:
        settings: The settings of the run.
        console: Shows progress.
        opened: What is open already; by default the run opens and closes it.
        after_load: Called once the rows are loaded, before the marts are built.
        compares: Compare what is loaded with the service if that is due.
        skip_marts: Load the raw tables only.
        full_refresh: Load and build everything again, as a first run does.
        period: Load orders paid in this period [since, until), and nothing else.
        reconciliation: Compare with the service and load what differs, and nothing else.

    Raises:
        RunError: In one line for the operator, which is also recorded in the job log if ClickHouse
            can be reached.
    """
    report = RunReport()
    with interruptible(), exclusive_run(settings), ExitStack() as stack:
        with report.timed("start"):
            warehouse = stack.enter_context(
                nullcontext(opened.warehouse) if opened else open_warehouse(settings)
            )
            warehouse.prepare(settings.mode)
            record = start_job(settings, warehouse)
        try:
            with logged_job(record, report):
                service = opened.service if opened else None
                with _open_load(record, report, console, skip_marts, service) as loading:
                    if reconciliation:
                        report.load = reconcile_now(*loading, reconciliation)
                    elif period:
                        report.load = backfill(*loading, period)
                    else:
                        report.load = load(*loading, full_refresh=full_refresh, compares=compares)
                        report.datasets = sorted(set(TABLE_NAMES) - settings.skipped)
                if after_load:
                    after_load(report)
                if not skip_marts:
                    _build(record, report, console, full_refresh=full_refresh)
            if not skip_marts:
                _write_page(settings, warehouse, report)
        except (ServiceError, MartsError):
            # The page shows the failure above the numbers of the last successful run.
            _write_page(settings, warehouse, report)
            raise
    return report


@contextmanager
def _open_load(
    record: JobRecord,
    report: RunReport,
    console: Console,
    skip_marts: bool,
    opened: Service | None,
) -> Iterator[tuple[Settings, Service, Warehouse, TerminalProgress]]:
    """Open what a load needs, and time it."""
    # Importing dbt takes seconds; it is done while the run waits for the service.
    early_import = Thread(target=import_module, args=("dbt.cli.main",), daemon=True)
    progress = TerminalProgress(console, None if skip_marts else early_import.start)
    service_or_new = nullcontext(opened) if opened else open_service(record.settings)
    with service_or_new as service, report.timed("load"):
        yield record.settings, service, record.warehouse, progress


def _build(record: JobRecord, report: RunReport, console: Console, *, full_refresh: bool) -> None:
    settings, warehouse = record.settings, record.warehouse
    with report.timed("marts"):
        nothing_new = not report.rows and not full_refresh
        if nothing_new and (state := current_state(settings, warehouse)):
            report.marts_state = state
            report.marts.warnings = state.warnings
            return
        plan = plan_build(settings, warehouse, full=full_refresh)
        flags = ("--full-refresh",) if full_refresh else ()
        before = marts_row_counts(warehouse)
        with console.status("Building and testing the marts (dbt build)"):
            report.marts = build_marts(
                settings, warehouse, *flags, changed_since=plan.changed_since
            )
        after = marts_row_counts(warehouse)
        report.changes = {table: (before.get(table, 0), rows) for table, rows in after.items()}
        report.marts_state = marts_state(record, plan, report.marts.warnings)


def _write_page(settings: Settings, warehouse: Warehouse, report: RunReport) -> None:
    """Write the dashboard page. If it cannot be written, the run does not fail."""
    try:
        with report.timed("page"):
            report.page = write_page(settings, warehouse)
    except RunError as error:
        report.page_problem = str(error)


@contextmanager
def logged_job(record: JobRecord, report: RunReport) -> Iterator[None]:
    """Record in the job log how the block ended."""
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
        _finish(record, report, "ok", report.load.left_out)


def _finish(record: JobRecord, report: RunReport, status: str, message: str) -> None:
    try:
        record.finish(
            status,
            rows_processed=report.rows,
            message=message,
            metrics=report.metrics(record.settings),
        )
    except RunError:
        # If ClickHouse has failed, the error that is being raised says more.
        if status == "ok":
            raise
