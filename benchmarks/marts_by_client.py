"""The SQL of the models without dbt: the compiled SELECT of each table, sent by the client.

The tables are those of a full build. A build takes more time for dbt, views, tests and the exchange
of tables.
"""

from pathlib import Path

from clickhouse_connect.driver.client import Client

from pipelines.warehouse.server import Warehouse


def compiled_tables(target: Path, client: Client, database: str) -> dict[str, str]:
    """Return the compiled SELECT of each table of the last build."""
    made = client.query(
        "SELECT name FROM system.tables"
        " WHERE database = {db:String} AND engine LIKE '%MergeTree' ORDER BY name",
        parameters={"db": database},
    ).result_rows
    selects = {path.stem: path.read_text() for path in target.glob("compiled/*/models/**/*.sql")}
    return {name: selects[name] for (name,) in made if name in selects}


def build_by_client(warehouse: Warehouse, selects: dict[str, str]) -> None:
    """Build a copy of each table, one after the other."""
    with warehouse.connect(warehouse.transformer) as client:
        for name, select in selects.items():
            table = f"{warehouse.marts_db}.{name}"
            client.command(f"CREATE OR REPLACE TABLE {table}__by_client AS {table}")
            client.command(
                f"INSERT INTO {table}__by_client {select}",
                settings={"send_timeout": 1800, "receive_timeout": 1800},
            )


def verify_row_counts(warehouse: Warehouse, selects: dict[str, str]) -> None:
    """Compare the copies with the project's tables, and drop the copies.

    Raises:
        RuntimeError: A copy has another number of rows.
    """
    with warehouse.connect(warehouse.transformer) as client:
        for name in selects:
            table = f"{warehouse.marts_db}.{name}"
            built, copied = (
                int(str(client.command(f"SELECT count() FROM {counted}")))
                for counted in (table, f"{table}__by_client")
            )
            if built != copied:
                raise RuntimeError(f"{name}: dbt made {built:,} rows, the client {copied:,}")
            client.command(f"DROP TABLE {table}__by_client SYNC")
