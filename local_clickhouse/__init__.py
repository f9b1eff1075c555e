"""The real ClickHouse server, run from the `chdb-core` wheel: nothing else to install.

`running_server` is the whole interface; `python -m local_clickhouse` is the same in a terminal.
How it lives and ends is told in `local_clickhouse.server`.
"""

from local_clickhouse.credentials import Login
from local_clickhouse.errors import LocalClickHouseError
from local_clickhouse.server import LocalServer, running_server

__all__ = ["LocalClickHouseError", "LocalServer", "Login", "running_server"]
