"""`python -m pipelines.backup`: ClickHouse's own BACKUP and RESTORE of what cannot be made anew.

That is the raw tables with dlt's state, and the job log. Marts are built from them by the restore.
"""

import re
import shutil
from dataclasses import dataclass
from datetime import datetime, timezone
from pathlib import Path
from typing import Annotated

import typer
from clickhouse_connect.driver.client import Client
from rich.console import Console

from pipelines.commands.options import EnvFile, failures_in_one_line
from pipelines.configuration.environment import Settings, read_settings
from pipelines.errors import ClickHouseError, ConfigurationError
from pipelines.warehouse.job_log import JOB_TABLES
from pipelines.warehouse.server import Warehouse, open_warehouse

# Data without a state are read again; a state without its data never is: it goes last.
DLT_TABLES = ("_dlt_version", "_dlt_loads", "_dlt_pipeline_state")
_AUTOMATIC = re.compile(r"\d{4}-\d{2}-\d{2}T\d{2}-\d{2}-\d{2}\.\d{3}Z")
_RESTORED = "__restored"
_NOT_IN_BACKUP = "BACKUP_ENTRY_NOT_FOUND"

app = typer.Typer(
    add_completion=False,
    pretty_exceptions_enable=False,
    help="Back up what cannot be made anew (raw tables, dlt's state, job log), and restore it.",
)


@dataclass(frozen=True)
class Backup:
    """A backup of the embedded ClickHouse. `bytes` are those of its files."""

    name: str
    made_at: datetime
    bytes: int


@app.command("create")
def create_command(
    name: Annotated[
        str | None,
        typer.Argument(help="Kept until you delete it. Without: named by the moment, see --keep."),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(min=1, help="Keep so many without a name of their own (QTICKETS_BACKUPS)."),
    ] = None,
    env_file: EnvFile = None,
) -> None:
    """Make a backup; delete the oldest ones that have no name of their own."""
    console = Console(highlight=False, soft_wrap=True)
    with failures_in_one_line():
        settings = read_settings(env_file)
        made = create(settings, name)
        console.print(f"Backed up as {made}.")
        if not settings.clickhouse_host:
            for old in thin(settings, keep or settings.qtickets_backups):
                console.print(f"Deleted the old {old}.")
            console.print(
                f"It lies in {backups_folder(settings)}, on the disk of the data: copy it, and"
                f" {settings.qtickets_home / 'pii_salt'}, to another machine."
            )


@app.command("list")
def list_command(env_file: EnvFile = None) -> None:
    """List the backups of the embedded ClickHouse, oldest first."""
    console = Console(highlight=False, soft_wrap=True)
    with failures_in_one_line():
        settings = read_settings(env_file)
        if settings.clickhouse_host:
            raise ConfigurationError(
                "Backups of a server are listed by where they are (QTICKETS_BACKUP_TARGET), and by"
                " its table system.backup_log."
            )
        for backup in backups(settings):
            made_at = f"{backup.made_at:%Y-%m-%d %H:%M} UTC"
            console.print(f"{backup.name}  {made_at}  {backup.bytes / 2**20:,.1f} MiB")


@app.command("restore")
def restore_command(
    name: Annotated[str, typer.Argument(help="As `list` or `create` said it.")],
    replace: Annotated[
        bool, typer.Option("--replace", help="Though the databases hold data: take its place.")
    ] = False,
    env_file: EnvFile = None,
) -> None:
    """Put a backup in the place of what is there, and build the marts from it."""
    console = Console(highlight=False, soft_wrap=True)
    with failures_in_one_line():
        tables = restore(read_settings(env_file), name, replace=replace)
        console.print(f"Restored {tables} tables, and built the marts. The next run continues.")


def create(settings: Settings, name: str | None = None) -> str:
    """Backs up the raw tables, dlt's and the job log; returns the name.

    Raises:
        ClickHouseError, BusyError, ConfigurationError
    """
    from pipelines.run_lock import exclusive_run

    now = datetime.now(timezone.utc)
    name = _checked(name or f"{now:%Y-%m-%dT%H-%M-%S}.{now.microsecond // 1000:03}Z")
    with (
        exclusive_run(settings),
        open_warehouse(settings) as warehouse,
        warehouse.connect(warehouse.backup_login) as client,
    ):
        tables = [f"TABLE `{database}`.`{table}`" for database, table in _tables(client, warehouse)]
        if not tables:
            raise ConfigurationError(
                f"There is nothing to back up: databases {warehouse.raw_db} and"
                f" {warehouse.marts_db} have no tables of a run."
            )
        client.command(
            f"BACKUP {', '.join(tables)}{warehouse.on_cluster} TO {_target(settings, name)}"
        )
    return name


