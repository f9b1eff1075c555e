"""The job log: each run adds a row to `meta_job_starts`, and one to `meta_job_runs` at its end.

The view `quarantined_orders` shows the orders that the last successful run left out.

Both tables are append-only. A start without an end is a run that was killed: the next run records
it as an error.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timezone
from typing import Any
from uuid import UUID, uuid4

from clickhouse_connect.driver.client import Client

from pipelines.configuration.environment import Settings
from pipelines.warehouse.server import Warehouse

# Starts come first wherever both tables change: a start without its end looks like a killed run.
JOB_TABLES = ("meta_job_starts", "meta_job_runs")

_TABLES = (
    """
    CREATE TABLE IF NOT EXISTS `{db}`.meta_job_starts{on_cluster} (
        job LowCardinality(String),
        run_id UUID,
        started_at DateTime64(3, 'UTC'),
        mode LowCardinality(String) COMMENT 'live, demo or offline: whose sales the databases hold'
    ) ENGINE = {engine} ORDER BY (job, started_at)
    """,
    """
    CREATE TABLE IF NOT EXISTS `{db}`.meta_job_runs{on_cluster} (
        job LowCardinality(String),
        run_id UUID,
        started_at DateTime64(3, 'UTC'),
        finished_at DateTime64(3, 'UTC'),
        status LowCardinality(String) COMMENT 'ok or error',
        rows_processed UInt64 COMMENT 'rows fetched into raw tables',
        message String,
        metrics String COMMENT 'JSON: rows, requests, retries, seconds by step'
    ) ENGINE = {engine} ORDER BY (job, started_at)
    """,
    """
    CREATE VIEW IF NOT EXISTS `{db}`.quarantined_orders{on_cluster} AS
    SELECT
        job,
        left_out.1 AS order_id,
        left_out.2 AS reason,
        parseDateTimeBestEffortOrNull(left_out.3, 'UTC') AS since
    FROM (
        SELECT
            job,
            JSONExtract(
                metrics,
                'quarantined_orders',
                'Array(Tuple(id UInt64, reason String, since String))'
            ) AS orders
        FROM `{db}`.meta_job_runs
        WHERE status = 'ok'
        ORDER BY started_at DESC
        LIMIT 1 BY job
    )
    ARRAY JOIN orders AS left_out
    COMMENT 'Paid orders that the last successful run left out, because they cannot be read'
    """,
    """
    CREATE VIEW IF NOT EXISTS `{db}`.v_qtickets_reconciliation{on_cluster} AS
    SELECT
        job,
        counted.1 AS month,
        counted.2 AS orders_at_service,
        counted.3 AS orders_loaded,
        counted.4 AS differed,
        counted.4 AND is_repaired AS repaired,
        counted.5 AS tickets_before,
        counted.6 AS tickets,
        counted.7 AS amounts_differed,
        compared_at
    FROM (
        SELECT
            job,
            finished_at AS compared_at,
            JSONExtractBool(metrics, 'reconciliation', 'is_repaired') AS is_repaired,
            JSONExtract(
                metrics,
                'reconciliation',
                'months',
                'Array(Tuple(
                    month String,
                    orders_at_service UInt64,
                    orders_loaded UInt64,
                    differs Bool,
                    tickets_before Nullable(UInt64),
                    tickets Nullable(UInt64),
                    amounts_differ Bool
                ))'
            ) AS months
        FROM `{db}`.meta_job_runs
        WHERE status = 'ok' AND JSONHas(metrics, 'reconciliation')
    )
    ARRAY JOIN months AS counted
    ORDER BY compared_at DESC
    LIMIT 1 BY job, month
    COMMENT 'Paid orders of each month (UTC) at QTickets and in the raw tables, when last compared'
    """,
)


def live_job(job_name: str) -> str:
    """Return the job under which `serve` records what it reads between scheduled runs."""
    return f"{job_name}_live"


@dataclass(frozen=True)
class JobRecord:
    """A run that has started."""

    settings: Settings
    warehouse: Warehouse
    run_id: UUID
    started_at: datetime

    def finish(
        self, status: str, *, rows_processed: int, message: str, metrics: dict[str, Any]
    ) -> None:
        """Record how the run ended: `status` is `ok` or `error`."""
        row = {
            "job": self.settings.job_name,
            "run_id": self.run_id,
            "started_at": self.started_at,
            "finished_at": datetime.now(timezone.utc),
            "status": status,
            "rows_processed": rows_processed,
            "message": message,
            "metrics": json.dumps(metrics, ensure_ascii=False),
        }
        with self.warehouse.connect(self.warehouse.transformer) as client:
            _insert(client, f"`{self.warehouse.marts_db}`.meta_job_runs", row)


def create_job_tables(warehouse: Warehouse) -> None:
    """Create the tables and the view if they are missing."""
    with warehouse.connect(warehouse.transformer) as client:
        for statement in _TABLES:
            client.command(
                statement.format(
                    db=warehouse.marts_db,
                    on_cluster=warehouse.on_cluster,
                    engine=warehouse.engine("MergeTree"),
                )
            )


def start_job(settings: Settings, warehouse: Warehouse) -> JobRecord:
    """Record that a run starts, and that earlier runs without an end were killed.

    The run lock allows one run at a time, so a run without an end is no longer running.
    """
    create_job_tables(warehouse)
    record = JobRecord(settings, warehouse, uuid4(), datetime.now(timezone.utc))
    db = warehouse.marts_db
    with warehouse.connect(warehouse.transformer) as client:
        killed = client.query(
            f"SELECT run_id, started_at FROM `{db}`.meta_job_starts"  # noqa: S608
            " WHERE job = {job:String}"
            f" AND run_id NOT IN (SELECT run_id FROM `{db}`.meta_job_runs)",
            parameters={"job": settings.job_name},
            query_tz="UTC",
        ).result_rows
        for run_id, started_at in killed:
            message = "The run was killed. The next run repeats its work."
            row = {
                "job": settings.job_name,
                "run_id": run_id,
                "started_at": started_at.replace(tzinfo=timezone.utc),
                "finished_at": record.started_at,
                "status": "error",
                "message": message,
                "metrics": "{}",
            }
            _insert(client, f"`{db}`.meta_job_runs", row)
        start = {
            "job": settings.job_name,
            "run_id": record.run_id,
            "started_at": record.started_at,
            "mode": settings.mode,
        }
        _insert(client, f"`{db}`.meta_job_starts", start)
    return record


def _insert(client: Client, table: str, row: dict[str, Any]) -> None:
    """Insert one row as JSON: the driver's own insert first queries the table's columns."""
    client.raw_insert(table, insert_block=json.dumps(row, default=_text), fmt="JSONEachRow")


def _text(value: object) -> str:
    """Return a value as ClickHouse reads it: times in UTC with milliseconds."""
    if isinstance(value, datetime):
        return f"{value.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S.%f}"[:-3]
    return str(value)
