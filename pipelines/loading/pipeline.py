"""The dlt pipeline of the raw tables: its state, its configuration, and its errors in one line."""

import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import dlt
from dlt.common.configuration.exceptions import ConfigurationException
from dlt.common.runtime.collector import NULL_COLLECTOR, Collector
from dlt.extract import DltSource

from pipelines.configuration.environment import Settings
from pipelines.configuration.library_environment import environment
from pipelines.errors import ClickHouseError, ConfigurationError, RunError, ServiceError, disk_full
from pipelines.loading.destination import credentials_of, raw_destination
from pipelines.loading.reconciliation_result import Reconciliation
from pipelines.loading.service import Service
from pipelines.warehouse.server import Warehouse
from qtickets_source import (
    Observations,
    QTicketsConfiguration,
    QTicketsError,
    empty_tables_source,
)
from qtickets_source.api.response import unless_they_agree
from qtickets_source.errors import OtherAccount, SaltChanged
from qtickets_source.rows.schema import ALL_TABLES, TABLE_NAMES
from qtickets_source.state.quarantine import quarantined

PIPELINE_NAME = "qtickets"

DLT_SETTINGS = {
    "RUNTIME__DLTHUB_TELEMETRY": "false",
    # dlt also logs tracebacks of what it raises; the run reports an error in one line.
    "RUNTIME__LOG_LEVEL": "CRITICAL",
    # dlt would wait for the current load to end; an interrupted load does no harm.
    "RUNTIME__INTERCEPT_SIGNALS": "false",
    # No more concurrent inserts than the HTTP client keeps connections for; dlt's default is 20.
    "LOAD__WORKERS": "8",
}


@dataclass
class LoadReport:
    """What a load did: rows fetched by raw table, requests, and what was unexpected."""

    rows: dict[str, int] = field(default_factory=dict)
    observed: Observations = field(default_factory=Observations)
    reconciliation: Reconciliation | None = None
    """Whether what is loaded is what the service has; None: it was not compared."""
    quarantined: list[tuple[int, str, datetime]] = field(default_factory=list)
    """Paid orders that are left out because they cannot be read: id, reason, since (UTC)."""

    @property
    def left_out(self) -> str:
        """A sentence about the orders in quarantine; empty if there are none."""
        if not self.quarantined:
            return ""
        number = len(self.quarantined)
        _, reason, since = min(self.quarantined, key=lambda order: order[2])
        subject = "1 paid order is" if number == 1 else f"{number} paid orders are"
        return (
            f"{subject} not in these numbers, or in an earlier version, because QTickets sends"
            f" values that cannot be read. The first, since {since:%Y-%m-%d %H:%M} UTC: {reason}."
            " Correct it in QTickets, or report it; the next run then includes it."
        )


@dataclass
class LoadSession:
    """An open pipeline, and what every source that it runs is configured with.

    Attributes:
        fetched_after: The newest `_fetched_at` in the raw tables.
    """

    settings: Settings
    service: Service
    warehouse: Warehouse
    pipeline: dlt.Pipeline
    fetched_after: datetime
    report: LoadReport = field(default_factory=LoadReport)

    @property
    def state(self) -> dict[str, Any]:
        """The state of the source after the last completed load."""
        return source_state(self.pipeline)

    @contextmanager
    def translated_errors(self) -> Iterator[None]:
        """Raise errors of the block as a session does at its end."""
        with translated_errors(self.warehouse, working_folder(self.settings)):
            yield

    def run(self, source: DltSource) -> None:
        """Extract, normalize and load a source; add its rows to the report."""
        self.pipeline.run(source, loader_file_format="parquet")
        trace = self.pipeline.last_trace
        info = trace.last_normalize_info if trace else None
        counts: dict[str, int] = info.row_counts if info else {}
        self.report.quarantined = quarantined(self.state)
        for table in TABLE_NAMES:
            self.report.rows[table] = self.report.rows.get(table, 0) + counts.get(table, 0)


def source_configuration(
    settings: Settings,
    service: Service,
    *,
    initial_since: datetime | None = None,
    keep_salt: bool = True,
) -> QTicketsConfiguration:
    """Return the configuration of the source.

    Args:
        settings: The settings of the run.
        service: Address and token.
        initial_since: The first run loads payments from this moment on.
        keep_salt: False for runs that write nothing.
    """
    partners_token = settings.qtickets_partners_token
    return QTicketsConfiguration(
        token=service.token,
        pii_salt=settings.pii_salt(keep=keep_salt),
        base_url=service.base_url,
        connections=settings.qtickets_connections,
        timeout_seconds=settings.qtickets_timeout_seconds,
        retry_seconds=settings.qtickets_retry_seconds,
        transports=settings.qtickets_transports,
        allowed_fields=settings.qtickets_allow_fields,
        initial_since=initial_since,
        overlap_hours=settings.qtickets_since_hours,
        reread_days=settings.qtickets_reread_days,
        partners_base_url=settings.qtickets_partners_base_url,
        partners_token=partners_token.get_secret_value() if partners_token else None,
        partners_find_requests=settings.qtickets_partners_find_requests,
    )


