"""Backups: ClickHouse's own BACKUP and RESTORE of the data that cannot be rebuilt.

That is the raw tables with dlt's state, and the job log. The restore builds the marts from them.
"""

import re
import shutil
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path

from clickhouse_connect.driver.client import Client

from pipelines.configuration.environment import Settings
from pipelines.errors import BusyError, ClickHouseError, ConfigurationError
from pipelines.warehouse.job_log import JOB_TABLES
from pipelines.warehouse.objects import TableName
from pipelines.warehouse.server import Warehouse, open_warehouse

# The state is copied last: rows without their state are loaded again, but a state without its rows
# would leave them out for good.
DLT_TABLES = ("_dlt_version", "_dlt_loads", "_dlt_pipeline_state")
_AUTOMATIC_NAME = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}\.\d{3}Z")
_RESTORED = "__restored"
_NOT_IN_BACKUP = "BACKUP_ENTRY_NOT_FOUND"
# ClickHouse writes this file last: without it a backup is incomplete.
_METADATA = ".backup"


@dataclass(frozen=True)
class Backup:
    """A backup of the embedded ClickHouse; `bytes` is the size of its files."""

    name: str
    made_at: datetime
    bytes: int


def create(settings: Settings, name: str | None = None) -> str:
    """Back up the raw tables, dlt's tables and the job log; return the name of the backup.

    What an interrupted backup of the embedded server has left is removed first.

    Args:
        settings: The settings of the command.
        name: Name of the backup; None: the current time.

    Raises:
        ConfigurationError: The name is invalid or taken, or there are no tables.
        ClickHouseError: ClickHouse rejected the backup.
        BusyError: A run is in progress, or the server still writes another backup.
    """
    from pipelines.run_lock import exclusive_run

    _require_shared_target(settings)
    now = datetime.now(timezone.utc)
    name = _valid_name(name or f"{now:%Y-%m-%dT%H-%M-%S}.{now.microsecond // 1000:03}Z")
    with (
        exclusive_run(settings),
        open_warehouse(settings) as warehouse,
        warehouse.connect(warehouse.backup_login) as client,
    ):
        tables = [f"TABLE `{database}`.`{table}`" for database, table in _tables(client, warehouse)]
        if not tables:
            raise ConfigurationError(
                f"There is nothing to back up: databases {warehouse.raw_db} and"
                f" {warehouse.marts_db} have no tables. Load data first."
            )
        if not settings.clickhouse_host:
            _remove_interrupted(settings, client)
        try:
            with warehouse.translated_errors(warehouse.backup_login):
                client.command(
                    f"BACKUP {', '.join(tables)}{warehouse.on_cluster} TO {_target(settings, name)}"
                )
        except ClickHouseError as error:
            if "BACKUP_ALREADY_EXISTS" in str(error.__cause__):
                raise ConfigurationError(
                    f"There is already a backup {name}, or the remains of one that was interrupted."
                    " Choose another name. Nothing was backed up."
                ) from error
            raise
    return name


def _remove_interrupted(settings: Settings, client: Client) -> None:
    """Delete incomplete backups of the embedded server, which would keep their names taken.

    Raises:
        BusyError: The server still writes one, whose command was killed.
    """
    writing = client.query(
        "SELECT name FROM system.backups WHERE status = 'CREATING_BACKUP' LIMIT 1"
    ).result_rows
    if writing:
        raise BusyError(
            f"The server still writes the backup {writing[0][0]}, whose command was killed."
            " Nothing was done; try again when `backup --list` shows it."
        )
    for folder in _folders(settings):
        if not (folder / _METADATA).exists():
            shutil.rmtree(folder)


def restore(settings: Settings, name: str, *, replace: bool) -> int:
    """Restore a backup and build the marts from it; return the number of tables.

    The tables are restored under temporary names. Only when all are complete do they replace the
    present ones, dlt's state first: with a state older than the rows the next run loads some rows
    again, with a newer one it would miss some.

    Raises:
        ConfigurationError: There is no such backup, it has no orders, or the databases hold data
            and `replace` is false.
        ClickHouseError: A table could not be restored; the present tables are unchanged.
        MartsError: The marts could not be built; the next run builds them.
        BusyError: A run is in progress.
    """
    from pipelines.run_lock import exclusive_run
    from pipelines.transform.dbt_build import build_marts
    from qtickets_source.rows.schema import TABLE_NAMES

    _require_shared_target(settings)
    name = _valid_name(name)
    with exclusive_run(settings), open_warehouse(settings) as warehouse:
        warehouse.create_databases()
        if not replace and (orders := _orders(warehouse)):
            raise ConfigurationError(
                f"{warehouse.raw_db} holds {orders:,} orders. Add --replace to replace them with"
                " the backup."
            )
        tables = [TableName(warehouse.marts_db, table) for table in JOB_TABLES]
        tables += [TableName(warehouse.raw_db, table) for table in DLT_TABLES]
        tables += [
            TableName(warehouse.raw_db, table) for table in ("dlt_sentinel_table", *TABLE_NAMES)
        ]
        _drop_temporary_tables(warehouse, tables)
        restored = _restore_temporary_tables(settings, warehouse, name, tables)
        if (warehouse.raw_db, "orders") not in restored:
            _drop_temporary_tables(warehouse, tables)
            raise ConfigurationError(
                f"Backup {name} has no table {warehouse.raw_db}.orders. Name another backup, or"
                " check CLICKHOUSE_DB."
            )
        for table in restored:
            _replace_with_restored(warehouse, table)
        build_marts(settings, warehouse, "--full-refresh")
    return len(restored)


