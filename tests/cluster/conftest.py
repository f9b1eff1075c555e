"""The cluster under test.

QTICKETS_TEST_CLUSTER names its replicas, `host:http:native,host:http:native`; with it go
QTICKETS_TEST_CLUSTER_NAME (`zakaz`), QTICKETS_TEST_CLUSTER_USER (`default`) and …_PASSWORD.
QTICKETS_TEST_CLUSTER_CONTROL is a command that is called with `kill N` and `start N`, N from 1: it
returns when the replica is down, or answers again. `make test-cluster` sets them all but
QTICKETS_TEST_CLUSTER_BACKUPS, a place for backups that every replica reaches, as in
QTICKETS_BACKUP_TARGET: S3('https://…/{name}', 'key', 'secret').
"""

import os
import subprocess
import time
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import DatabaseError
from typer.testing import CliRunner, Result

from pipelines.qtickets import app
from sandbox import Server, World, serve
from tests.support.loads import NOW
from tests.support.worlds import report_now

DATABASE = "zakaz_cluster_test"
ADDRESSES = os.environ.get("QTICKETS_TEST_CLUSTER", "")
USER = os.environ.get("QTICKETS_TEST_CLUSTER_USER", "default")
PASSWORD = os.environ.get("QTICKETS_TEST_CLUSTER_PASSWORD", "")
NAME = os.environ.get("QTICKETS_TEST_CLUSTER_NAME", "zakaz")
CONTROL = os.environ.get("QTICKETS_TEST_CLUSTER_CONTROL", "")
BACKUPS = os.environ.get("QTICKETS_TEST_CLUSTER_BACKUPS", "")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    if not ADDRESSES:
        reason = "QTICKETS_TEST_CLUSTER names no cluster: make test-cluster"
        for item in items:
            if "tests/cluster/" in item.path.as_posix():
                item.add_marker(pytest.mark.skip(reason))


@dataclass
class Replica:
    number: int
    host: str
    http_port: int
    native_port: int

    def query(self, sql: str) -> list[tuple[Any, ...]]:
        client = clickhouse_connect.get_client(
            host=self.host, port=self.http_port, username=USER, password=PASSWORD
        )
        return [tuple(row) for row in client.query(sql).result_rows]

    def kill(self) -> None:
        self._control("kill")

    def start(self) -> None:
        self._control("start")

    def _control(self, what: str) -> None:
        subprocess.run([*CONTROL.split(), what, str(self.number)], check=True, timeout=120)


@dataclass
class ClusterAccount:
    """An organiser whose sales are loaded into a cluster."""

    replicas: list[Replica]
    service: Server
    world: World
    environment: dict[str, str]

    def command(self, *arguments: str, replica: int = 1, backups: str = "") -> Result:
        """Run the command on one of the replicas."""
        return CliRunner().invoke(
            app,
            list(arguments),
            env=self.environment | self.address(replica) | {"QTICKETS_BACKUP_TARGET": backups},
        )

    def address(self, number: int) -> dict[str, str]:
        replica = self.replicas[number - 1]
        return {
            "CLICKHOUSE_HOST": replica.host,
            "CLICKHOUSE_PORT": str(replica.http_port),
            "CLICKHOUSE_NATIVE_PORT": str(replica.native_port),
        }

    def contents(self, replica: Replica) -> dict[str, tuple[Any, ...]]:
        """Return number and checksum of the rows of every table on a replica.

        Rows are those after all merges.
        """
        tables = replica.query(
            "SELECT database, name, if(engine LIKE '%Replacing%', 'FINAL', '') FROM system.tables"
            f" WHERE database IN ('{DATABASE}', '{DATABASE}_raw') AND engine LIKE '%MergeTree'"
        )
        # The hash of a row with a null would be null.
        rows = "count(), sum(cityHash64(formatRow('JSONEachRow', *)))"
        return {
            f"{database}.{table}": replica.query(
                f"SELECT {rows} FROM `{database}`.`{table}` {final}"
            )[0]
            for database, table, final in tables
        }

    def wait_until_equal(self) -> dict[str, tuple[Any, ...]]:
        """Return the contents of all replicas once they are the same."""
        deadline = time.monotonic() + 60
        while True:
            try:
                first, *others = map(self.contents, self.replicas)
                if all(other == first for other in others):
                    return first
            except DatabaseError:
                # A replica is still making up for statements, and drops a table that was listed.
                pass
            assert time.monotonic() < deadline, "the replicas do not become equal"
            time.sleep(0.5)


@pytest.fixture(scope="module")
def replicas() -> list[Replica]:
    parts = [address.rsplit(":", 2) for address in ADDRESSES.split(",")]
    return [
        Replica(number, host, int(http), int(native))
        for number, (host, http, native) in enumerate(parts, start=1)
    ]


@pytest.fixture(scope="module")
def account(
    replicas: list[Replica], tmp_path_factory: pytest.TempPathFactory
) -> Iterator[ClusterAccount]:
    world = World(orders=600, seed=3, now=NOW)
    drop_databases(replicas[0])
    with serve(world, token="sandbox-token") as service:
        environment = {
            "QTICKETS_TOKEN": "sandbox-token",
            "QTICKETS_BASE_URL": service.url,
            "QTICKETS_HOME": str(tmp_path_factory.mktemp("cluster")),
            "QTICKETS_PII_SALT": "a salt for tests",
            "QTICKETS_INITIAL_BACKFILL_HOURS": "all",
            "REPORT_NOW": report_now(world),
            "CLICKHOUSE_USER": USER,
            "CLICKHOUSE_PASSWORD": PASSWORD,
            "CLICKHOUSE_DB": DATABASE,
            "CLICKHOUSE_CLUSTER": NAME,
        }
        account = ClusterAccount(replicas, service, world, environment)
        result = account.command()
        assert result.exit_code == 0, result.output
        yield account
    drop_databases(replicas[0])


@pytest.fixture
def control() -> None:
    """Require a command that kills and starts replicas."""
    if not CONTROL:
        pytest.skip("QTICKETS_TEST_CLUSTER_CONTROL is not set: no replica can be killed")


def drop_databases(replica: Replica) -> None:
    for database in (f"{DATABASE}_raw", f"{DATABASE}_dbt_test__audit", DATABASE):
        replica.query(f"DROP DATABASE IF EXISTS `{database}` ON CLUSTER `{NAME}` SYNC")