@contextmanager
def open_session(
    settings: Settings, service: Service, warehouse: Warehouse, progress: Collector
) -> Iterator[LoadSession]:
    """Open the pipeline, and complete the raw tables or restore the state.

    Raises:
        ServiceError, ClickHouseError: In one line, also for what fails inside the block.
    """
    with open_pipeline(warehouse, working_folder(settings), progress) as pipeline:
        newest, incomplete, ahead = _inspect(warehouse)
        # Without data a run only restores the state, which later runs then need not do.
        pipeline.run(empty_tables_source() if incomplete else None)
        session = LoadSession(settings, service, warehouse, pipeline, newest)
        findings = session.report.observed.findings
        findings.warehouse_ahead_seconds = round(unless_they_agree(ahead).total_seconds())
        yield session


@contextmanager
def open_pipeline(
    warehouse: Warehouse | None, folder: Path, progress: Collector | None = None
) -> Iterator[dlt.Pipeline]:
    """Open a dlt pipeline whose state is the destination's.

    The working folder is emptied first. After a load that was killed or refused half-way it may
    hold a state that is ahead of the data. The state at the destination counts only once its load
    is complete, so a pipeline that starts from it loads again all rows that may be missing.

    Args:
        warehouse: The destination; None for a pipeline that only extracts.
        folder: dlt's working folder.
        progress: dlt's progress collector.

    Raises:
        RunError: For every expected failure inside the block, in one line.
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
    with environment(DLT_SETTINGS), translated_errors(warehouse, folder):
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


def create_raw_tables(settings: Settings, warehouse: Warehouse) -> None:
    """Create the raw tables, empty, where they are missing."""
    with open_pipeline(warehouse, working_folder(settings)) as pipeline:
        pipeline.run(empty_tables_source())


def source_state(pipeline: dlt.Pipeline) -> dict[str, Any]:
    """Return the state of the source after the last completed load."""
    state: dict[str, Any] = pipeline.state.get("sources", {}).get("qtickets", {})
    return state


def select_resources(source: DltSource, settings: Settings) -> None:
    """Select the resources of the datasets that the settings do not skip."""
    tables = dict.fromkeys(("order_changes", "reread_orders", "quarantined_orders"), "orders")
    for name in source.resources:
        table = tables.get(name, name)
        if table in TABLE_NAMES:
            source.resources[name].selected = table not in settings.skipped


def working_folder(settings: Settings) -> Path:
    """Return dlt's working folder."""
    return settings.qtickets_home / "dlt"


@contextmanager
def translated_errors(warehouse: Warehouse | None, folder: Path) -> Iterator[None]:
    """Raise the one error of dlt's chain of exceptions that an operator can act on."""
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
        # The last one that was raised says most.
        for cause in reversed([*_causes(error)]):
            if isinstance(cause, SaltChanged | OtherAccount):
                raise ConfigurationError(str(cause)) from error
            if isinstance(cause, QTicketsError):
                raise ServiceError(str(cause), cause=type(cause).__name__) from error
        for cause in _causes(error):
            name = type(cause).__module__
            if warehouse and name.startswith(("clickhouse_", "dlt.destinations")):
                raise ClickHouseError(
                    "Loading the raw tables failed. "
                    + warehouse.error_message(str(cause), warehouse.loader)
                ) from error
            if isinstance(cause, ConfigurationException):
                raise RunError(f"dlt's configuration: {cause}") from error
        # Connections to the service raise errors of the source, so this one is ClickHouse's.
        if warehouse and any(isinstance(c, EOFError | ConnectionError) for c in _causes(error)):
            raise ClickHouseError(
                f"Loading the raw tables failed. ClickHouse at {warehouse.host}:"
                f"{warehouse.native_port} (native protocol) closed the connection. Check that the"
                " server is up; the next run repeats what is missing.",
                cause="native connection",
            ) from error
        raise


def _causes(error: BaseException) -> Iterator[BaseException]:
    """Return the error and its causes, innermost first."""
    chain: list[BaseException] = []
    current: BaseException | None = error
    while current is not None and current not in chain:
        chain.append(current)
        hidden = current.__suppress_context__
        current = current.__cause__ or (None if hidden else current.__context__)
    return reversed(chain)


def _inspect(warehouse: Warehouse) -> tuple[datetime, set[str], timedelta]:
    """Return the newest `_fetched_at` (UTC), tables that are not complete, and the clock's lead.

    The version is read from the rows: a killed load leaves rows that no state knows. A killed
    first run may have left any of the tables, and an earlier release made them without columns of
    this one.
    """
    newest = datetime.fromtimestamp(0, timezone.utc)
    with warehouse.connect(warehouse.loader) as client:
        tables = client.query(
            "SELECT table, groupArray(name) FROM system.columns WHERE database = {db:String}"
            " GROUP BY table",
            parameters={"db": warehouse.raw_db},
        ).result_rows
        existing = {str(table): set(names) for table, names in tables}
        now = client.query("SELECT now64(6, 'UTC')", query_tz="UTC").result_rows[0][0]
        ahead = now.replace(tzinfo=timezone.utc) - datetime.now(timezone.utc)
        for table in existing.keys() & {"orders", "inventory", "events"}:
            value = client.query(
                f"SELECT max(_fetched_at) FROM {warehouse.raw_db}.{table}",  # noqa: S608
                query_tz="UTC",
            ).result_rows[0][0]
            newest = max(newest, value.replace(tzinfo=timezone.utc))
    incomplete = {
        table.name
        for table in ALL_TABLES
        if not {column.name for column in table.columns} <= existing.get(table.name, set())
    }
    return newest, incomplete, ahead
