"""From the service to the raw tables: one dlt pipeline run."""

import gc
import os
import shutil
import time
from collections import deque
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, nullcontext
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import dlt
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.runtime.collector import NULL_COLLECTOR, Collector
from dlt.extract import DltSource

from qtickets_source import (
    Findings,
    QTicketsError,
    RequestCounts,
    RowProcesses,
    empty_tables_source,
    forgetful_source,
    orders_extent,
    qtickets_backfill_source,
    qtickets_source,
)
from qtickets_source.row_processes import usable_cores
from qtickets_source.tables import ALL_TABLES
from qtickets_source.windows import Window, months

from .errors import ClickHouseError, ConfigurationError, RunError, ServiceError
from .progress import TerminalProgress
from .raw_destination import credentials_of, raw_destination
from .service import Service
from .settings import Settings, environment
from .warehouse import Warehouse

PIPELINE_NAME = "qtickets"

RAW_TABLES = tuple(table.name for table in ALL_TABLES)

_TABLES_OF_RESOURCES = {"order_changes": "orders", "reread_orders": "orders"}

# Each package costs an answer of the service and about a second, whatever is in it. So up to this
# many orders are one, and of more as many months as take so long: it is what is lost if the run is.
ORDERS_AT_ONCE = 20_000
SECONDS_AT_ONCE = 20

_DLT_SETTINGS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    # dlt logs tracebacks of what it raises as well; the run says it in one line.
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    # dlt would wait for what is under way; a load that is cut off does no harm.
    "RUNTIME__INTERCEPT_SIGNALS": "false",
    # No more inserts at once than the HTTP client keeps connections for; dlt's default is 20.
    "LOAD__WORKERS": "8",
}


@dataclass
class LoadReport:
    """What a load did. `rows` counts rows fetched, by raw table."""

    rows: dict[str, int] = field(default_factory=dict)
    counts: RequestCounts = field(default_factory=RequestCounts)
    findings: Findings = field(default_factory=Findings)


def load(
    settings: Settings,
    service: Service,
    warehouse: Warehouse,
    progress: TerminalProgress,
    *,
    full_refresh: bool = False,
) -> LoadReport:
    """Fetches what is new and changed, and appends it to the raw tables.

    The first run loads its period by windows before; a run after an interrupted backfill
    finishes that.

    Args:
        full_refresh: Read everything anew from the earliest day that was ever loaded. Nothing is
            dropped before: rows get newer versions, and seats of the past could not be read again.

    Raises:
        ServiceError: The service refused, lied or did not answer: nothing of it was loaded.
        ClickHouseError: The raw tables could not be written; what was written already is
            harmless, since the next run reads the same rows again and the newest version counts.
    """
    report = LoadReport()
    with _pipeline(warehouse, _working_folder(settings), progress) as pipeline:
        newest = _open_tables(pipeline, warehouse)
        earliest = settings.initial_since(datetime.now(timezone.utc))
        if full_refresh:
            loaded = [since for since, _ in _state(pipeline).get("loaded", [])]
            again = {"since": min([earliest, *loaded]), "until": None, "is_first": True}
            pipeline.run(forgetful_source({"backfill": again}))
        if "orders" not in settings.skipped:
            if unfinished := _state(pipeline).get("backfill"):
                _backfill(settings, service, pipeline, report, progress, unfinished, newest)
            if "cursor_from" not in _state(pipeline):
                first = {"since": earliest, "until": None, "is_first": True}
                _backfill(settings, service, pipeline, report, progress, first, newest)
        cursor_from = _state(pipeline).get("cursor_from", earliest)
        overlap = timedelta(hours=settings.qtickets_since_hours)
        source = qtickets_source(
            initial_since=cursor_from - overlap,
            overlap_hours=settings.qtickets_since_hours,
            reread_days=settings.qtickets_reread_days,
            **_partners(settings),
            **_access(settings, service, report),
            **_row_arguments(settings, report, newest),
        )
        _skip(source, settings)
        _run(pipeline, source, report)
    return report


def backfill(
    settings: Settings,
    service: Service,
    warehouse: Warehouse,
    progress: TerminalProgress,
    period: Window,
) -> LoadReport:
    """Loads, or loads again, orders paid in a period of the past, part by part.

    Raises:
        ServiceError, ClickHouseError: As `load`. Parts that were completed stay loaded; the same
            call, or the next run, continues after them.
    """
    report = LoadReport()
    since, until = period
    with _pipeline(warehouse, _working_folder(settings), progress) as pipeline:
        newest = _open_tables(pipeline, warehouse)
        job = _state(pipeline).get("backfill")
        if not job or (job["since"], job["until"]) != (since, until):
            job = {"since": since, "until": until, "is_first": False}
        _backfill(settings, service, pipeline, report, progress, job, newest)
    return report


