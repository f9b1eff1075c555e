"""Reading the databases of a test."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from functools import cache
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client

import pipelines.run
from local_clickhouse import LocalServer

DATABASE = "zakaz"

# For `dbt build`: the tests of the marts take half of its time, and change nothing in them.
MODELS_ONLY = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
# The half of the models on which the dashboard and `check` stand: what most tests look at.
DASHBOARD_ONLY = (
    *MODELS_ONLY,
    *("--select", "+mv_qtickets_sales_latest", "+v_qtickets_sales_dashboard"),
    *("+v_qtickets_freshness", "+fact_qtickets_sales_utm_daily"),
)


def drop_databases(server: LocalServer) -> None:
    for login, database in (("loader", f"{DATABASE}_raw"), ("transformer", DATABASE)):
        query(server, login, f"DROP DATABASE IF EXISTS {database} SYNC")


def query(server: LocalServer, login: str, sql: str) -> list[dict[str, Any]]:
    """Rows of a query as dicts; statements without rows give none."""
    who = server.logins[login]
    client = client_of(server.host, server.http_port, who.user, who.password)
    if not sql.startswith(("SELECT", "WITH", "SHOW")):
        client.command(sql)
        return []
    result = client.query(sql)
    return [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]


@cache
def client_of(host: str, port: int, user: str, password: str) -> Client:
    """A client for all queries of a user: to make one costs ten times as much as to ask."""
    return clickhouse_connect.get_client(
        host=host,
        port=port,
        username=user,
        password=password,
        autogenerate_session_id=False,
    )


def quiet_ports(count: int) -> list[int]:
    """Free ports below those that the system gives to outgoing connections of other processes.

    For servers that are to come back with the same address: in between, nobody else takes it.
    """
    found: list[int] = []
    for port in range(20_000 + os.getpid() * 10 % 12_000, 32_700):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free port")


class Marts:
    """Reads the databases of a test."""

    def __init__(self, server: LocalServer) -> None:
        self._server = server

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query on the marts."""
        return query(self._server, "transformer", sql)

    def raw(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query on the raw tables."""
        return query(self._server, "loader", sql)

    def snapshot(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every mart, but for the columns that say when the seats were read."""
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


@contextmanager
def dashboard_only() -> Iterator[None]:
    """Runs of this process build what the dashboard stands on, without tests."""
    build = pipelines.run.build_marts
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr(
            pipelines.run,
            "build_marts",
            lambda *given, **named: build(*given, *DASHBOARD_ONLY, **named),
        )
        yield
