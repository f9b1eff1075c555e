"""A remote ClickHouse: TLS with a private certificate authority, users with few grants, a cluster.

TLS is real: for both protocols, a proxy in front of the local server decrypts the connections.
The cluster is simulated: statements are recorded, and the local server executes them without the
clauses that only a cluster understands.
"""

import re
import select
import socket
import socketserver
import ssl
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import clickhouse_driver.connection
import pytest
import trustme
from clickhouse_connect.driver.client import Client
from clickhouse_connect.driver.httpclient import HttpClient
from rich.console import Console
from typer.testing import CliRunner, Result

from local_clickhouse import LocalServer, running_server
from local_clickhouse.grants import grants
from pipelines.configuration.environment import DBT_PROJECT, Settings
from pipelines.configuration.library_environment import environment
from pipelines.errors import ConfigurationError
from pipelines.loading.pipeline import create_raw_tables
from pipelines.operations.bootstrap import bootstrap
from pipelines.qtickets import app
from pipelines.transform.dbt_build import build_marts, dbt_environment
from pipelines.warehouse.server import Warehouse, open_warehouse
from qtickets_source.rows.schema import ALL_TABLES
from sandbox import World, serve
from tests.support.clickhouse import DATABASE, Marts, query
from tests.support.live_environment import clickhouse_variables, service_variables
from tests.support.marts_world import MartsWorld, ticket
from tests.support.runs import MODELS_ONLY, dashboard_only

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")


# Proxies in front of the server -------------------------------------------------------------------


class Front:
    """A proxy for a port of this machine. Subclasses define how it forwards a connection."""

    def __init__(self, port: int) -> None:
        self._to = port
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = self._listener.getsockname()[1]
        threading.Thread(target=self._accept, daemon=True).start()

    def close(self) -> None:
        self._listener.close()

    def _accept(self) -> None:
        while True:
            try:
                client, _ = self._listener.accept()
            except OSError:
                return
            _send_at_once(client)
            threading.Thread(target=self._serve, args=(client,), daemon=True).start()

    def _connected(self) -> socket.socket:
        """Open a connection to the server."""
        server = socket.create_connection(("127.0.0.1", self._to))
        _send_at_once(server)
        return server

    def _serve(self, client: socket.socket) -> None:
        raise NotImplementedError


def _send_at_once(connection: socket.socket) -> None:
    """Disable Nagle's algorithm, which would delay the second part of a message by 40 ms."""
    connection.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, True)


class TlsFront(Front):
    """A proxy that terminates TLS."""

    def __init__(self, certificate: trustme.LeafCert, port: int) -> None:
        self.connections = 0
        self._context = ssl.create_default_context(ssl.Purpose.CLIENT_AUTH)
        certificate.configure_cert(self._context)
        super().__init__(port)

    def _serve(self, client: socket.socket) -> None:
        try:
            secure = self._context.wrap_socket(client, server_side=True)
        except OSError:
            client.close()
            return
        self.connections += 1
        server = self._connected()
        back = threading.Thread(target=_pass_on, args=(server, secure), daemon=True)
        back.start()
        _pass_on(secure, server)


def _pass_on(source: socket.socket, sink: socket.socket) -> None:
    try:
        while data := source.recv(65536):
            sink.sendall(data)
    except OSError:
        pass
    finally:
        for end in (source, sink):
            try:
                end.shutdown(socket.SHUT_RDWR)
            except OSError:
                continue


@dataclass
class Fronts:
    """Both protocols of the server behind TLS, and the authority that issued the certificate."""

    authority: Path
    http: TlsFront
    native: TlsFront


@contextmanager
def tls_fronts(server: LocalServer, folder: Path, name: str) -> Iterator[Fronts]:
    """Put TLS in front of the server, with a certificate issued to `name`."""
    authority = trustme.CA()
    certificate = authority.issue_cert(name)
    fronts = Fronts(
        authority=folder / f"ca-of-{name}.pem",
        http=TlsFront(certificate, server.http_port),
        native=TlsFront(certificate, server.native_port),
    )
    authority.cert_pem.write_to_path(str(fronts.authority))
    try:
        yield fronts
    finally:
        fronts.http.close()
        fronts.native.close()


