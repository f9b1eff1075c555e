"""The ClickHouse server of a run: the configured one, or the embedded one if no host is set.

Both are a `Warehouse`: an address with logins. No other module depends on which one it is.
"""

import logging
import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path
from typing import Any

import clickhouse_connect
import urllib3
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError as DriverError
from clickhouse_connect.driver.httputil import close_managers

from local_clickhouse import LocalClickHouseError, running_server
from pipelines.configuration.environment import Settings
from pipelines.errors import ClickHouseError, ConfigurationError
from pipelines.warehouse.error_messages import error_message

logger = logging.getLogger(__name__)

UNFINISHED_MOVE = "_unfinished_move"
"""A table among the raw ones while `move` copies into them; a killed move leaves it."""


@dataclass(frozen=True)
class Login:
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Warehouse:
    """A ClickHouse server and the two databases of the project on it.

    Attributes:
        loader: Owner of the raw tables.
        transformer: Owner of the marts.
        ca_cert: Certificates to trust; None: those of this machine.
        cluster: Cluster of one shard over which tables are replicated; None: a single server.
        backup: The user for backups; None: the loader.
    """

    host: str
    port: int
    native_port: int
    secure: bool
    verify: bool
    loader: Login
    transformer: Login
    raw_db: str
    marts_db: str
    ca_cert: Path | None = None
    cluster: str | None = None
    backup: Login | None = None

    @property
    def backup_login(self) -> Login:
        return self.backup or self.loader

    @property
    def databases(self) -> tuple[tuple[Login, str], tuple[Login, str]]:
        """Both databases with their owners: raw tables, then marts."""
        return (self.loader, self.raw_db), (self.transformer, self.marts_db)

    def owner(self, database: str) -> Login:
        """Return the login that may create and drop tables of a database."""
        return self.loader if database == self.raw_db else self.transformer

    @property
    def on_cluster(self) -> str:
        """The clause that runs a DDL statement on every server of the cluster."""
        return f" ON CLUSTER `{self.cluster}`" if self.cluster else ""

    def engine(self, family: str) -> str:
        """Return the table engine of this family: replicated on a cluster."""
        return f"Replicated{family}" if self.cluster else family

    @contextmanager
    def connect(self, login: Login) -> Iterator[Client]:
        """Connect over HTTP.

        Raises:
            ClickHouseError: The server cannot be reached, or refused the login or a statement.
        """
        with self.translated_errors(login):
            client = _client(self, login)
            # The server may close an idle connection at this moment. A ping is retried on another
            # connection; a statement that changes data could not be.
            client.ping()
            yield client

    @contextmanager
    def translated_errors(self, login: Login) -> Iterator[None]:
        """Raise errors of the driver as a ClickHouseError with one line for the operator."""
        try:
            yield
        except DriverError as error:
            # ClickHouse's name of the error, such as ACCESS_DENIED.
            name = re.search(r"\(([A-Z][A-Z_]{3,})\)", str(error))
            raise ClickHouseError(
                self.error_message(str(error), login), cause=name[1] if name else ""
            ) from error

    def error_message(self, error: str, login: Login) -> str:
        """Return the operator's line for the text of an error."""
        return error_message(error, host=self.host, port=self.port, user=login.user)

    def prepare(self, mode: str, *, by_move: bool = False) -> None:
        """Create missing databases, and refuse to mix demo, offline and live data.

        Args:
            mode: The mode of the data that is to be loaded.
            by_move: Whether `move` is the caller, which completes a move that was interrupted.

        Raises:
            ClickHouseError: As `connect`.
            ConfigurationError: The databases hold data of another mode or of an interrupted move,
                or the server does not have the cluster.
        """
        if self.cluster:
            self._check_cluster(self.cluster)
            if missing := self.missing_replicas():
                logger.warning("%s", describe_missing(missing, self.cluster))
        self.create_databases()
        if not by_move and self.has_unfinished_move():
            raise ConfigurationError(
                f"A move into databases {self.marts_db} and {self.raw_db} was interrupted, so they"
                " hold a part of the data. Repeat it: python pipelines/qtickets.py move"
            )
        loaded_mode = self.loaded_mode()
        if loaded_mode and loaded_mode != mode:
            reason = {
                "demo": "QTICKETS_TOKEN is not set",
                "live": "QTICKETS_TOKEN is set",
                "offline": "--offline",
            }
            remedy = {
                "demo": "Remove the demo first: python pipelines/qtickets.py drop-demo",
                "offline": "Remove that first: python pipelines/qtickets.py drop-demo",
                "live": f"Set QTICKETS_TOKEN, or another CLICKHOUSE_DB for {mode} data.",
            }
            if mode == "offline":
                remedy["live"] = "Run without --offline, or set another CLICKHOUSE_DB."
            raise ConfigurationError(
                f"Databases {self.marts_db} and {self.raw_db} hold {loaded_mode} data, and this run"
                f" would add {mode} data ({reason[mode]}). {remedy[loaded_mode]}"
            )

    def create_databases(self) -> None:
        """Create both databases if they are missing."""
        for login, database in self.databases:
            with self.connect(login) as client:
                if not _exists(client, "DATABASE", database):
                    client.command(f"CREATE DATABASE IF NOT EXISTS `{database}`{self.on_cluster}")

    def _check_cluster(self, name: str) -> None:
        with self.connect(self.transformer) as client:
            rows = client.query(
                "SELECT cluster, uniqExact(shard_num) FROM system.clusters GROUP BY cluster"
            ).result_rows
        shards = {str(cluster): int(count) for cluster, count in rows}
        where = f"CLICKHOUSE_CLUSTER {name}: {self.host}:{self.port}"
        if name not in shards:
            known = ", ".join(sorted(shards)) or "none"
            raise ConfigurationError(f"{where} has no such cluster. It has: {known}.")
        if shards[name] > 1:
            raise ConfigurationError(
                f"{where} has {shards[name]} shards. Every replica must hold all data: set a"
                " cluster of one shard."
            )

    def missing_replicas(self) -> list[str]:
        """Return the address of each replica of the cluster that does not answer.

        Raises:
            ClickHouseError: As `connect`.
        """
        if not self.cluster:
            return []
        with self.connect(self.transformer) as client:
            replicas = client.query(
                "SELECT host_name, port FROM system.clusters WHERE cluster = {cluster:String}"
                " ORDER BY shard_num, replica_num",
                parameters={"cluster": self.cluster},
            ).result_rows
            # Each replica counts as a shard, in the order of the configuration.
            answering = client.query(
                f"SELECT DISTINCT _shard_num FROM clusterAllReplicas('{self.cluster}', system.one)",  # noqa: S608
                settings={
                    "skip_unavailable_shards": 1,
                    "connect_timeout_with_failover_ms": 3000,
                    "receive_timeout": 5,
                },
            ).result_rows
        numbers = {int(number) for (number,) in answering}
        return [
            f"{host}:{port}"
            for number, (host, port) in enumerate(replicas, start=1)
            if number not in numbers
        ]

    def has_unfinished_move(self) -> bool:
        """Return whether a move into these databases was interrupted."""
        with self.connect(self.loader) as client:
            return _exists(client, "TABLE", f"`{self.raw_db}`.{UNFINISHED_MOVE}")

    def loaded_mode(self) -> str | None:
        """Return the mode of the latest run, which is that of the data; None before any run."""
        with self.connect(self.transformer) as client:
            if not _exists(client, "TABLE", f"{self.marts_db}.meta_job_starts"):
                return None
            rows = client.query(
                f"SELECT mode FROM `{self.marts_db}`.meta_job_starts"  # noqa: S608
                " ORDER BY started_at DESC LIMIT 1"
            ).result_rows
            return str(rows[0][0]) if rows else None

    def drop(self) -> None:
        """Drop both databases with everything in them."""
        for login, database in self.databases:
            with self.connect(login) as client:
                client.command(f"DROP DATABASE IF EXISTS `{database}`{self.on_cluster} SYNC")
        with self.connect(self.transformer) as client:
            # dbt stores the rows that failed a test in it.
            audit = f"`{self.marts_db}_dbt_test__audit`"
            client.command(f"DROP DATABASE IF EXISTS {audit}{self.on_cluster} SYNC")