def _backfill(
    settings: Settings,
    service: Service,
    pipeline: dlt.Pipeline,
    report: LoadReport,
    progress: TerminalProgress,
    job: dict[str, Any],
    newest: datetime | None,
) -> None:
    """Loads the windows of a period that are not done, oldest first, each committed on its own.

    `job` is kept in the state while windows are left: the period as it was asked for, and
    `done_until`.
    """
    access = _access(settings, service, report)
    period = (job.get("done_until", job["since"]), job.get("ends", job["until"]))
    since, until, orders = orders_extent(period, **access)
    progress.expect("orders", orders)
    small = orders <= ORDERS_AT_ONCE
    with nullcontext() if small else _row_processes() as row_processes:
        for start, end in [(since, until)] if small else parts_of_history(since, until):
            rest = {**job, "ends": until, "done_until": end} if end < until else None
            remember: dict[str, Any] = {"backfill": rest}
            if rest is None and job["is_first"]:
                remember["cursor_from"] = until
            source = qtickets_backfill_source(
                start,
                end,
                remember,
                row_processes=row_processes,
                **access,
                **_row_arguments(settings, report, newest),
            )
            _run(pipeline, source, report)
            # Or memory grows with history: what dlt leaves of each load are unreachable cycles.
            gc.collect()


def parts_of_history(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """A period, oldest first, cut where months begin; whoever asks for a part loads it meanwhile.

    The first part is a month. Each further one is as many as fit into `SECONDS_AT_ONCE` at the pace
    of the last, but no more than twice as many as that had: busy years follow quiet ones.
    """
    left, at_once = deque(months(since, until)), 1
    while left:
        part = [left.popleft() for _ in range(min(at_once, len(left)))]
        began = time.monotonic()
        yield part[0][0], part[-1][1]
        pace = len(part) / (time.monotonic() - began)
        at_once = max(1, min(2 * len(part), int(SECONDS_AT_ONCE * pace)))


def _row_processes() -> AbstractContextManager[RowProcesses | None]:
    """Processes that make rows, if there is more than one core for them."""
    return RowProcesses() if usable_cores() > 1 else nullcontext()


def count_only(settings: Settings, service: Service, warehouse: Warehouse | None) -> LoadReport:
    """Fetches what a run would load, and throws it away: nothing is written anywhere.

    Args:
        warehouse: Where the cursor of the last run is read; None for a first run.
    """
    report = LoadReport()
    with (
        TemporaryDirectory(prefix="qtickets-dry-run-") as folder,
        _pipeline(warehouse, Path(folder), None) as pipeline,
    ):
        if warehouse:
            pipeline.sync_destination()
        since = _state(pipeline).get("cursor_from")
        source = qtickets_source(
            initial_since=since or settings.initial_since(datetime.now(timezone.utc)),
            overlap_hours=settings.qtickets_since_hours,
            reread_days=settings.qtickets_reread_days,
            **_access(settings, service, report),
            **_row_arguments(settings, report, None, keep_salt=False),
        )
        _skip(source, settings)
        pipeline.extract(source, loader_file_format="parquet")
        report.rows = _extracted_counts(pipeline)
    return report


def make_tables(settings: Settings, warehouse: Warehouse) -> None:
    """Makes the raw tables, empty, where they are missing."""
    with _pipeline(warehouse, _working_folder(settings), None) as pipeline:
        pipeline.run(empty_tables_source())


def _access(settings: Settings, service: Service, report: LoadReport) -> dict[str, Any]:
    """How the service is asked."""
    return {
        "base_url": service.base_url,
        "token": service.token,
        "connections": settings.qtickets_connections,
        "timeout_seconds": settings.qtickets_timeout_seconds,
        "retry_seconds": settings.qtickets_retry_seconds,
        "transports": settings.qtickets_transports,
        "counts": report.counts,
    }


def _row_arguments(
    settings: Settings, report: LoadReport, newest: datetime | None, *, keep_salt: bool = True
) -> dict[str, Any]:
    """How answers become rows."""
    return {
        "pii_salt": settings.pii_salt(keep=keep_salt),
        "allowed_fields": settings.qtickets_allow_fields,
        "findings": report.findings,
        "fetched_after": newest,
    }


def _partners(settings: Settings) -> dict[str, Any]:
    token = settings.qtickets_partners_token
    return {
        "partners_base_url": settings.qtickets_partners_base_url,
        "partners_token": token.get_secret_value() if token else None,
        "partners_find_requests": settings.qtickets_partners_find_requests,
    }


def _skip(source: DltSource, settings: Settings) -> None:
    for name in source.resources:
        table = _TABLES_OF_RESOURCES.get(name, name)
        if table in RAW_TABLES:
            source.resources[name].selected = table not in settings.skipped


def _open_tables(pipeline: dlt.Pipeline, warehouse: Warehouse) -> datetime:
    """Makes raw tables that are missing, or takes up the state of the last load.

    Returns:
        The newest `_fetched_at` in them.
    """
    newest, missing = _raw_tables(warehouse)
    # Without data a run only takes up the state, and later ones don't do it again.
    pipeline.run(empty_tables_source() if missing else None)
    return newest


def _state(pipeline: dlt.Pipeline) -> dict[str, Any]:
    """What the source remembers, as of the last completed load."""
    state: dict[str, Any] = pipeline.state.get("sources", {}).get("qtickets", {})
    return state


def _run(pipeline: dlt.Pipeline, source: DltSource, report: LoadReport) -> None:
    pipeline.run(source, loader_file_format="parquet")
    trace = pipeline.last_trace
    info = trace.last_normalize_info if trace else None
    counts: dict[str, int] = info.row_counts if info else {}
    for table in RAW_TABLES:
        report.rows[table] = report.rows.get(table, 0) + counts.get(table, 0)


def _working_folder(settings: Settings) -> Path:
    return settings.qtickets_home / "dlt"


@contextmanager
def _pipeline(
    warehouse: Warehouse | None, folder: Path, progress: Collector | None
) -> Iterator[dlt.Pipeline]:
    """A dlt pipeline whose state is what the destination says, and nothing else.

    The working folder is emptied first. It may hold a state that is ahead of the data, after a
    load that was killed or refused half-way; the state in the destination counts only once its
    load is complete, so starting from there reads again whatever may be missing.
    """
    credentials: dict[str, Any] = {}
    options: dict[str, Any] = {}
    if warehouse:
        credentials = credentials_of(warehouse)
        options = {
            "verify": warehouse.verify,
            "ca_cert": str(warehouse.ca_cert) if warehouse.ca_cert else None,
            "cluster": warehouse.cluster,
        }
    with environment(_DLT_SETTINGS), _explained(warehouse, folder):
        shutil.rmtree(folder / PIPELINE_NAME, ignore_errors=True)
        pipeline = dlt.pipeline(
            PIPELINE_NAME,
            pipelines_dir=str(folder),
            destination=raw_destination(credentials=credentials, **options),
            dataset_name="",
            progress=progress or NULL_COLLECTOR,
        )
        try:
            yield pipeline
        finally:
            pipeline.deactivate()


@contextmanager
def _explained(warehouse: Warehouse | None, folder: Path) -> Iterator[None]:
    """Finds the one sentence in dlt's chain of exceptions."""
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        for cause in _causes(error):
            if isinstance(cause, KeyboardInterrupt):
                raise cause from None
            if full := disk_full(cause, folder):
                raise full from error
            if isinstance(cause, QTicketsError):
                raise ServiceError(str(cause)) from error
        for cause in _causes(error):
            name = type(cause).__module__
            if warehouse and name.startswith(("clickhouse_", "dlt.destinations")):
                raise ClickHouseError(
                    "Loading the raw tables failed. "
                    + warehouse.explain(str(cause), warehouse.loader)
                ) from error
            if isinstance(cause, ConfigurationException):
                raise RunError(f"dlt's configuration: {cause}") from error
        raise


def disk_full(error: BaseException, folder: Path) -> ConfigurationError | None:
    """What to say about an error that means that nothing more can be written."""
    if isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT, EFBIG):
        return ConfigurationError(
            f"QTICKETS_HOME: {folder} cannot be written: {os.strerror(error.errno)}. Free space;"
            " the next run repeats what is missing."
        )
    return None


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it, innermost first."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return reversed(chain)


