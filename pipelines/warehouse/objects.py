"""The tables and views of the project on the server."""

from typing import NamedTuple

from clickhouse_connect.driver.client import Client

from pipelines.warehouse.server import Warehouse


class TableName(NamedTuple):
    """A table and its database."""

    database: str
    table: str


class DatabaseObject(NamedTuple):
    """A table or view."""

    database: str
    name: str
    engine: str


def contract_objects(warehouse: Warehouse) -> list[DatabaseObject]:
    """Return the project's tables and views, without dlt's own."""
    found: list[DatabaseObject] = []
    for login, database in warehouse.databases:
        with warehouse.connect(login) as client:
            rows = client.query(
                "SELECT database, name, engine FROM system.tables"
                " WHERE database = {db:String} AND NOT startsWith(name, '_dlt')"
                " AND name != 'dlt_sentinel_table' ORDER BY name",
                parameters={"db": database},
            ).result_rows
            found.extend(DatabaseObject(*map(str, row)) for row in rows)
    return found


def row_counts(client: Client, database: str) -> dict[str, int]:
    """Return the number of rows by table; `system.tables` would count masked rows too."""
    names = client.query(
        "SELECT name FROM system.tables WHERE database = {db:String} AND total_rows IS NOT NULL",
        parameters={"db": database},
    ).result_rows
    if not names:
        return {}
    counts = " UNION ALL ".join(
        f"SELECT '{name}', count() FROM `{database}`.`{name}`"  # noqa: S608
        for (name,) in names
    )
    return {str(name): int(count) for name, count in client.query(counts).result_rows}


def marts_row_counts(warehouse: Warehouse) -> dict[str, int]:
    """Return the number of rows by table of the marts."""
    with warehouse.connect(warehouse.transformer) as client:
        return row_counts(client, warehouse.marts_db)