def describe_missing(replicas: list[str], cluster: str) -> str:
    """Return a sentence about replicas that do not answer."""
    if len(replicas) == 1:
        return (
            f"Replica {replicas[0]} of cluster {cluster} does not answer. Runs go on without it,"
            " and it catches up by itself when it is started again."
        )
    return (
        f"Replicas {', '.join(replicas)} of cluster {cluster} do not answer. Runs go on without"
        " them, and they catch up by themselves when they are started again."
    )


CLUSTER_SETTINGS: dict[str, Any] = {
    # ON CLUSTER waits for the replicas that are up; the others execute it when they start.
    "distributed_ddl_output_mode": "null_status_on_timeout_only_active",
    # Seconds. One that has just died counts as up for half a minute.
    "distributed_ddl_task_timeout": 15,
}
"""Settings of every connection; without a cluster they mean nothing."""


@cache
def _client(warehouse: Warehouse, login: Login) -> Client:
    """Return the one client of a login: a new client first queries a thousand settings."""
    return clickhouse_connect.get_client(
        host=warehouse.host,
        port=warehouse.port,
        username=login.user,
        password=login.password,
        secure=warehouse.secure,
        verify=warehouse.verify,
        ca_cert=str(warehouse.ca_cert) if warehouse.ca_cert else None,
        connect_timeout=10,
        autogenerate_session_id=False,
        # Behind a load balancer (ClickHouse Cloud) each request may reach another replica.
        settings={"select_sequential_consistency": 1} | CLUSTER_SETTINGS,
    )


