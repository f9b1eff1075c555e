"""`python -m pipelines.move`: from the embedded ClickHouse to the server that CLICKHOUSE_* names.

Copied is what cannot be made anew: the raw tables with dlt's state, and the job log. The marts are
built on the server, and the next run continues there. The embedded ClickHouse stays as it is.
"""

from dataclasses import dataclass
from typing import BinaryIO, cast

import typer
from clickhouse_connect.driver.client import Client
from rich.console import Console

from pipelines.commands.options import EnvFile, failures_in_one_line
from pipelines.configuration.environment import Settings, read_settings
from pipelines.errors import ClickHouseError, ConfigurationError, RunError
from pipelines.operations.backup import DLT_TABLES
from pipelines.warehouse.job_log import JOB_TABLES
from pipelines.warehouse.server import Warehouse, open_warehouse

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@dataclass(frozen=True)
class Table:
    """A table of the embedded ClickHouse, with its columns and their types in order."""

    database: str
    name: str
    columns: dict[str, str]
    keeps_versions: bool
    """Only the newest version of a row counts."""

    @property
    def path(self) -> str:
        return f"`{self.database}`.`{self.name}`"

    @property
    def listed(self) -> str:
        return ", ".join(f"`{column}`" for column in self.columns)


@app.command()
def main(
    env_file: EnvFile = None,
) -> None:
    """Copy data and state from the embedded ClickHouse to the server of CLICKHOUSE_HOST.

    The server's databases must not hold data of a run yet. Nothing is removed here.
    """
    console = Console(highlight=False, soft_wrap=True)
    with failures_in_one_line():
        settings = read_settings(env_file)
        for table, rows in move(settings).items():
            console.print(f"{table}: {rows:,} rows")
    console.print(
        f"[green]Moved[/] to {settings.clickhouse_host}, and the marts are built there. The next"
        f" run continues there; {settings.qtickets_home / 'clickhouse'} is as it was."
    )


def move(settings: Settings) -> dict[str, int]:
    """Copies every table, holds the copies against the originals, builds the marts.

    Returns:
        Rows copied, by table; of raw tables the newest version of each.

    Raises:
        ConfigurationError: There is nothing to copy, the server holds data already, or the salt
            is another one than that of the buyers' hashes.
        ClickHouseError: A copy failed, or differs from its original: what was copied is removed.
        MartsError: All was copied; the next run builds the marts again.
    """
    from pipelines.loading.pipeline import create_raw_tables
    from pipelines.run_lock import exclusive_run
    from pipelines.transform.dbt_build import build_marts
    from pipelines.warehouse.job_log import create_job_tables

    _check(settings)
    embedded = settings.model_copy(update={"clickhouse_host": None, "clickhouse_cluster": None})
    with (
        exclusive_run(settings),
        open_warehouse(embedded) as source,
        open_warehouse(settings) as target,
    ):
        tables = _tables(source)
        if not tables:
            raise ConfigurationError(
                f"The embedded ClickHouse in {settings.qtickets_home} has no tables of a run in"
                f" {source.raw_db} and {source.marts_db}."
            )
        if (mode := source.loaded_mode()) != settings.mode:
            raise ConfigurationError(
                f"The embedded ClickHouse holds {mode} data, and the configuration is for"
                f" {settings.mode} data. Only what the next run would continue is moved."
            )
        target.prepare(settings.mode)
        _refuse_data(tables, target)
        create_job_tables(target)
        create_raw_tables(settings, target)
        copied = _copied(tables, source, target)
        build_marts(settings, target, "--full-refresh")
    return copied


def _check(settings: Settings) -> None:
    """What can be known before any server is asked."""
    home = settings.qtickets_home
    if not settings.clickhouse_host:
        raise ConfigurationError("CLICKHOUSE_HOST: expected the server to move to.")
    if not (home / "clickhouse").is_dir():
        raise ConfigurationError(f"QTICKETS_HOME {home}: there is no embedded ClickHouse in it.")
    kept, given = home / "pii_salt", settings.qtickets_pii_salt
    if kept.exists() and given and given.get_secret_value() != kept.read_text().strip():
        raise ConfigurationError(
            "QTICKETS_PII_SALT: expected the salt of the buyers that are there already, or each"
            f" would become somebody else. Set QTICKETS_PII_SALT_FILE={kept}, or a copy of it."
        )


def _tables(source: Warehouse) -> list[Table]:
    """What is copied, in this order: rows, the job log, dlt's state."""
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
                # A bootstrap leaves an empty state, of which nothing is lost.
                if table.name in DLT_TABLES:
                    continue
                raise ConfigurationError(
                    f"ClickHouse at {target.host}:{target.port} holds {rows:,} rows in"
                    f" {table.database}.{table.name}: data are moved into empty databases only."
                    " Name another CLICKHOUSE_DB, or drop these databases."
                )


def _copied(tables: list[Table], source: Warehouse, target: Warehouse) -> dict[str, int]:
    copied: dict[str, int] = {}
    try:
        for table in tables:
            owner = target.owner(table.database)
            with (
                source.connect(source.owner(table.database)) as reader,
                target.connect(owner) as writer,
            ):
                _make_ready(table, writer)
                _copy(table, reader, writer)
                if (original := _content(table, reader)) != _content(table, writer):
                    raise ClickHouseError(
                        f"The copy of {table.database}.{table.name} on {target.host} differs from"
                        " the original. Is a run under way there?"
                    )
            copied[f"{table.database}.{table.name}"] = original[0]
    except RunError:
        # All of them were empty before.
        for table in tables:
            with target.connect(target.owner(table.database)) as writer:
                _truncate(table, writer)
        raise
    return copied


def _make_ready(table: Table, writer: Client) -> None:
    """Empties the table on the server, and gives it columns that came with the service's fields."""
    there = {str(row[0]) for row in writer.query(f"DESCRIBE TABLE {table.path}").result_rows}
    for column, type_ in table.columns.items():
        if column not in there:
            # Replicated tables pass this on by themselves: ON CLUSTER would repeat it.
            writer.command(f"ALTER TABLE {table.path} ADD COLUMN `{column}` {type_}")
    _truncate(table, writer)


def _truncate(table: Table, writer: Client) -> None:
    writer.command(f"TRUNCATE TABLE IF EXISTS {table.path} SYNC")


def _copy(table: Table, reader: Client, writer: Client) -> None:
    """Streams the rows as they are, in ClickHouse's own format; nothing is held in memory."""
    final = " FINAL" if table.keeps_versions else ""
    select = f"SELECT {table.listed} FROM {table.path}{final}"  # noqa: S608
    if not _number(reader, f"SELECT count() FROM {table.path}"):  # noqa: S608
        return
    with reader.raw_stream(select, fmt="Native") as rows:
        writer.raw_insert(
            table.path, list(table.columns), insert_block=cast(BinaryIO, rows), fmt="Native"
        )


def _content(table: Table, client: Client) -> tuple[int, int]:
    """(rows, a sum that any other content would change)."""
    final = " FINAL" if table.keeps_versions else ""
    # As text: the hash of a row with a null in it would be null.
    row = client.query(
        f"SELECT count(), sum(cityHash64(toString(tuple({table.listed}))))"  # noqa: S608
        f" FROM {table.path}{final}"
    ).result_rows[0]
    return int(row[0]), int(row[1])


def _number(client: Client, query: str) -> int:
    return int(str(client.command(query)))


if __name__ == "__main__":
    app()