def restore(settings: Settings, name: str, *, replace: bool) -> int:
    """Restores beside what is there, then takes its place; returns how many tables.

    Until all tables are restored nothing is changed. State goes first: with an older state than
    data the next run reads some rows again, with a newer one it would miss some.

    Raises:
        ConfigurationError: The databases hold data, and `replace` is false; the backup has none.
        ClickHouseError, MartsError, BusyError
    """
    from pipelines.run_lock import exclusive_run
    from pipelines.transform.dbt_build import build_marts
    from qtickets_source.rows.schema import TABLE_NAMES

    name = _checked(name)
    with exclusive_run(settings), open_warehouse(settings) as warehouse:
        warehouse.create_databases()
        if not replace and (orders := _orders(warehouse)):
            raise ConfigurationError(
                f"{warehouse.raw_db} holds {orders:,} orders. Add --replace to put the backup in"
                " their place."
            )
        wanted = [(warehouse.marts_db, table) for table in JOB_TABLES]
        wanted += [(warehouse.raw_db, table) for table in DLT_TABLES]
        wanted += [(warehouse.raw_db, table) for table in ("dlt_sentinel_table", *TABLE_NAMES)]
        _drop_leftovers(warehouse, wanted)
        restored = _restore_beside(settings, warehouse, name, wanted)
        if (warehouse.raw_db, "orders") not in restored:
            _drop_leftovers(warehouse, wanted)
            raise ConfigurationError(f"Backup {name} has no table {warehouse.raw_db}.orders.")
        for database, table in restored:
            _take_place(warehouse, database, table)
        build_marts(settings, warehouse, "--full-refresh")
    return len(restored)


def _restore_beside(
    settings: Settings, warehouse: Warehouse, name: str, wanted: list[tuple[str, str]]
) -> list[tuple[str, str]]:
    """Restores each table under another name; those that the backup has."""
    restored = []
    try:
        with warehouse.connect(warehouse.backup_login) as client:
            for database, table in wanted:
                statement = (
                    f"RESTORE TABLE `{database}`.`{table}` AS `{database}`.`{table}{_RESTORED}`"
                    f"{warehouse.on_cluster} FROM {_target(settings, name)}"
                )
                try:
                    with warehouse.translated_errors(warehouse.backup_login):
                        client.command(statement)
                except ClickHouseError as error:
                    # A table that came with a later version.
                    if _NOT_IN_BACKUP not in str(error.__cause__):
                        raise
                    continue
                restored.append((database, table))
    except ClickHouseError as error:
        _drop_leftovers(warehouse, wanted)
        if "BACKUP_NOT_FOUND" in str(error.__cause__):
            raise ConfigurationError(f"There is no backup {name}.") from error
        raise
    return restored


def _take_place(warehouse: Warehouse, database: str, table: str) -> None:
    beside, on_cluster = f"`{database}`.`{table}{_RESTORED}`", warehouse.on_cluster
    with warehouse.connect(warehouse.owner(database)) as client:
        if client.command(f"EXISTS TABLE `{database}`.`{table}`"):
            client.command(f"EXCHANGE TABLES `{database}`.`{table}` AND {beside}{on_cluster}")
            client.command(f"DROP TABLE {beside}{on_cluster} SYNC")
        else:
            client.command(f"RENAME TABLE {beside} TO `{database}`.`{table}`{on_cluster}")


def _drop_leftovers(warehouse: Warehouse, wanted: list[tuple[str, str]]) -> None:
    """Drops what an earlier restore, cut off or failed, has left beside."""
    for database, table in wanted:
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


def _tables(client: Client, warehouse: Warehouse) -> list[tuple[str, str]]:
    """(database, name) of the tables that a backup holds."""
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
    return [(str(database), str(table)) for database, table in rows]


def _target(settings: Settings, name: str) -> str:
    """Where a backup is, as ClickHouse's SQL says it."""
    if settings.qtickets_backup_target:
        return settings.qtickets_backup_target.get_secret_value().replace("{name}", name)
    return f"File('{name}')" if settings.clickhouse_host else f"Disk('backups', '{name}')"


def _checked(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z0-9][\w.-]{0,79}", name):
        raise ConfigurationError(f"{name!r} is no name for a backup: use letters, digits, _ . -")
    return name


def backups_folder(settings: Settings) -> Path:
    """Where the backups of the embedded ClickHouse lie."""
    return settings.qtickets_home / "clickhouse" / "backups"


def backups(settings: Settings) -> list[Backup]:
    """The complete backups of the embedded ClickHouse, oldest first."""
    folder = backups_folder(settings)
    found = []
    for path in folder.iterdir() if folder.is_dir() else ():
        # Written last: without it a backup was cut off.
        mark = path / ".backup"
        if mark.exists():
            made_at = datetime.fromtimestamp(mark.stat().st_mtime, timezone.utc)
            size = sum(file.stat().st_size for file in path.rglob("*") if file.is_file())
            found.append(Backup(path.name, made_at, size))
    return sorted(found, key=lambda backup: (backup.made_at, backup.name))


def thin(settings: Settings, keep: int) -> list[str]:
    """Deletes all but the newest `keep` backups that have no name of their own; their names."""
    automatic = [item.name for item in backups(settings) if _AUTOMATIC.fullmatch(item.name)]
    old = automatic[:-keep]
    for name in old:
        shutil.rmtree(backups_folder(settings) / name)
    return old


if __name__ == "__main__":
    app()
