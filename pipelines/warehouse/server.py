"""The ClickHouse of a run: the company's, or the embedded one when no host is named.

What comes out is an address with two logins. Nothing after this file knows or asks whether the
server is a local one.
"""

import re
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field
from functools import cache
from pathlib import Path

import clickhouse_connect
import urllib3
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.exceptions import ClickHouseError as DriverError
from clickhouse_connect.driver.httputil import close_managers

from local_clickhouse import LocalClickHouseError, running_server
from pipelines.configuration.environment import Settings
from pipelines.errors import ClickHouseError, ConfigurationError


@dataclass(frozen=True)
class Login:
    user: str
    password: str = field(repr=False)


@dataclass(frozen=True)
class Warehouse:
    """A ClickHouse server and the two databases of the project on it."""

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
    """Certificates to trust; None: those of this machine."""
    cluster: str | None = None
    """Tables are replicated over this cluster of one shard; None: a single server."""

    backup: Login | None = None
    """Who backs up and restores; None: the loader."""

    @property
    def backup_login(self) -> Login:
        return self.backup or self.loader

    @property
    def databases(self) -> tuple[tuple[Login, str], tuple[Login, str]]:
        """Both databases, each with the login that owns it: raw tables, then marts."""
        return (self.loader, self.raw_db), (self.transformer, self.marts_db)

    def owner(self, database: str) -> Login:
        """Who may make and drop the tables of a database."""
        return self.loader if database == self.raw_db else self.transformer

    @property
    def on_cluster(self) -> str:
        """The clause with which a statement about databases or tables reaches every server."""
        return f" ON CLUSTER `{self.cluster}`" if self.cluster else ""

    def engine(self, family: str) -> str:
        """The engine that a table of this family has here."""
        return f"Replicated{family}" if self.cluster else family

    @contextmanager
    def connect(self, login: Login) -> Iterator[Client]:
        """An HTTP connection.

        Raises:
            ClickHouseError: The server cannot be reached, or refused the login or a statement.
        """
        with self.explained(login):
            client = _client(self, login)
            # The server closes connections that are idle, maybe at this moment. A ping is repeated
            # on another one; a statement that changes something could not be.
            client.ping()
            yield client

    @contextmanager
    def explained(self, login: Login) -> Iterator[None]:
        """Turns a driver's error into one line that says what to do."""
        try:
            yield
        except DriverError as error:
            raise ClickHouseError(self.explain(str(error), login)) from error

    def explain(self, text: str, login: Login) -> str:
        # The native protocol's errors bring the server's stack along.
        text = text.partition("Stack trace:")[0].strip()
        where = f"ClickHouse at {self.host}:{self.port}"
        if "AUTHENTICATION_FAILED" in text or "Code: 516" in text:
            return (
                f"{where} refused the login of user {login.user}. Check CLICKHOUSE_USER and"
                " CLICKHOUSE_PASSWORD."
            )
        if "ACCESS_DENIED" in text or "Code: 497" in text:
            found = re.search(r"\bgrant (.+?)(?:\.\s|\.?$)", text, re.S)
            needed = " ".join(found[1].split()) if found else "more grants"
            return (
                f"{where}: user {login.user} lacks {needed}. Grant it, or use a user that has it."
            )
        if untrusted := re.search(r"CERTIFICATE_VERIFY_FAILED\] ([^(\n]+)", text):
            why = untrusted[1].strip().rstrip(".")
            return (
                f"{where} is not trusted: {why}. CLICKHOUSE_CA_CERT names the file with"
                " the certificate of its authority; is CLICKHOUSE_HOST the name that"
                " it was made out to?"
            )
        if "[SSL" in text:
            return (
                f"{where} does not speak TLS. Are CLICKHOUSE_PORT (HTTPS) and CLICKHOUSE_SECURE"
                " right?"
            )
        if "Max retries" in text or "Connection" in text or "Errno" in text:
            return (
                f"{where} cannot be reached. Is the server up, and are CLICKHOUSE_HOST,"
                " CLICKHOUSE_PORT (HTTP) and CLICKHOUSE_SECURE right?"
            )
        return f"{where}: {' '.join(text.split())[:300]}"

    def prepare(self, mode: str) -> None:
        """Makes both databases where they are missing, and keeps made-up and real sales apart.

        Raises:
            ClickHouseError, ConfigurationError
        """
        if self.cluster:
            self._check_cluster(self.cluster)
        self.make_databases()
        filled_by = self.filled_by()
        if filled_by and filled_by != mode:
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
                remedy["live"] = "Run without --offline, or set another CLICKHOUSE_DB for it."
            raise ConfigurationError(
                f"Databases {self.marts_db} and {self.raw_db} hold {filled_by} data, and this run"
                f" would add {mode} data ({reason[mode]}). {remedy[filled_by]}"
            )

    def make_databases(self) -> None:
        """Makes both databases where they are missing."""
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
            raise ConfigurationError(f"{where} does not know this cluster. It knows: {known}.")
        if shards[name] > 1:
            raise ConfigurationError(
                f"{where} has {shards[name]} shards in it. Every replica has to hold all the data:"
                " name a cluster of one shard."
            )

    def filled_by(self) -> str | None:
        """The mode of the latest run: whose sales the databases hold; None for none yet."""
        with self.connect(self.transformer) as client:
            if not _exists(client, "TABLE", f"{self.marts_db}.meta_job_starts"):
                return None
            rows = client.query(
                f"SELECT mode FROM `{self.marts_db}`.meta_job_starts"  # noqa: S608
                " ORDER BY started_at DESC LIMIT 1"
            ).result_rows
            return str(rows[0][0]) if rows else None

    def drop(self) -> None:
        """Drops both databases with everything in them."""
        for login, database in self.databases:
            with self.connect(login) as client:
                client.command(f"DROP DATABASE IF EXISTS `{database}`{self.on_cluster} SYNC")
        with self.connect(self.transformer) as client:
            # Where dbt keeps the rows that failed a test.
            audit = f"`{self.marts_db}_dbt_test__audit`"
            client.command(f"DROP DATABASE IF EXISTS {audit}{self.on_cluster} SYNC")


@cache
def _client(warehouse: Warehouse, login: Login) -> Client:
    """A client for all statements of a user: a new one first asks for a thousand settings."""
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
        # Behind a balancer (ClickHouse Cloud) each request may meet another replica.
        settings={"select_sequential_consistency": 1},
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
    """The server of the run; an embedded one is started, or found running, and left as found.

    Raises:
        ClickHouseError: The embedded server does not start.
    """
    with _remote(settings) if settings.clickhouse_host else _embedded(settings) as warehouse:
        try:
            yield warehouse
        finally:
            # A server that stops waits for connections that are open, idle or not.
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
        # It was asked for; a warning with each request would bury what matters.
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
