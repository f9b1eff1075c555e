"""Fixtures for all tests, and how tests are grouped, ordered and marked as slow.

Each worker has one embedded ClickHouse for its session. `empty_server` drops its databases.
"""

import os
import signal
from collections.abc import Callable, Iterator
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from local_clickhouse import LocalServer, running_server
from pipelines.configuration.environment import Settings
from pipelines.run import run
from pipelines.run_report import RunReport
from sandbox import Server, World, serve
from tests.support.account import Account, loaded_account
from tests.support.clickhouse import DATABASE, Marts, drop_databases
from tests.support.fork_server import ForkServer, running_fork_server
from tests.support.runs import Runner, dashboard_only
from tests.support.worlds import NOW, report_now

# A shell ignores Ctrl-C for its background jobs, and nohup ignores SIGHUP, which child processes
# inherit. The tests send both to their child processes.
signal.signal(signal.SIGINT, signal.default_int_handler)
signal.signal(signal.SIGHUP, signal.SIG_DFL)

# All tests that use one of these fixtures run in one worker, so that each is created once. The
# other tests of a file run in one worker too, for the fixtures of the file.
CREATED_ONCE = ("fork_server", "account")
# Tests with one of these fixtures are marked as slow. Every use of the session's ClickHouse uses
# `home`. Files whose tests start a server, dbt or the command by themselves set `pytestmark`.
SLOW_FIXTURES = {"home", "account", "fork_server", "browser", "wheel"}
# The groups that take longest, longest first. The workers start with them, so that none of them is
# left for a single worker at the end.
LONGEST_GROUPS = (
    *("fork_server", "account", "test_partial_rebuild", "test_remote_clickhouse", "test_runs"),
    *("test_build_plan", "test_command", "test_marts_changes", "test_local_clickhouse"),
    *("test_security", "test_dashboard"),
)


def pytest_itemcollected(item: pytest.Item) -> None:
    """Group and mark a test, before pytest-xdist reads the groups."""
    item.add_marker(pytest.mark.xdist_group(group_of(item)))
    if not SLOW_FIXTURES.isdisjoint(fixtures_of(item)):
        item.add_marker(pytest.mark.slow)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Sort the tests, longest groups first. `make test` keeps this order."""
    rank = {group: place for place, group in enumerate(LONGEST_GROUPS)}
    items.sort(key=lambda item: rank.get(group_of(item), len(rank)))


def group_of(item: pytest.Item) -> str:
    """Return the fixture of the test that is created once, or else the name of its file."""
    fixtures = fixtures_of(item)
    return next((name for name in CREATED_ONCE if name in fixtures), item.path.stem)


def fixtures_of(item: pytest.Item) -> list[str]:
    """Return the fixtures of a test, including those that its fixtures use."""
    return item.fixturenames if isinstance(item, pytest.Function) else []


@pytest.fixture(autouse=True)
def _no_configuration_from_outside(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    """Hide the token, the server and the .env of the developer from the tests."""
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
    """The session's embedded ClickHouse."""
    with running_server(home, database=DATABASE) as server:
        yield server


@pytest.fixture
def empty_server(server: LocalServer) -> LocalServer:
    """The server, without the databases of the project."""
    drop_databases(server)
    return server


@pytest.fixture
def marts(empty_server: LocalServer) -> Marts:
    """A reader of the marts, which do not exist yet."""
    return Marts(empty_server)


@pytest.fixture
def settings_for(home: Path, empty_server: LocalServer) -> Callable[..., Settings]:
    """Return a function that makes the settings of a live run on the embedded ClickHouse."""

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
def service(world: World) -> Iterator[Server]:
    """The service of a test file's own `world`."""
    with serve(world) as server:
        yield server


@pytest.fixture
def settings(
    settings_for: Callable[..., Settings], service: Server, world: World
) -> Iterator[Settings]:
    """Settings of runs on that service, which build the marts of the dashboard only."""
    with dashboard_only():
        yield settings_for(service.url, report_now=report_now(world))


@pytest.fixture
def run_once() -> Runner:
    """Return a function that runs the pipeline once in this process, as the command does."""

    def once(settings: Settings) -> RunReport:
        return run(settings, Console(quiet=True))

    return once


@pytest.fixture(scope="session")
def fork_server() -> Iterator[ForkServer]:
    """The process that forks the runs to which tests send signals."""
    with running_fork_server() as fork_server:
        yield fork_server


@pytest.fixture(scope="session")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """One loaded account for all tests of operations. Each test leaves its marts unchanged."""
    home = tmp_path_factory.mktemp("account")
    world = World(
        orders=200, seed=11, start=NOW - timedelta(days=30), end=NOW + timedelta(days=30), now=NOW
    )
    impatient = {"QTICKETS_RETRY_SECONDS": "1", "QTICKETS_TIMEOUT_SECONDS": "5"}
    with loaded_account(home, world, **impatient) as account:
        yield account