@pytest.fixture(scope="module")
def fronts(server: LocalServer, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Fronts]:
    with tls_fronts(server, tmp_path_factory.mktemp("tls"), "127.0.0.1") as fronts:
        yield fronts


@pytest.fixture(scope="module")
def service() -> Iterator[Any]:
    world = World(orders=60, seed=4, start=NOW - timedelta(days=9), end=NOW, now=NOW)
    with serve(world, token="right-token") as server:
        yield server


@pytest.fixture
def plain(service: Any, empty_server: LocalServer, tmp_path: Path) -> dict[str, str]:
    """Return the environment of a live run on the server, given by its address, without TLS."""
    return {
        **service_variables(service.url, "right-token", tmp_path / "home"),
        **clickhouse_variables(empty_server),
    }


@pytest.fixture
def secure(plain: dict[str, str], fronts: Fronts) -> dict[str, str]:
    """Return the same environment with TLS and the authority of the server's certificate."""
    return plain | {
        "CLICKHOUSE_PORT": str(fronts.http.port),
        "CLICKHOUSE_NATIVE_PORT": str(fronts.native.port),
        "CLICKHOUSE_SECURE": "true",
        "CLICKHOUSE_CA_CERT": str(fronts.authority),
    }


class ForgetfulFront(Front):
    """A proxy that closes a connection if a request arrives after a short idle time.

    It simulates a server whose keep-alive expires while the request is on its way.
    """

    def __init__(self, port: int, patience: float = 0.5) -> None:
        self.closed = 0
        self._patience = patience
        super().__init__(port)

    def _serve(self, client: socket.socket) -> None:
        answered_at: float | None = None
        with client, self._connected() as server:
            while True:
                for ready in select.select([client, server], [], [])[0]:
                    try:
                        data = ready.recv(65536)
                    except OSError:
                        data = b""
                    is_late = answered_at and time.monotonic() - answered_at > self._patience
                    if ready is client and data and is_late:
                        self.closed += 1
                        return
                    if not data:
                        return
                    (server if ready is client else client).sendall(data)
                    answered_at = time.monotonic() if ready is server else None


def command(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env=environment)


