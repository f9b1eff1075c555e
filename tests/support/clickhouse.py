"""Queries on the databases of the tests."""

from functools import cache
from typing import Any

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from local_clickhouse import LocalServer

DATABASE = "zakaz"


def drop_databases(server: LocalServer) -> None:
    """Drop the raw tables and the marts."""
    for login, database in (("loader", f"{DATABASE}_raw"), ("transformer", DATABASE)):
        query(server, login, f"DROP DATABASE IF EXISTS {database} SYNC")


def query(server: LocalServer, login: str, sql: str) -> list[dict[str, Any]]:
    """Run a statement as a user; return its rows as dicts, none if it has no result."""
    user = server.logins[login]
    client = client_of(server.host, server.http_port, user.user, user.password)
    if not sql.startswith(("SELECT", "WITH", "SHOW")):
        client.command(sql)
        return []
    result = client.query(sql)
    return [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]


@cache
def client_of(host: str, port: int, user: str, password: str) -> Client:
    """Return the client of a user. Creating one takes ten times as long as a query."""
    return clickhouse_connect.get_client(
        host=host,
        port=port,
        username=user,
        password=password,
        autogenerate_session_id=False,
    )


class Marts:
    """Reads the databases of a test."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query as the user of the marts."""
        return query(self._server, "transformer", sql)

    def raw(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query as the user of the raw tables."""
        return query(self._server, "loader", sql)

    def snapshot(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row of the marts, without the columns with the time of the snapshot."""
        observed = {"snapshot_ts", "inventory_updated_at"}
        found = {}
        for table in (
            "fact_qtickets_sales_daily",
            "fact_qtickets_inventory_latest",
            "dim_events",
            "mv_qtickets_sales_latest",
            "v_qtickets_sales_dashboard",
        ):
            rows = self.rows(f"SELECT * FROM {DATABASE}.{table} ORDER BY ALL")
            skipped = observed | ({"_ver"} if table == "fact_qtickets_inventory_latest" else set())
            found[table] = [
                tuple(value for name, value in row.items() if name not in skipped) for row in rows
            ]
        return found
