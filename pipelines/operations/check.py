"""`check`: is what the dashboard shows up to date and correct?

It only reads. Neither dlt nor dbt is imported, so that a probe takes a second.
"""

import time
from collections.abc import Callable, Iterator
from datetime import datetime, timezone

from clickhouse_connect.driver.client import Client

from pipelines.configuration.environment import Settings
from pipelines.errors import ClickHouseError, RunError
from pipelines.operations.checks.deadline import TimedChecks
from pipelines.operations.checks.disks import check_home_disk, check_server_disks
from pipelines.operations.checks.health import Check, Health
from pipelines.operations.checks.marts import FACTS, RAW_TABLES, check_marts, read_differences
from pipelines.operations.checks.runs import (
    check_freshness,
    check_last_run,
    check_left_out,
    check_quality,
    check_reconciliation,
    check_webhooks,
    read_job_log,
    without_future_runs,
)
from pipelines.operations.checks.service import check_service
from pipelines.operations.checks.silence import TABLES as SILENCE_TABLES
from pipelines.operations.checks.silence import check_silence, last_reading, read_silences
from pipelines.warehouse.job_log import JOB_TABLES
from pipelines.warehouse.server import Warehouse, describe_missing, open_warehouse

SECONDS = 20
"""How long the service and ClickHouse may take, side by side. Monitors give up after 30 s."""


def check(settings: Settings) -> Health:
    """Check everything within `SECONDS`.

    A check that cannot be made, or does not end in time, is an error among the findings.
    """
    now = datetime.now(timezone.utc)
    service = TimedChecks("service", settings.qtickets_base_url, lambda: [check_service(settings)])
    clickhouse = TimedChecks(
        "clickhouse",
        f"ClickHouse at {settings.clickhouse_host or settings.qtickets_home / 'clickhouse'}",
        lambda: _check_warehouse(settings, now),
    )
    checks = [
        *service.collect(SECONDS),
        *clickhouse.collect(SECONDS),
        check_home_disk(settings),
    ]
    return Health(now, settings.mode, checks)


def _check_warehouse(settings: Settings, now: datetime) -> Iterator[Check]:
    if not settings.clickhouse_host and not (settings.qtickets_home / "clickhouse").exists():
        # Starting the embedded server would write its files.
        yield Check("clickhouse", "error", "Nothing was loaded yet: no run has been made here.")
        return
    try:
        with open_warehouse(settings) as warehouse:
            yield from _check_clickhouse(settings, warehouse, now)
    except RunError as error:
        yield Check("clickhouse", "error", str(error))


def _check_clickhouse(settings: Settings, warehouse: Warehouse, now: datetime) -> Iterator[Check]:
    with warehouse.connect(warehouse.transformer) as client:
        started = time.monotonic()
        version = str(client.command("SELECT version()"))
        milliseconds = round((time.monotonic() - started) * 1000)
        yield Check(
            "clickhouse",
            "ok",
            f"ClickHouse {version} at {warehouse.host}:{warehouse.port} answers in"
            f" {milliseconds} ms.",
            {"version": version, "milliseconds": milliseconds},
        )

        def guarded(name: str, read: Callable[[], list[Check]]) -> list[Check]:
            """Return the findings of `read`, or one error if it fails, e.g. for lack of a grant."""
            try:
                with warehouse.translated_errors(warehouse.transformer):
                    return read()
            except ClickHouseError as error:
                return [Check(name, "error", str(error))]

        if warehouse.cluster:
            yield from guarded("cluster", lambda: [_check_replicas(warehouse)])
        yield from guarded("server_disk", lambda: check_server_disks(settings, client))
        yield from guarded("data", lambda: _check_data(settings, warehouse, client, now))


def _check_replicas(warehouse: Warehouse) -> Check:
    missing = warehouse.missing_replicas()
    if missing:
        text = describe_missing(missing, warehouse.cluster or "")
        return Check("cluster", "error", text, {"missing": missing})
    return Check("cluster", "ok", f"Every replica of cluster {warehouse.cluster} answers.")


def _check_data(
    settings: Settings, warehouse: Warehouse, client: Client, now: datetime
) -> list[Check]:
    existing = {
        (str(database), str(table))
        for database, table in client.query(
            "SELECT database, name FROM system.tables WHERE database IN {databases:Array(String)}",
            parameters={"databases": [warehouse.raw_db, warehouse.marts_db]},
        ).result_rows
    }
    if not {(warehouse.marts_db, table) for table in JOB_TABLES} <= existing:
        return [Check("last_run", "error", "No run was ever recorded in this ClickHouse.")]
    loaded_mode = warehouse.loaded_mode()
    if loaded_mode and loaded_mode != settings.mode:
        return [
            Check(
                "data",
                "error",
                f"The databases hold {loaded_mode} data, and the configuration is for"
                f" {settings.mode} data. Check QTICKETS_TOKEN and CLICKHOUSE_DB.",
                {"holds": loaded_mode},
            )
        ]
    compared = {(warehouse.marts_db, fact) for fact in FACTS}
    compared |= {(warehouse.raw_db, table) for table in RAW_TABLES}
    # Before the job log is read: a run that starts in between is then seen as in progress.
    differences = read_differences(warehouse, client) if compared <= existing else None
    log, in_the_future = without_future_runs(read_job_log(settings, warehouse, client), now)
    read_at = last_reading(log.runs)
    # Recorded pages end where they were recorded, and facts that lack orders look silent.
    is_watched = settings.mode != "offline" and not differences
    has_marts = {(warehouse.marts_db, table) for table in SILENCE_TABLES} <= existing
    silences = (
        read_silences(warehouse, client, read_at) if is_watched and has_marts and read_at else []
    )
    return [
        *in_the_future,
        check_last_run(log, now),
        *check_freshness(settings, log.runs, now),
        check_left_out(log.runs),
        check_reconciliation(log.runs),
        check_webhooks(log.runs, now),
        check_quality(log.runs),
        *check_silence(silences, read_at),
        check_marts(differences, log.unfinished_since or log.live_since, now),
    ]