def _restore_temporary_tables(
    settings: Settings, warehouse: Warehouse, name: str, tables: list[TableName]
) -> list[TableName]:
    """Restore tables under temporary names; return those that the backup has."""
    restored = []
    try:
        with warehouse.connect(warehouse.backup_login) as client:
            for database, table in tables:
                statement = (
                    f"RESTORE TABLE `{database}`.`{table}` AS `{database}`.`{table}{_RESTORED}`"
                    f"{warehouse.on_cluster} FROM {_target(settings, name)}"
                )
                try:
                    with warehouse.translated_errors(warehouse.backup_login):
                        client.command(statement)
                except ClickHouseError as error:
                    # The backup is older than the table.
                    if _NOT_IN_BACKUP not in str(error.__cause__):
                        raise
                    continue
                restored.append(TableName(database, table))
    except ClickHouseError as error:
        _drop_temporary_tables(warehouse, tables)
        if "BACKUP_NOT_FOUND" in str(error.__cause__):
            raise ConfigurationError(
                f"There is no backup {name}. `backup --list` lists those of the embedded server."
            ) from error
        raise
    return restored


def _replace_with_restored(warehouse: Warehouse, name: TableName) -> None:
    (database, table), on_cluster = name, warehouse.on_cluster
    temporary = f"`{database}`.`{table}{_RESTORED}`"
    with warehouse.connect(warehouse.owner(database)) as client:
        if client.command(f"EXISTS TABLE `{database}`.`{table}`"):
            client.command(f"EXCHANGE TABLES `{database}`.`{table}` AND {temporary}{on_cluster}")
            client.command(f"DROP TABLE {temporary}{on_cluster} SYNC")
        else:
            client.command(f"RENAME TABLE {temporary} TO `{database}`.`{table}`{on_cluster}")


def _drop_temporary_tables(warehouse: Warehouse, tables: list[TableName]) -> None:
    """Drop the temporary tables of a restore that failed or was interrupted."""
    for database, table in tables:
        with warehouse.connect(warehouse.owner(database)) as client:
            client.command(
                f"DROP TABLE IF EXISTS `{database}`.`{table}{_RESTORED}`{warehouse.on_cluster} SYNC"
            )


def _orders(warehouse: Warehouse) -> int:
    with warehouse.connect(warehouse.loader) as client:
        if not client.command(f"EXISTS TABLE `{warehouse.raw_db}`.orders"):
            return 0
        count = client.command(f"SELECT count() FROM `{warehouse.raw_db}`.orders")  # noqa: S608
        return int(str(count))


def _tables(client: Client, warehouse: Warehouse) -> list[TableName]:
    """Return the tables to back up."""
    rows = client.query(
        "SELECT database, name FROM system.tables WHERE engine LIKE '%MergeTree'"
        " AND NOT endsWith(name, {restored:String}) AND ("
        " database = {raw:String} OR (database = {db:String} AND name IN {jobs:Array(String)}))"
        " ORDER BY database, name",
        parameters={
            "raw": warehouse.raw_db,
            "db": warehouse.marts_db,
            "jobs": list(JOB_TABLES),
            "restored": _RESTORED,
        },
    ).result_rows
    return [TableName(str(database), str(table)) for database, table in rows]


def _require_shared_target(settings: Settings) -> None:
    """Check that all replicas of a cluster can reach the target of backups.

    Raises:
        ConfigurationError: It is a place on the disk of each server.
    """
    target = settings.qtickets_backup_target
    place = target.get_secret_value() if target else "File('{name}')"
    if settings.clickhouse_cluster and re.match(r"(File|Disk|Memory|Null)\(", place):
        raise ConfigurationError(
            "A backup of a cluster needs a place that every replica reaches, such as"
            " S3('https://…/{name}', 'key', 'secret'): on its own disk each replica would find a"
            " part of it. Set QTICKETS_BACKUP_TARGET. Nothing was backed up."
        )


def _target(settings: Settings, name: str) -> str:
    """Return the place of a backup as an expression in ClickHouse's SQL."""
    if settings.qtickets_backup_target:
        return settings.qtickets_backup_target.get_secret_value().replace("{name}", name)
    return f"File('{name}')" if settings.clickhouse_host else f"Disk('backups', '{name}')"


def _valid_name(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,79}", name):
        raise ConfigurationError(f"{name!r} is no name for a backup: use letters, digits, _ . -")
    return name


def backups_folder(settings: Settings) -> Path:
    """Return the folder with the backups of the embedded ClickHouse."""
    return settings.qtickets_home / "clickhouse" / "backups"


def _folders(settings: Settings) -> list[Path]:
    folder = backups_folder(settings)
    return list(folder.iterdir()) if folder.is_dir() else []


def backups(settings: Settings) -> list[Backup]:
    """Return the complete backups of the embedded ClickHouse, oldest first."""
    found = []
    for path in _folders(settings):
        metadata = path / _METADATA
        if metadata.exists():
            made_at = datetime.fromtimestamp(metadata.stat().st_mtime, timezone.utc)
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            found.append(Backup(path.name, made_at, size))
    return sorted(found, key=lambda backup: (backup.made_at, backup.name))


def thin(settings: Settings, keep: int) -> list[str]:
    """Delete all but the newest `keep` of the automatically named backups; return their names."""
    automatic = [item.name for item in backups(settings) if _AUTOMATIC_NAME.fullmatch(item.name)]
    old = automatic[:-keep]
    for name in old:
        shutil.rmtree(backups_folder(settings) / name)
    return old
