"""A real ClickHouse server for this machine, run from the `chdb-core` wheel.

Use `running_server` in Python, and `python -m local_clickhouse` in a terminal. The module
`local_clickhouse.local_server` describes how the server starts and stops.
"""

from local_clickhouse.credentials import Login
from local_clickhouse.errors import LocalClickHouseError
from local_clickhouse.local_server import LocalServer, running_server

__all__ = ["LocalClickHouseError", "LocalServer", "Login", "running_server"]