def test_a_connection_that_the_server_closes_during_a_statement_fails_no_run(
    plain: dict[str, str], empty_server: LocalServer, service: Any, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A run asks the service some thirty times in a row, and its connections to ClickHouse are idle
    # meanwhile: for longer than the front is patient, however fast the machine is.
    monkeypatch.setattr(service, "latency_ms", 40)
    front = ForgetfulFront(empty_server.http_port)
    try:
        for _ in range(3):
            result = command(plain | {"CLICKHOUSE_PORT": str(front.port)}, "--skip-marts")
            assert result.exit_code == 0, result.output
    finally:
        front.close()

    assert front.closed, "no connection was ever idle"


def the_line(result: Result) -> str:
    """Return the only line on stderr."""
    lines = [line for line in result.stderr.splitlines() if line.strip()]
    assert len(lines) == 1, result.stderr
    assert lines[0].startswith("Failed: ")
    return lines[0]


def test_a_full_run_over_tls_with_a_private_certificate_authority(
    secure: dict[str, str], fronts: Fronts, marts: Marts
) -> None:
    before = fronts.http.connections, fronts.native.connections

    with dashboard_only():
        result = command(secure)

    assert result.exit_code == 0, result.output
    assert marts.rows("SELECT count() AS days FROM zakaz.fact_qtickets_sales_daily")[0]["days"]
    # The environment has only the ports of the two proxies, so all connections used TLS.
    assert fronts.http.connections > before[0]
    assert fronts.native.connections > before[1]


def test_without_checking_certificates_every_client_connects_to_any(
    secure: dict[str, str], marts: Marts
) -> None:
    unchecked = secure | {"CLICKHOUSE_CA_CERT": "", "CLICKHOUSE_VERIFY_SSL": "false"}

    result = command(unchecked, "--skip-marts")

    assert result.exit_code == 0, result.output
    assert marts.raw("SELECT count() AS orders FROM zakaz_raw.orders")[0]["orders"]
    given: dict[str, Any] = {name.lower(): value for name, value in unchecked.items() if value}
    settings = Settings(**given)
    # This tests the client of dbt alone, without building a model.
    from dbt.cli.main import dbtRunner

    with open_warehouse(settings) as warehouse, environment(dbt_environment(settings, warehouse)):
        folder = str(DBT_PROJECT)
        asked = ["debug", "--connection", "--project-dir", folder, "--profiles-dir", folder]
        assert dbtRunner().invoke(asked).success


@pytest.fixture
def another_authority(tmp_path: Path) -> Path:
    path = tmp_path / "another.pem"
    trustme.CA().cert_pem.write_to_path(str(path))
    return path


@pytest.mark.parametrize("authority", ["none", "another"])
def test_a_certificate_of_an_unknown_authority_is_reported_in_one_line(
    authority: str, secure: dict[str, str], another_authority: Path
) -> None:
    path = {"none": "", "another": str(another_authority)}[authority]

    result = command(secure | {"CLICKHOUSE_CA_CERT": path})

    assert result.exit_code == 4, result.output
    assert "is not trusted: certificate verify failed" in the_line(result)
    assert "CLICKHOUSE_CA_CERT" in the_line(result)


def test_a_certificate_for_another_name_is_reported_in_one_line(
    secure: dict[str, str], server: LocalServer, tmp_path: Path
) -> None:
    with tls_fronts(server, tmp_path, "clickhouse.example.org") as other:
        result = command(
            secure
            | {
                "CLICKHOUSE_PORT": str(other.http.port),
                "CLICKHOUSE_NATIVE_PORT": str(other.native.port),
                "CLICKHOUSE_CA_CERT": str(other.authority),
            }
        )

    assert result.exit_code == 4, result.output
    assert "is not trusted" in the_line(result)
    assert "CLICKHOUSE_HOST" in the_line(result)


def test_tls_to_a_port_without_tls_is_reported_in_one_line(
    secure: dict[str, str], plain: dict[str, str]
) -> None:
    result = command(secure | {"CLICKHOUSE_PORT": plain["CLICKHOUSE_PORT"]})

    assert result.exit_code == 4, result.output
    assert "does not speak TLS" in the_line(result)
    assert "CLICKHOUSE_SECURE" in the_line(result)


def test_a_plain_request_to_a_tls_port_is_reported_in_one_line(
    secure: dict[str, str], plain: dict[str, str]
) -> None:
    result = command(plain | {"CLICKHOUSE_PORT": secure["CLICKHOUSE_PORT"]})

    assert result.exit_code == 4, result.output
    assert "CLICKHOUSE_SECURE" in the_line(result)


def test_a_missing_or_invalid_authority_file_is_a_configuration_error(
    secure: dict[str, str], tmp_path: Path
) -> None:
    (tmp_path / "garbage.pem").write_text("no certificate")

    for path in ("missing.pem", "garbage.pem"):
        result = command(secure | {"CLICKHOUSE_CA_CERT": str(tmp_path / path)})

        assert result.exit_code == 2, result.output
        assert "CLICKHOUSE_CA_CERT: expected a file of PEM certificates" in the_line(result)
        assert path in the_line(result)


def test_with_tls_the_default_ports_are_those_of_tls() -> None:
    plain, secure = Settings(), Settings(clickhouse_secure=True)
    given = Settings(clickhouse_secure=True, clickhouse_port=443)

    assert (plain.clickhouse_port, plain.clickhouse_native_port) == (8123, 9000)
    assert (secure.clickhouse_port, secure.clickhouse_native_port) == (8443, 9440)
    assert (given.clickhouse_port, given.clickhouse_native_port) == (443, 9440)


# Users with missing grants ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("role", "lacks"),
    [
        ("CLICKHOUSE", f"SHOW DATABASES ON {DATABASE}_raw.*"),
        ("CLICKHOUSE_TRANSFORM", f"CREATE DATABASE ON {DATABASE}.*"),
    ],
)
def test_a_missing_grant_is_reported_in_one_line_that_names_it_and_the_user(
    role: str, lacks: str, plain: dict[str, str], empty_server: LocalServer
) -> None:
    reader = empty_server.logins["reader"]

    result = command(
        plain | {f"{role}_USER": reader.user, f"{role}_PASSWORD": reader.password}, "--skip-marts"
    )

    assert result.exit_code == 4, result.output
    assert f"user reader lacks {lacks}" in the_line(result)


