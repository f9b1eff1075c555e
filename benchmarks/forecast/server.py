"""An empty embedded ClickHouse on which models are built."""

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from clickhouse_connect.driver.client import Client

from benchmarks.clients import connect
from local_clickhouse import running_server


@contextmanager
def empty_server() -> Iterator[Client]:
    """Start a server with an empty database for the duration of a block."""
    with (
        tempfile.TemporaryDirectory() as folder,
        running_server(Path(folder), database="zakaz") as server,
    ):
        connect(server, "default").command("CREATE DATABASE IF NOT EXISTS zakaz")
        yield connect(server)