def _raw_tables(warehouse: Warehouse) -> tuple[datetime, set[str]]:
    """The newest `_fetched_at` in the raw tables (UTC), and the tables that are missing.

    Read from the rows themselves: a load that was killed left rows that no state knows of. And a
    first run that was killed may have left some of the tables, whichever it made first.
    """
    newest = datetime.fromtimestamp(0, timezone.utc)
    with warehouse.connect(warehouse.loader) as client:
        tables = client.query(
            "SELECT name FROM system.tables WHERE database = {db:String}",
            parameters={"db": warehouse.raw_db},
        ).result_rows
        there = {str(name) for (name,) in tables}
        for table in there & {"orders", "inventory", "events"}:
            value = client.query(
                f"SELECT max(_fetched_at) FROM {warehouse.raw_db}.{table}",  # noqa: S608
                query_tz="UTC",
            ).result_rows[0][0]
            newest = max(newest, value.replace(tzinfo=timezone.utc))
    return newest, set(RAW_TABLES) - there


def _extracted_counts(pipeline: dlt.Pipeline) -> dict[str, int]:
    counts = dict.fromkeys(RAW_TABLES, 0)
    trace = pipeline.last_trace
    info = trace.last_extract_info if trace else None
    for metrics in info.metrics.values() if info else ():
        for step in metrics:
            for table, table_metrics in step["table_metrics"].items():
                if table in counts:
                    counts[table] += table_metrics.items_count
    return counts
