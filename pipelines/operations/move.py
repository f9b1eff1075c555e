"""Move from the embedded ClickHouse to the server of `CLICKHOUSE_HOST`.

The raw tables with dlt's state and the job log are copied: they cannot be rebuilt. The marts are
built on the server, and the next run continues there. The embedded ClickHouse is not changed.

A move that was killed is completed by the same command. Until the copy is complete, a table marks
the databases on the server, and runs refuse them.
"""

from dataclasses import dataclass
from typing import BinaryIO, NamedTuple, cast

from clickhouse_connect.driver.client import Client

from pipelines.configuration.environment import Settings
from pipelines.errors import ClickHouseError, ConfigurationError, RunError
from pipelines.operations.backup import DLT_TABLES
from pipelines.warehouse.job_log import JOB_TABLES
from pipelines.warehouse.server import UNFINISHED_MOVE, Warehouse, open_warehouse


@dataclass(frozen=True)
class Table:
    """A table of the embedded ClickHouse.

    Attributes:
        columns: Type of each column, in order.
        keeps_versions: Only the newest version of a row is copied.
    """

    database: str
    name: str
    columns: dict[str, str]
    keeps_versions: bool

    @property
    def path(self) -> str:
        return f"`{self.database}`.`{self.name}`"

    @property
    def column_list(self) -> str:
        return ", ".join(f"`{column}`" for column in self.columns)


def move(settings: Settings) -> dict[str, int]:
    """Copy every table, compare the copies with the originals, and build the marts.

    Returns:
        Copied rows by table. Of raw tables, the newest version of each row is copied.

    Raises:
        ConfigurationError: There is nothing to copy, the server already holds data, or the salt is
            not the one with which the buyers were hashed.
        ClickHouseError: A copy failed or differs from its original; all copies are removed.
        MartsError: Everything was copied; the next run builds the marts.
    """
    from pipelines.loading.pipeline import create_raw_tables
    from pipelines.run_lock import exclusive_run
    from pipelines.transform.dbt_build import build_marts
    from pipelines.warehouse.job_log import create_job_tables

    _validate(settings)
    embedded = settings.model_copy(update={"clickhouse_host": None, "clickhouse_cluster": None})
    with (
        exclusive_run(settings),
        open_warehouse(embedded) as source,
        open_warehouse(settings) as target,
    ):
        tables = _tables(source)
        if not tables:
            raise ConfigurationError(
                f"The embedded ClickHouse in {settings.qtickets_home} has no tables in databases"
                f" {source.raw_db} and {source.marts_db}. Check CLICKHOUSE_DB."
            )
        if (mode := source.loaded_mode()) != settings.mode:
            raise ConfigurationError(
                f"The embedded ClickHouse holds {mode} data, and the configuration is for"
                f" {settings.mode} data. Set QTICKETS_TOKEN for the data that is to be moved."
            )
        target.prepare(settings.mode, by_move=True)
        if not target.has_unfinished_move():
            _refuse_data(tables, target)
            _mark(target)
        create_job_tables(target)
        create_raw_tables(settings, target)
        copied = _copy_tables(tables, source, target)
        _unmark(target)
        build_marts(settings, target, "--full-refresh")
    return copied


def _validate(settings: Settings) -> None:
    """Check what can be checked before any server is connected."""
    home = settings.qtickets_home
    if not settings.clickhouse_host:
        raise ConfigurationError("CLICKHOUSE_HOST: expected the server to move to.")
    if not (home / "clickhouse").is_dir():
        raise ConfigurationError(f"QTICKETS_HOME: there is no embedded ClickHouse in {home}.")
    stored, given = home / "pii_salt", settings.qtickets_pii_salt
    if stored.exists() and given and given.get_secret_value() != stored.read_text().strip():
        raise ConfigurationError(
            "QTICKETS_PII_SALT: expected the salt of the buyers in the embedded ClickHouse; with"
            " another one every buyer would get another hash. Set"
            f" QTICKETS_PII_SALT_FILE={stored}, or a copy of that file."
        )


def _tables(source: Warehouse) -> list[Table]:
    """Return the tables to copy, dlt's state last."""
    found = []
    for login, database in source.databases:
        with source.connect(login) as client:
            rows = client.query(
                "SELECT name, engine LIKE 'Replacing%' FROM system.tables"
                " WHERE database = {db:String} AND engine LIKE '%MergeTree'"
                " AND (endsWith(database, '_raw') OR name IN {jobs:Array(String)}) ORDER BY name",
                parameters={"db": database, "jobs": list(JOB_TABLES)},
            ).result_rows
            for name, keeps_versions in rows:
                columns = client.query(f"DESCRIBE TABLE `{database}`.`{name}`").result_rows
                types = {str(column[0]): str(column[1]) for column in columns}
                found.append(Table(database, str(name), types, bool(keeps_versions)))
    return sorted(found, key=lambda table: table.name in DLT_TABLES)


