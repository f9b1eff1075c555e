"""`compact`: what nobody reads any more goes, so that a server of many years stays small.

Old versions of raw rows, which merges in the background remove only some day; snapshots of seats
finer than `fact_qtickets_inventory_history` keeps them; old job records and states of dlt. No
number of the marts changes by it.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from zoneinfo import ZoneInfo

from clickhouse_connect.driver.client import Client

from pipelines.configuration.environment import Settings
from pipelines.run_lock import exclusive_run
from pipelines.warehouse.job_log import JOB_TABLES
from pipelines.warehouse.server import Warehouse, open_warehouse
from qtickets_source.rows.schema import TABLE_NAMES

# As in dbt_project/models/marts/fact_qtickets_inventory_history.sql.
EVERY_SNAPSHOT_DAYS = 7
HOURLY_DAYS = 60

STATES_KEPT = 100
STATE_DAYS = 30


@dataclass(frozen=True)
class Compacted:
    """What became of a table: rows as stored, old versions counted, and bytes on the disk."""

    table: str
    rows: tuple[int, int]
    bytes: tuple[int, int]


def compact(settings: Settings) -> list[Compacted]:
    """Removes what is of no more use; tables that became smaller, before and after.

    Raises:
        ClickHouseError, BusyError: What was done before that is done, and no harm.
    """
    with exclusive_run(settings), open_warehouse(settings) as warehouse:
        before = _sizes(warehouse)
        now = datetime.now(timezone.utc)
        with warehouse.connect(warehouse.loader) as client:
            there = {table.partition(".")[2] for table in before if _is_raw(table, warehouse)}
            if "inventory" in there:
                _thin_snapshots(client, warehouse.raw_db, _today(settings, now), settings.report_tz)
            if "_dlt_pipeline_state" in there:
                _thin_states(client, warehouse.raw_db, now)
            for table in TABLE_NAMES:
                if table in there:
                    client.command(f"OPTIMIZE TABLE `{warehouse.raw_db}`.`{table}` FINAL")
        if f"{warehouse.marts_db}.meta_job_runs" in before:
            with warehouse.connect(warehouse.transformer) as client:
                _drop_old_jobs(client, warehouse, now - timedelta(days=settings.qtickets_job_days))
        after = _sizes(warehouse)
    return list(_smaller(before, after))


def _thin_snapshots(client: Client, raw_db: str, today: str, zone: str) -> None:
    """Of each show's snapshots keeps those that the history keeps, for whole events.

    The last of each hour, or day, of a show, as the history; and the same moment of every other
    show of its event, so that an event's snapshot is always that of all its shows.
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
    superfluous = f"{old} AND (event_id, snapshot_at) NOT IN ({kept})"
    _delete(client, inventory, superfluous)


def _thin_states(client: Client, raw_db: str, now: datetime) -> None:
    """Keeps the newest states of dlt, of which it reads the last complete one, and their loads."""
    states, loads = (f"`{raw_db}`.{table}" for table in ("_dlt_pipeline_state", "_dlt_loads"))
    since = f"toDateTime64('{now - timedelta(days=STATE_DAYS):%Y-%m-%d %H:%M:%S}', 6, 'UTC')"
    # By the load, as dlt looks for the last one.
    newest = (
        f"SELECT _dlt_load_id FROM {states}"  # noqa: S608
        f" ORDER BY _dlt_load_id DESC LIMIT {STATES_KEPT}"
    )
    _delete(client, states, f"created_at < {since} AND _dlt_load_id NOT IN ({newest})")
    used = f"SELECT _dlt_load_id FROM {states}"  # noqa: S608
    _delete(client, loads, f"inserted_at < {since} AND load_id NOT IN ({used})")


def _drop_old_jobs(client: Client, warehouse: Warehouse, before: datetime) -> None:
    moment = f"toDateTime64('{before:%Y-%m-%d %H:%M:%S}', 3, 'UTC')"
    for table in JOB_TABLES:
        _delete(client, f"`{warehouse.marts_db}`.{table}", f"started_at < {moment}")


def _delete(client: Client, table: str, condition: str) -> None:
    """Deletes rows, if there are any: a mutation that finds none still costs a rewrite.

    Replicated tables pass it on by themselves, as they do a merge: ON CLUSTER would repeat it.
    """
    found = f"SELECT count() > 0 FROM {table} WHERE {condition}"  # noqa: S608
    if client.command(found):
        client.command(
            f"ALTER TABLE {table} DELETE WHERE {condition}",
            settings={"mutations_sync": 2, "allow_nondeterministic_mutations": 1},
        )


def _today(settings: Settings, now: datetime) -> str:
    """The date as of which the marts are seen, in the reporting time zone."""
    if settings.report_now:
        now = datetime.fromisoformat(settings.report_now).replace(tzinfo=timezone.utc)
    return now.astimezone(ZoneInfo(settings.report_tz)).date().isoformat()


def _is_raw(table: str, warehouse: Warehouse) -> bool:
    return table.startswith(f"{warehouse.raw_db}.")


def _sizes(warehouse: Warehouse) -> dict[str, tuple[int, int]]:
    """(rows, bytes) of each table."""
    found: dict[str, tuple[int, int]] = {}
    for login, database in warehouse.databases:
        with warehouse.connect(login) as client:
            rows = client.query(
                "SELECT name, total_rows, total_bytes FROM system.tables"
                " WHERE database = {db:String} AND total_rows IS NOT NULL",
                parameters={"db": database},
            ).result_rows
        found |= {f"{database}.{name}": (int(rows), int(size or 0)) for name, rows, size in rows}
    return found


def _smaller(
    before: dict[str, tuple[int, int]], after: dict[str, tuple[int, int]]
) -> Iterator[Compacted]:
    for table, (rows, size) in sorted(before.items()):
        rows_now, size_now = after.get(table, (0, 0))
        if rows_now < rows:
            yield Compacted(table, (rows, rows_now), (size, size_now))
