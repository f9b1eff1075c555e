"""Clients of the embedded ClickHouse on which benchmarks run."""

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from local_clickhouse import LocalServer


def connect(server: LocalServer, database: str = "zakaz") -> Client:
    """Return a client of the user that builds models."""
    login = server.logins["transformer"]
    return clickhouse_connect.get_client(
        host=server.host,
        port=server.http_port,
        username=login.user,
        password=login.password,
        database=database,
        autogenerate_session_id=False,
    )