def _refuse_data(tables: list[Table], target: Warehouse) -> None:
    for table in tables:
        with target.connect(target.owner(table.database)) as client:
            if not client.command(f"EXISTS TABLE {table.path}"):
                continue
            if rows := _number(client, f"SELECT count() FROM {table.path}"):  # noqa: S608
                # A bootstrap has stored an empty state, which may be overwritten.
                if table.name in DLT_TABLES:
                    continue
                raise ConfigurationError(
                    f"ClickHouse at {target.host}:{target.port} holds {rows:,} rows in"
                    f" {table.database}.{table.name}: data are moved into empty databases only."
                    " Set another CLICKHOUSE_DB, or drop these databases."
                )


def _copy_tables(tables: list[Table], source: Warehouse, target: Warehouse) -> dict[str, int]:
    """Copy and compare every table; if one fails, remove all copies."""
    copied: dict[str, int] = {}
    try:
        for table in tables:
            owner = target.owner(table.database)
            with (
                source.connect(source.owner(table.database)) as reader,
                target.connect(owner) as writer,
            ):
                _prepare(table, writer)
                _copy(table, reader, writer)
                if (original := _checksum(table, reader)) != _checksum(table, writer):
                    raise ClickHouseError(
                        f"The copy of {table.database}.{table.name} on {target.host} differs from"
                        " the original. Check that no run is in progress there, and repeat the"
                        " move."
                    )
            copied[f"{table.database}.{table.name}"] = original.rows
    except RunError:
        # All of these tables were empty before.
        for table in tables:
            with target.connect(target.owner(table.database)) as writer:
                _truncate(table, writer)
        _unmark(target)
        raise
    return copied


def _mark(target: Warehouse) -> None:
    """Mark the databases as incomplete."""
    with target.connect(target.loader) as client:
        client.command(
            f"CREATE TABLE `{target.raw_db}`.{UNFINISHED_MOVE}{target.on_cluster} (x UInt8)"
            f" ENGINE = {target.engine('MergeTree')} ORDER BY x"
        )


def _unmark(target: Warehouse) -> None:
    with target.connect(target.loader) as client:
        client.command(
            f"DROP TABLE IF EXISTS `{target.raw_db}`.{UNFINISHED_MOVE}{target.on_cluster} SYNC"
        )


def _prepare(table: Table, writer: Client) -> None:
    """Empty the table on the server, and add the columns that the loader has added over time."""
    existing = {str(row[0]) for row in writer.query(f"DESCRIBE TABLE {table.path}").result_rows}
    for column, type_ in table.columns.items():
        if column not in existing:
            # Replicated tables replicate this themselves; ON CLUSTER would repeat it.
            writer.command(f"ALTER TABLE {table.path} ADD COLUMN `{column}` {type_}")
    _truncate(table, writer)


def _truncate(table: Table, writer: Client) -> None:
    writer.command(f"TRUNCATE TABLE IF EXISTS {table.path} SYNC")


def _copy(table: Table, reader: Client, writer: Client) -> None:
    """Stream the rows in ClickHouse's Native format, without holding them in memory."""
    final = " FINAL" if table.keeps_versions else ""
    select = f"SELECT {table.column_list} FROM {table.path}{final}"  # noqa: S608
    if not _number(reader, f"SELECT count() FROM {table.path}"):  # noqa: S608
        return
    with reader.raw_stream(select, fmt="Native") as rows:
        writer.raw_insert(
            table.path, list(table.columns), insert_block=cast(BinaryIO, rows), fmt="Native"
        )


class _Checksum(NamedTuple):
    rows: int
    hash: int


def _checksum(table: Table, client: Client) -> _Checksum:
    final = " FINAL" if table.keeps_versions else ""
    # Hashed as text: the hash of a tuple with a NULL would be NULL.
    row = client.query(
        f"SELECT count(), sum(cityHash64(toString(tuple({table.column_list}))))"  # noqa: S608
        f" FROM {table.path}{final}"
    ).result_rows[0]
    return _Checksum(int(row[0]), int(row[1]))


def _number(client: Client, query: str) -> int:
    return int(str(client.command(query)))