def _exists(client: Client, what: str, name: str) -> bool:
    return bool(client.command(f"EXISTS {what} {name}"))


def _backup_login(settings: Settings) -> Login | None:
    if not settings.clickhouse_backup_user:
        return None
    password = settings.clickhouse_backup_password
    return Login(settings.clickhouse_backup_user, password.get_secret_value() if password else "")


@contextmanager
def open_warehouse(settings: Settings) -> Iterator[Warehouse]:
    """Open the server of the run.

    The embedded server is started if it does not run yet, and stopped afterwards only then.

    Raises:
        ClickHouseError: The embedded server does not start.
    """
    with _remote(settings) if settings.clickhouse_host else _embedded(settings) as warehouse:
        try:
            yield warehouse
        finally:
            # A server that is stopped waits for open connections, even for idle ones.
            _client.cache_clear()
            close_managers()


@contextmanager
def _remote(settings: Settings) -> Iterator[Warehouse]:
    loader = Login(settings.clickhouse_user, settings.clickhouse_password.get_secret_value())
    transformer = loader
    if settings.clickhouse_transform_user:
        password = settings.clickhouse_transform_password
        transformer = Login(
            settings.clickhouse_transform_user, password.get_secret_value() if password else ""
        )
    if not settings.clickhouse_verify_ssl:
        # The operator chose this; a warning with each request would hide other messages.
        urllib3.disable_warnings(urllib3.exceptions.InsecureRequestWarning)
    yield Warehouse(
        host=settings.clickhouse_host or "",
        port=settings.clickhouse_port,
        native_port=settings.clickhouse_native_port,
        secure=settings.clickhouse_secure,
        verify=settings.clickhouse_verify_ssl,
        ca_cert=settings.clickhouse_ca_cert,
        cluster=settings.clickhouse_cluster,
        backup=_backup_login(settings),
        loader=loader,
        transformer=transformer,
        raw_db=settings.raw_db,
        marts_db=settings.clickhouse_db,
    )


@contextmanager
def _embedded(settings: Settings) -> Iterator[Warehouse]:
    with ExitStack() as stack:
        try:
            server = stack.enter_context(
                running_server(settings.qtickets_home, database=settings.clickhouse_db)
            )
        except LocalClickHouseError as error:
            raise ClickHouseError(str(error)) from error

        def login(name: str) -> Login:
            return Login(server.logins[name].user, server.logins[name].password)

        yield Warehouse(
            host=server.host,
            port=server.http_port,
            native_port=server.native_port,
            secure=False,
            verify=True,
            loader=login("loader"),
            transformer=login("transformer"),
            backup=login("backup"),
            raw_db=settings.raw_db,
            marts_db=settings.clickhouse_db,
        )