@pytest.mark.parametrize(
    ("user", "without", "lacks"),
    [
        ("loader", "CREATE TABLE, ", "CREATE TABLE"),
        ("transformer", "SELECT, SHOW ON `zakaz_raw`.*", "SELECT"),
    ],
)
def test_a_grant_that_is_missing_in_the_middle_of_a_run_is_reported_in_one_line_too(
    user: str,
    without: str,
    lacks: str,
    plain: dict[str, str],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    def fewer(name: str, databases: Any) -> list[str]:
        granted = grants(name, databases)
        if name != user:
            return granted
        return [g.replace(without, "") for g in granted if g != without]

    monkeypatch.setattr("local_clickhouse.server_config.grants", fewer)
    with running_server(tmp_path / "server", database=DATABASE) as strict:
        result = command(
            plain
            | {
                "CLICKHOUSE_PORT": str(strict.http_port),
                "CLICKHOUSE_NATIVE_PORT": str(strict.native_port),
                "CLICKHOUSE_PASSWORD": strict.logins["loader"].password,
                "CLICKHOUSE_TRANSFORM_PASSWORD": strict.logins["transformer"].password,
            }
        )

    assert result.exit_code == 4, result.output
    assert f"user {user} lacks {lacks}" in the_line(result)
    assert f"ON {DATABASE}_raw." in the_line(result)


# A cluster ----------------------------------------------------------------------------------------

CLUSTER = "shop"
CHANGES_TABLES = re.compile(r"(CREATE|DROP|RENAME|EXCHANGE|ALTER|TRUNCATE)\b", re.I)
COPIES_A_TABLE = re.compile(r"create table \S+ ON CLUSTER \S+\s+as `zakaz\w*`\.`int_", re.I)
MAKES_A_TABLE = re.compile(r"create (or replace )?table", re.I)
# The adapter tests on the connected server alone whether tables can be exchanged. Rows that fail a
# data test are stored on that server alone, too.
OF_ONE_SERVER = ("__dbt_exchange_test_", f"{DATABASE}_dbt_test__audit`.")


@dataclass
class Cluster:
    """A simulated cluster: records the statements that it gets, without comments."""

    statements: list[str] = field(default_factory=list)
    shards: int = 1

    def on_one_server(self, statement: str) -> str:
        """Record a statement, and return it rewritten for a server without a cluster."""
        self.statements.append(re.sub(r"/\*.*?\*/|--[^\n]*", "", statement, flags=re.S))
        if "SYSTEM SYNC REPLICA" in statement:
            return "SELECT 1"
        known = (
            f"(SELECT '{CLUSTER}' AS cluster, arrayJoin(range({self.shards})) AS shard_num,"
            " 1 AS replica_num, 'localhost' AS host_name, 9000 AS port)"
        )
        for pattern, replacement in (
            (rf"ON CLUSTER\s+([`\"]){CLUSTER}\1", ""),
            (r"Replicated(\w*MergeTree)", r"\1"),
            (rf"clusterAllReplicas\([\"']{CLUSTER}[\"'], (system\.\w+)\)", r"\1"),
            (r"\b_shard_num\b", "1"),
            (r"FROM system\.clusters", f"FROM {known}"),
            (r"select engine from", "select concat('Replicated', engine) from"),
        ):
            statement = re.sub(pattern, replacement, statement)
        return statement

    @property
    def changes(self) -> list[str]:
        """The statements about databases and tables that every replica has to execute."""
        stated = [" ".join(statement.split()) for statement in self.statements]
        return [
            statement
            for statement in dict.fromkeys(stated)
            if CHANGES_TABLES.match(statement)
            and not any(words in statement for words in OF_ONE_SERVER)
        ]


@pytest.fixture
def cluster(empty_server: LocalServer, monkeypatch: pytest.MonkeyPatch) -> Cluster:
    """A cluster whose only replica is the local server, for both drivers."""
    cluster = Cluster()

    def stating(owner: type, name: str) -> None:
        stock = getattr(owner, name)

        def state(self: Any, statement: Any, *arguments: Any, **named: Any) -> Any:
            if isinstance(statement, str):
                statement = cluster.on_one_server(statement)
            return stock(self, statement, *arguments, **named)

        monkeypatch.setattr(owner, name, state)

    stating(clickhouse_driver.connection.Connection, "send_query")
    stating(HttpClient, "command")
    stating(Client, "query")
    return cluster


@pytest.fixture
def on_a_cluster(plain: dict[str, str]) -> Settings:
    given: dict[str, Any] = {name.lower(): value for name, value in plain.items()}
    return Settings(**given, clickhouse_cluster=CLUSTER)


def test_on_a_cluster_every_table_is_created_on_all_replicas_and_replicated(
    cluster: Cluster, on_a_cluster: Settings, server: LocalServer
) -> None:
    bootstrap(on_a_cluster, Console(quiet=True))
    with open_warehouse(on_a_cluster) as warehouse:
        build_marts(on_a_cluster, warehouse, "--select", "int_qtickets_loaded")
        warehouse.drop()

    changes = cluster.changes
    # A replicated table replicates the partitions that are attached to it.
    changes = [s for s in changes if " attach partition all from " not in s]
    local = [s for s in changes if not re.search(rf"ON CLUSTER [`\"]{CLUSTER}[`\"]", s)]
    assert local == []
    copies = [statement for statement in changes if COPIES_A_TABLE.match(statement)]
    assert len(copies) == 1, "the engine of a published table is that of the tested one"
    tables = [s for s in changes if MAKES_A_TABLE.match(s) and s not in copies]
    engines = [re.findall(r"engine ?= ?(\w+)", statement, re.I) for statement in tables]
    assert {engine for (engine,) in engines} == {
        "ReplicatedMergeTree",
        "ReplicatedReplacingMergeTree",
    }
    for table in ALL_TABLES:
        (made,) = [s for s in tables if f"`{DATABASE}_raw`.`{table.name}` ON CLUSTER" in s]
        assert "ENGINE = ReplicatedReplacingMergeTree(`_fetched_at`)" in made
    assert [s for s in changes if s.startswith("EXCHANGE TABLES")]
    assert any("SYSTEM SYNC REPLICA" in statement for statement in cluster.statements)
    for statement in changes:
        literal = statement.replace("\\", "\\\\").replace("'", "\\'")
        assert query(server, "loader", f"SELECT formatQuery('{literal}') AS parsed")


def test_on_a_cluster_a_partial_rebuild_copies_unchanged_rows_without_deletes(
    cluster: Cluster, on_a_cluster: Settings
) -> None:
    compared = ("+fact_qtickets_sales_daily", "+dim_events", "+dim_shows")
    models = ("--select", "+dim_buyers", *compared, *MODELS_ONLY)
    with open_warehouse(on_a_cluster) as warehouse:
        warehouse.prepare("demo")
        create_raw_tables(on_a_cluster, warehouse)
        world = MartsWorld(on_a_cluster, warehouse)
        world.order(1, "2026-03-30 10:00:00", ticket("500"), ticket("600"), buyer_hash="a")
        world.order(2, "2026-03-30 11:00:00", ticket("700"), buyer_hash="b")
        build_marts(on_a_cluster, warehouse, *models)
        world.fetched_at = "2026-03-31 10:00:00"
        world.order(2, "2026-03-30 11:00:00", ticket("700"), ticket("800"), buyer_hash="b")
        cluster.statements.clear()
        since = datetime(2026, 3, 31, 9, 30, tzinfo=timezone.utc)
        build_marts(on_a_cluster, warehouse, *models, changed_since=since)
        buyers = world.rows(
            f"SELECT buyer_hash, tickets_sold FROM {DATABASE}.dim_buyers ORDER BY buyer_hash"
        )
        warehouse.drop()

    assert buyers == [
        {"buyer_hash": "a", "tickets_sold": 2},
        {"buyer_hash": "b", "tickets_sold": 2},
    ]
    stated = [" ".join(statement.split()).lower() for statement in cluster.statements]
    assert not [s for s in stated if s.startswith("delete from")]
    assert [s for s in stated if s.startswith("insert into") and "where not (buyer_hash in" in s]


@pytest.mark.parametrize(
    ("name", "shards", "says"),
    [("shop", 2, "has 2 shards"), ("store", 1, "has no such cluster. It has: shop.")],
)
def test_a_cluster_that_is_unknown_or_has_shards_is_refused_before_anything_is_created(
    name: str, shards: int, says: str, cluster: Cluster, on_a_cluster: Settings
) -> None:
    cluster.shards = shards
    settings = on_a_cluster.model_copy(update={"clickhouse_cluster": name})

    with open_warehouse(settings) as warehouse, pytest.raises(ConfigurationError, match=says):
        warehouse.prepare("live")

    assert cluster.changes == []


def test_a_single_server_gets_no_cluster_clauses(server: LocalServer) -> None:
    with open_warehouse(Settings(clickhouse_host="x")) as warehouse:
        assert isinstance(warehouse, Warehouse)
        assert (warehouse.on_cluster, warehouse.engine("MergeTree")) == ("", "MergeTree")


def test_a_native_connection_that_is_lost_during_a_load_is_an_error_of_clickhouse(
    plain: dict[str, str], empty_server: LocalServer
) -> None:
    with lossy_proxy(empty_server.native_port, after_bytes=6_000) as port:
        result = CliRunner().invoke(
            app, ["run", "--skip-marts"], env=plain | {"CLICKHOUSE_NATIVE_PORT": str(port)}
        )

    assert result.exit_code == 4, result.output
    assert "bug" not in result.output
    assert CliRunner().invoke(app, ["run", "--skip-marts"], env=plain).exit_code == 0


@contextmanager
def lossy_proxy(port: int, after_bytes: int) -> Iterator[int]:
    """Forward connections to a local port, and close each after a number of bytes sent to it."""

    class Forward(socketserver.BaseRequestHandler):
        def handle(self) -> None:
            sent = 0
            with socket.create_connection(("127.0.0.1", port)) as server:
                while sent < after_bytes:
                    ready, _, _ = select.select([self.request, server], [], [], 30)
                    for source in ready:
                        data = source.recv(4096)
                        if not data:
                            return
                        if source is self.request:
                            sent += len(data)
                            server.sendall(data)
                        else:
                            self.request.sendall(data)

    with socketserver.ThreadingTCPServer(("127.0.0.1", 0), Forward) as proxy:
        proxy.daemon_threads = True
        threading.Thread(target=proxy.serve_forever, daemon=True).start()
        try:
            yield proxy.server_address[1]
        finally:
            proxy.shutdown()
