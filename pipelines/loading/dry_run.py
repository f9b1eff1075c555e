"""A dry run: fetch and count what a run would load, and write nothing."""

from collections.abc import Callable
from datetime import datetime, timezone
from pathlib import Path
from tempfile import TemporaryDirectory

import dlt

from pipelines.configuration.environment import Settings
from pipelines.configuration.library_environment import environment
from pipelines.loading.pipeline import (
    DLT_SETTINGS,
    LoadReport,
    open_pipeline,
    select_resources,
    source_configuration,
    source_state,
    translated_errors,
)
from pipelines.loading.service import Service, open_service
from pipelines.operations.probe_report import probe
from pipelines.warehouse.server import Warehouse, open_warehouse
from qtickets_source import qtickets_source
from qtickets_source.probe import Probe
from qtickets_source.rows.schema import TABLE_NAMES


def dry_run(settings: Settings, show: Callable[[Probe], object]) -> LoadReport:
    """Fetch and count what a run would load, and write nothing anywhere.

    Args:
        settings: The settings of the run.
        show: Called first, with what the service honours.

    Raises:
        ServiceError, ClickHouseError: As a run.
    """
    embedded_is_new = not (settings.qtickets_home / "clickhouse").exists()
    report = LoadReport()
    # What is asked first uses dlt too, which sets up its log once.
    with environment(DLT_SETTINGS), open_service(settings) as service:
        with translated_errors(None, settings.qtickets_home):
            show(probe(settings, service, report.observed))
        if not settings.clickhouse_host and embedded_is_new:
            # Nothing was ever loaded; starting a server to find that out would write its files.
            return _count_new_rows(settings, service, None, report)
        with open_warehouse(settings) as warehouse:
            return _count_new_rows(settings, service, warehouse, report)


def _count_new_rows(
    settings: Settings, service: Service, warehouse: Warehouse | None, report: LoadReport
) -> LoadReport:
    """Fetch what a run would load, and discard it.

    Args:
        settings: The settings of the run.
        service: The service to read.
        warehouse: The cursor of the last run is read from it; None for a first run.
        report: Rows are added; its dialect holds what the service is known not to honour.
    """
    with (
        TemporaryDirectory(prefix="qtickets-dry-run-") as folder,
        open_pipeline(warehouse, Path(folder)) as pipeline,
    ):
        if warehouse:
            pipeline.sync_destination()
        since = source_state(pipeline).get("cursor_from")
        config = source_configuration(
            settings,
            service,
            initial_since=since or settings.initial_since(datetime.now(timezone.utc)),
            keep_salt=False,
        )
        source = qtickets_source(config, observed=report.observed)
        select_resources(source, settings)
        pipeline.extract(source, loader_file_format="parquet")
        report.rows = _extracted_rows(pipeline)
    return report


def _extracted_rows(pipeline: dlt.Pipeline) -> dict[str, int]:
    counts = dict.fromkeys(TABLE_NAMES, 0)
    trace = pipeline.last_trace
    info = trace.last_extract_info if trace else None
    for metrics in info.metrics.values() if info else ():
        for step in metrics:
            for table, table_metrics in step["table_metrics"].items():
                if table in counts:
                    counts[table] += table_metrics.items_count
    return counts
