"""What tests share: one real ClickHouse for the session, emptied before each test."""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import datetime, timedelta
from functools import cache
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console
from typer.testing import CliRunner
from xdist.remote import Producer
from xdist.scheduler.loadfile import LoadFileScheduling

from local_clickhouse import LocalServer, running_server
from pipelines.configuration.environment import Settings
from pipelines.qtickets import app
from pipelines.run import run
from pipelines.run_report import RunReport
from sandbox import World, serve
from tests.support.account import Account
from tests.support.clickhouse import DATABASE, Marts, drop_databases
from tests.support.fork_server import ForgeProcess, running_forge
from tests.support.paths import PROJECT

# Where the tests run in the background of a shell, Ctrl-C is ignored, and so it would be by every
# process that they start and tell to stop.
signal.signal(signal.SIGINT, signal.default_int_handler)


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
