"""The drain: orders that webhooks named are read again, loaded, and the marts of sales are built.

It does what a run does, under the same lock and with a job record of its own (`<JOB_NAME>_live`),
but it asks only for these orders, moves no cursor, and builds only the marts that sales touch.
"""

import json
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone

from rich.console import Console

from pipelines.configuration.environment import Settings
from pipelines.errors import RunError
from pipelines.loading.hinted import load_hinted
from pipelines.loading.progress import TerminalProgress
from pipelines.run import Opened, logged_job
from pipelines.run_lock import exclusive_run, interruptible
from pipelines.run_report import RunReport
from pipelines.service.spool import PendingOrder
from pipelines.transform.build_plan import marts_state, plan_build
from pipelines.transform.dbt_build import build_marts
from pipelines.warehouse.job_log import JobRecord, live_job, start_job
from qtickets_source import HintedOrders

PROVEN_FOR = timedelta(minutes=10)
"""Every reading checks the rows that come; this is about rows that a filter leaves out."""
MODELS_OF_SALES = ("--selector", "live_sales")


@dataclass
class DrainMemory:
    """What the process remembers from drain to drain; a scheduled run makes it start afresh.

    Attributes:
        digests: Digests of the orders that drains have loaded.
        proven_at: When the service last proved that it understands filters of orders.
    """

    digests: dict[str, str] = field(default_factory=dict)
    proven_at: datetime | None = None

    def is_proven(self, now: datetime) -> bool:
        return self.proven_at is not None and now - self.proven_at < PROVEN_FOR


@dataclass
class DrainReport:
    """What a drain did.

    Attributes:
        report: As of a run.
        read: The orders that need not be read again.
        not_found: The orders that the service does not list.
    """

    report: RunReport
    read: list[PendingOrder] = field(default_factory=list)
    not_found: list[PendingOrder] = field(default_factory=list)


def drain(
    settings: Settings, opened: Opened, orders: list[PendingOrder], memory: DrainMemory
) -> DrainReport:
    """Read orders again, load what has changed, and build the marts of sales.

    Raises:
        RunError: As a run. The orders stay in the spool.
    """
    report = RunReport()
    now = datetime.now(timezone.utc)
    hinted = HintedOrders(
        [order.order_id for order in orders],
        datetime.fromtimestamp(min(order.first_at for order in orders), timezone.utc),
        memory.digests,
    )
    live = settings.model_copy(update={"job_name": live_job(settings.job_name)})
    with interruptible(), exclusive_run(settings):
        record = start_job(live, opened.warehouse)
        with logged_job(record, report):
            is_proven = memory.is_proven(now)
            with report.timed("load"):
                report.load = load_hinted(
                    settings,
                    opened.service,
                    opened.warehouse,
                    TerminalProgress(Console(quiet=True)),
                    hinted,
                    is_proven=is_proven,
                )
            if report.load.observed.filters_proven and not is_proven:
                memory.proven_at = now
            if report.rows and _last_run_was_ok(settings, record):
                with report.timed("marts"):
                    _build(record, report)
    listed = [order for order in orders if order.order_id in hinted.read]
    others = [order for order in orders if order.order_id not in hinted.read]
    if not hinted.was_asked:
        # The sweep cannot find them, for instance because only a scan has changed: the daily
        # reading does.
        return DrainReport(report, orders)
    return DrainReport(report, listed, others)


def _build(record: JobRecord, report: RunReport) -> None:
    settings, warehouse = record.settings, record.warehouse
    plan = plan_build(settings, warehouse)
    if plan.changed_since is None:
        report.marts = build_marts(settings, warehouse, *MODELS_OF_SALES)
        return
    # A partial rebuild must rebuild all tables together: docs/partial_rebuilds.md.
    report.marts = build_marts(settings, warehouse, changed_since=plan.changed_since)
    report.marts_state = marts_state(record, plan, report.marts.warnings)


def _last_run_was_ok(settings: Settings, record: JobRecord) -> bool:
    """Return whether the last scheduled run built the marts and their tests passed.

    If not, its models are not to be trusted with new rows: the dashboard keeps the last good ones.
    """
    with record.warehouse.connect(record.warehouse.transformer) as client:
        rows = client.query(
            f"SELECT status, metrics FROM `{settings.clickhouse_db}`.meta_job_runs"  # noqa: S608
            " WHERE job = {job:String} ORDER BY started_at DESC LIMIT 1",
            parameters={"job": settings.job_name},
        ).result_rows
    return bool(rows) and rows[0][0] == "ok" and "models" in json.loads(rows[0][1])


def is_temporary(error: RunError) -> bool:
    """Return whether a drain that failed so may succeed in a few seconds."""
    return error.exit_code in (3, 4, 75)
