"""Compaction: delete data that no model reads, so that the tables stay small over years.

Deleted are old versions of raw rows, which background merges may keep for long; snapshots of seats
that `fact_qtickets_inventory_history` does not keep either; old job records and states of dlt. The
marts do not change.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import NamedTuple
from zoneinfo import ZoneInfo

from clickhouse_connect.driver.client import Client

from pipelines.configuration.environment import Settings
from pipelines.run_lock import exclusive_run
from pipelines.warehouse.job_log import JOB_TABLES, live_job
from pipelines.warehouse.server import Warehouse, open_warehouse
from qtickets_source.rows.schema import TABLE_NAMES

# The same as in dbt_project/models/marts/fact_qtickets_inventory_history.sql.
EVERY_SNAPSHOT_DAYS = 7
HOURLY_DAYS = 60

LIVE_JOB_DAYS = 7
STATES_KEPT = 100
STATE_DAYS = 30


@dataclass(frozen=True)
class Compacted:
    """Size of a table before and after.

    Attributes:
        table: Database and name.
        rows: Stored rows, old versions included.
        bytes: Bytes on disk.
    """

    table: str
    rows: tuple[int, int]
    bytes: tuple[int, int]


class _Size(NamedTuple):
    rows: int
    bytes: int


def compact(settings: Settings) -> list[Compacted]:
    """Delete data that no model reads; return the tables that became smaller.

    Raises:
        ClickHouseError, BusyError: Steps that were done before the error remain done.
    """
    with exclusive_run(settings), open_warehouse(settings) as warehouse:
        before = _sizes(warehouse)
        now = datetime.now(timezone.utc)
        with warehouse.connect(warehouse.loader) as client:
            existing = {table.partition(".")[2] for table in before if _is_raw(table, warehouse)}
            if "inventory" in existing:
                _thin_snapshots(client, warehouse.raw_db, _today(settings, now), settings.report_tz)
            if "_dlt_pipeline_state" in existing:
                _thin_states(client, warehouse.raw_db, now)
            for table in TABLE_NAMES:
                if table in existing:
                    client.command(f"OPTIMIZE TABLE `{warehouse.raw_db}`.`{table}` FINAL")
        if f"{warehouse.marts_db}.meta_job_runs" in before:
            with warehouse.connect(warehouse.transformer) as client:
                _drop_old_jobs(client, warehouse, now - timedelta(days=settings.qtickets_job_days))
        after = _sizes(warehouse)
    return list(_smaller(before, after))


def _thin_snapshots(client: Client, raw_db: str, today: str, zone: str) -> None:
    """Keep the snapshots that `fact_qtickets_inventory_history` keeps: the last of an hour or day.

    A snapshot that is kept of one show is kept of all shows of its event, so that the totals of an
    event always include all its shows.
    """
    local = f"toTimeZone(snapshot_at, '{zone}')"
    inventory = f"`{raw_db}`.inventory"
    old = f"toDate({local}) <= toDate('{today}') - {EVERY_SNAPSHOT_DAYS}"
    period = (
        f"if(toDate({local}) > toDate('{today}') - {HOURLY_DAYS},"
        f" toStartOfHour({local}), toDateTime(toStartOfDay({local}), '{zone}'))"
    )
    kept = (
        f"SELECT event_id, snapshot_at FROM {inventory} WHERE {old}"  # noqa: S608
        f" AND (show_id, snapshot_at) IN (SELECT show_id, max(snapshot_at) FROM {inventory}"
        f" WHERE {old} GROUP BY show_id, {period})"
    )
    _delete(client, inventory, f"{old} AND (event_id, snapshot_at) NOT IN ({kept})")


def _thin_states(client: Client, raw_db: str, now: datetime) -> None:
    """Keep the newest states of dlt, which reads the last complete one, and their loads."""
    states, loads = (f"`{raw_db}`.{table}" for table in ("_dlt_pipeline_state", "_dlt_loads"))
    since = f"toDateTime64('{now - timedelta(days=STATE_DAYS):%Y-%m-%d %H:%M:%S}', 6, 'UTC')"
    # Ordered by load ID, as dlt looks for the last state.
    newest = (
        f"SELECT _dlt_load_id FROM {states}"  # noqa: S608
        f" ORDER BY _dlt_load_id DESC LIMIT {STATES_KEPT}"
    )
    _delete(client, states, f"created_at < {since} AND _dlt_load_id NOT IN ({newest})")
    used = f"SELECT _dlt_load_id FROM {states}"  # noqa: S608
    _delete(client, loads, f"inserted_at < {since} AND load_id NOT IN ({used})")


def _drop_old_jobs(client: Client, warehouse: Warehouse, before: datetime) -> None:
    limit = f"toDateTime64('{before:%Y-%m-%d %H:%M:%S}', 3, 'UTC')"
    for table in JOB_TABLES:
        # `serve` may record a reading every few seconds.
        old = f"started_at < {limit} OR endsWith(job, '{live_job('')}')"
        old += f" AND started_at < now() - INTERVAL {LIVE_JOB_DAYS} DAY"
        _delete(client, f"`{warehouse.marts_db}`.{table}", old)


def _delete(client: Client, table: str, condition: str) -> None:
    """Delete rows if any match: a mutation without matches would still rewrite the table.

    Replicated tables replicate the mutation themselves; ON CLUSTER would repeat it.
    """
    matches = f"SELECT count() > 0 FROM {table} WHERE {condition}"  # noqa: S608
    if client.command(matches):
        client.command(
            f"ALTER TABLE {table} DELETE WHERE {condition}",
            settings={"mutations_sync": 2, "allow_nondeterministic_mutations": 1},
        )


def _today(settings: Settings, now: datetime) -> str:
    """Return the date on which the marts are read, in the reporting time zone."""
    if settings.report_now:
        now = datetime.fromisoformat(settings.report_now).replace(tzinfo=timezone.utc)
    return now.astimezone(ZoneInfo(settings.report_tz)).date().isoformat()


def _is_raw(table: str, warehouse: Warehouse) -> bool:
    return table.startswith(f"{warehouse.raw_db}.")


def _sizes(warehouse: Warehouse) -> dict[str, _Size]:
    """Return the size of each table by database and name."""
    found: dict[str, _Size] = {}
    for login, database in warehouse.databases:
        with warehouse.connect(login) as client:
            rows = client.query(
                "SELECT name, total_rows, total_bytes FROM system.tables"
                " WHERE database = {db:String} AND total_rows IS NOT NULL",
                parameters={"db": database},
            ).result_rows
        found |= {
            f"{database}.{name}": _Size(int(rows), int(size or 0)) for name, rows, size in rows
        }
    return found


def _smaller(before: dict[str, _Size], after: dict[str, _Size]) -> Iterator[Compacted]:
    for table, old in sorted(before.items()):
        new = after.get(table, _Size(0, 0))
        if new.rows < old.rows:
            yield Compacted(table, (old.rows, new.rows), (old.bytes, new.bytes))
