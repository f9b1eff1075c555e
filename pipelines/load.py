"""From the service to the raw tables: one dlt pipeline run."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
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
    empty_tables_source,
    qtickets_source,
)

from .errors import ClickHouseError, RunError, ServiceError
from .service import Service
from .settings import Settings, environment
from .warehouse import Warehouse

PIPELINE_NAME = "qtickets"

RAW_TABLES = ("orders", "tickets", "events", "shows", "inventory", "discounts", "promo_codes")

# dlt warns that `dedup_sort` is ignored with append; on ClickHouse it names the version column.
_DLT_SETTINGS = {"RUNTIME__DLTHUB_TELEMETRY": "false", "RUNTIME__LOG_LEVEL": "ERROR"}


@dataclass
class LoadReport:
    """What a load did. `rows` counts rows fetched, by raw table."""

    rows: dict[str, int] = field(default_factory=dict)
    counts: RequestCounts = field(default_factory=RequestCounts)
    findings: Findings = field(default_factory=Findings)


def load(
    settings: Settings, service: Service, warehouse: Warehouse, progress: Collector
) -> LoadReport:
    """Fetches what is new and changed, and appends it to the raw tables.

    Raises:
        ServiceError: The service refused, lied or did not answer: nothing was loaded.
        ClickHouseError: The raw tables could not be written; what was written already is
            harmless, since the next run reads the same rows again and the newest version counts.
    """
    report = LoadReport()
    with _pipeline(warehouse, _working_folder(settings), progress) as pipeline:
        newest = _newest_fetch(warehouse)
        if newest is None:
            pipeline.run(empty_tables_source())
        pipeline.run(
            _source(settings, service, report, keep_salt=True, newest=newest),
            loader_file_format="parquet",
        )
        report.rows = _row_counts(pipeline)
    return report


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
        pipeline.extract(
            _source(settings, service, report, keep_salt=False, newest=None),
            loader_file_format="parquet",
        )
        report.rows = _extracted_counts(pipeline)
    return report


def make_tables(settings: Settings, warehouse: Warehouse) -> None:
    """Makes the raw tables, empty, where they are missing."""
    with _pipeline(warehouse, _working_folder(settings), None) as pipeline:
        pipeline.run(empty_tables_source())


def _source(
    settings: Settings,
    service: Service,
    report: LoadReport,
    *,
    keep_salt: bool,
    newest: datetime | None,
) -> DltSource:
    source = qtickets_source(
        token=service.token,
        pii_salt=settings.pii_salt(keep=keep_salt),
        base_url=service.base_url,
        initial_since=settings.initial_since(datetime.now(timezone.utc)),
        overlap_hours=settings.qtickets_since_hours,
        connections=settings.qtickets_connections,
        timeout_seconds=settings.qtickets_timeout_seconds,
        retry_seconds=settings.qtickets_retry_seconds,
        allowed_fields=settings.qtickets_allow_fields,
        fetched_after=newest,
        counts=report.counts,
        findings=report.findings,
    )
    skipped = {
        "inventory": settings.qtickets_skip_inventory,
        "discounts": settings.qtickets_skip_discounts,
        "promo_codes": settings.qtickets_skip_promo_codes,
    }
    for name, skip in skipped.items():
        source.resources[name].selected = not skip
    return source


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
    if warehouse:
        credentials = {
            "host": warehouse.host,
            "port": warehouse.native_port,
            "http_port": warehouse.port,
            "username": warehouse.loader.user,
            "password": warehouse.loader.password,
            "database": warehouse.raw_db,
            "secure": int(warehouse.secure),
        }
    with environment(_DLT_SETTINGS), _explained(warehouse):
        shutil.rmtree(folder / PIPELINE_NAME, ignore_errors=True)
        pipeline = dlt.pipeline(
            PIPELINE_NAME,
            pipelines_dir=str(folder),
            destination=dlt.destinations.clickhouse(credentials=credentials),
            dataset_name="",
            progress=progress or NULL_COLLECTOR,
        )
        try:
            yield pipeline
        finally:
            pipeline.deactivate()


@contextmanager
def _explained(warehouse: Warehouse | None) -> Iterator[None]:
    """Finds the one sentence in dlt's chain of exceptions."""
    try:
        yield
    except RunError:
        raise
    except Exception as error:
        for cause in _causes(error):
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


def _causes(error: BaseException) -> Iterator[BaseException]:
    """The error and what caused it, innermost first."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        current = current.__cause__ or current.__context__
    return reversed(chain)


def _newest_fetch(warehouse: Warehouse) -> datetime | None:
    """The newest `_fetched_at` in the raw tables (UTC); None before the first load.

    Read from the rows themselves: a load that was killed left rows that no state knows of.
    """
    newest = datetime.fromtimestamp(0, timezone.utc)
    with warehouse.connect(warehouse.loader) as client:
        if not client.command(f"EXISTS TABLE {warehouse.raw_db}.promo_codes"):
            return None
        for table in ("orders", "inventory", "events"):
            value = client.query(
                f"SELECT max(_fetched_at) FROM {warehouse.raw_db}.{table}",  # noqa: S608
                query_tz="UTC",
            ).result_rows[0][0]
            newest = max(newest, value.replace(tzinfo=timezone.utc))
    return newest


def _row_counts(pipeline: dlt.Pipeline) -> dict[str, int]:
    trace = pipeline.last_trace
    info = trace.last_normalize_info if trace else None
    counts: dict[str, int] = info.row_counts if info else {}
    return {table: counts.get(table, 0) for table in RAW_TABLES}


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
