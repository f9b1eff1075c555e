"""Connection to the embedded ClickHouse on which the benchmarks build models."""

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from local_clickhouse import LocalServer


def connect(server: LocalServer, database: str) -> Client:
    """Return a client of the account that builds models."""
    return clickhouse_connect.get_client(
        host=server.host,
        port=server.http_port,
        username="transformer",
        password=server.logins["transformer"].password,
        database=database,
        autogenerate_session_id=False,
    )
