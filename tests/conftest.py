"""What tests share: one real ClickHouse for the session, emptied before each test."""

import os
import signal
import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import clickhouse_connect
import pytest
from clickhouse_connect.driver.client import Client
from rich.console import Console
from typer.testing import CliRunner, Result
from xdist.remote import Producer
from xdist.scheduler.loadfile import LoadFileScheduling

import pipelines.run
from local_clickhouse import LocalServer, running_server
from pipelines.qtickets import app
from pipelines.run import RunReport, run
from pipelines.settings import Settings
from sandbox import World, serve

from .forge import ForgeProcess, running_forge

# Where the tests run in the background of a shell, Ctrl-C is ignored, and so it would be by every
# process that they start and tell to stop.
signal.signal(signal.SIGINT, signal.default_int_handler)

PROJECT = Path(__file__).resolve().parents[1]
REAL_PAGES = PROJECT.parent / "shared" / "qtickets" / "real"

DATABASE = "zakaz"

# For `dbt build`: the tests of the marts take half of its time, and change nothing in them.
MODELS_ONLY = ("--exclude-resource-type", "test", "--exclude-resource-type", "unit_test")
# The half of the models on which the dashboard and `--check` stand: what most tests look at.
DASHBOARD_ONLY = (
    *MODELS_ONLY,
    *("--select", "+mv_qtickets_sales_latest", "+v_qtickets_sales_dashboard"),
    *("+v_qtickets_freshness", "+fact_qtickets_sales_utm_daily"),
)


# What is expensive to make, and how the files that use it are known: they go to one worker.
SHARED = {"forge": "forge_process: ForgeProcess", "account": "account: Account"}
# The files that take half a minute and more, longest first.
LONG = (
    *("forge", "account", "test_marts_changes", "test_partial_rebuild", "test_command"),
    *("test_dashboard", "test_cassettes", "test_remote_clickhouse", "test_security"),
)


class SharedAtOneWorker(LoadFileScheduling):
    """`--dist loadfile`, and files that share something are one: it is made once."""

    def _split_scope(self, nodeid: str) -> str:
        return shared_by(super()._split_scope(nodeid))


@cache
def shared_by(file: str) -> str:
    """What tests of a file (its path, absolute or from the project) share, or the file's name."""
    text = (PROJECT / file).read_text()
    return next((name for name, words in SHARED.items() if words in text), Path(file).stem)


def pytest_xdist_make_scheduler(config: pytest.Config, log: Producer) -> LoadFileScheduling:
    return SharedAtOneWorker(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Begins with the longest files, lest one worker end with them. `make test` keeps the order."""
    order = {name: place for place, name in enumerate(LONG)}
    items.sort(key=lambda item: order.get(shared_by(str(item.path)), len(order)))


@pytest.fixture(autouse=True)
def _no_configuration_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """No test sees the developer's token, server or .env."""
    for name in list(os.environ):
        if name.startswith(("QTICKETS_", "CLICKHOUSE_", "DBT_", "REPORT_")) or name in (
            "DRY_RUN",
            "CREDENTIALS_DIRECTORY",
        ):
            monkeypatch.delenv(name)
    monkeypatch.chdir(tmp_path)


@pytest.fixture(scope="session")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """QTICKETS_HOME of the session's embedded ClickHouse."""
    return tmp_path_factory.mktemp("home")


@pytest.fixture(scope="session")
def server(home: Path) -> Iterator[LocalServer]:
    """One embedded ClickHouse for all tests."""
    with running_server(home, database=DATABASE) as server:
        yield server


@pytest.fixture
def empty_server(server: LocalServer) -> LocalServer:
    """The server without any database of the project."""
    drop_databases(server)
    return server


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


@pytest.fixture
def marts(empty_server: LocalServer) -> Marts:
    """The marts, not yet there."""
    return Marts(empty_server)


@pytest.fixture
def settings_for(home: Path, empty_server: LocalServer) -> Callable[..., Settings]:
    """Settings of a live run against a service, on the session's embedded ClickHouse."""

    def make(base_url: str, **more: Any) -> Settings:
        given: dict[str, Any] = {
            "qtickets_token": "sandbox-token",
            "qtickets_base_url": base_url,
            "qtickets_home": home,
            "clickhouse_db": DATABASE,
            "qtickets_initial_backfill_hours": "all",
            "qtickets_retry_seconds": 2,
            **more,
        }
        return Settings(**given)

    return make


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


@pytest.fixture
def run_once() -> Callable[[Settings], RunReport]:
    """One run in this process, as the command does it."""

    def once(settings: Settings) -> RunReport:
        return run(settings, Console(quiet=True))

    return once


@pytest.fixture(scope="session")
def forge_process() -> Iterator[ForgeProcess]:
    """The process from which runs are forked that are to be killed or stopped."""
    with running_forge() as process:
        yield process


@dataclass
class Account:
    """An organiser whose sales are loaded, on an embedded ClickHouse of its own."""

    environment: dict[str, str]
    server: LocalServer
    service: Any
    world: World

    def command(self, *arguments: str, **variables: str) -> Result:
        """The command in this process, with other variables where given.

        Of the marts it builds what the dashboard stands on; all are there from the beginning.
        """
        with dashboard_only():
            return CliRunner().invoke(app, list(arguments), env=self.environment | variables)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query on the marts."""
        return query(self.server, "transformer", sql)

    def raw(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query on the raw tables."""
        return query(self.server, "loader", sql)

    def snapshot(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every mart, but for what says when it was read."""
        marts = Marts(self.server).snapshot()
        events = self.rows("SELECT * EXCEPT _loaded_at FROM zakaz.dim_events ORDER BY ALL")
        return marts | {"dim_events": [tuple(row.values()) for row in events]}


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """One loaded account for all tests of operation; each leaves its marts as they were."""
    home = tmp_path_factory.mktemp("account")
    now = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
    world = World(
        orders=200, seed=11, start=now - timedelta(days=30), end=now + timedelta(days=30), now=now
    )
    with running_server(home, database=DATABASE) as server, serve(world, token="token-11") as api:
        environment = {
            "QTICKETS_TOKEN": "token-11",
            "QTICKETS_BASE_URL": api.url,
            "QTICKETS_HOME": str(home),
            "QTICKETS_INITIAL_BACKFILL_HOURS": "all",
            "QTICKETS_RETRY_SECONDS": "1",
            "QTICKETS_TIMEOUT_SECONDS": "5",
        }
        account = Account(environment, server, api, world)
        result = CliRunner().invoke(app, env=environment)
        assert result.exit_code == 0, result.output
        yield account
