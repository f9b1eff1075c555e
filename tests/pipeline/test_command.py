"""The command as a user calls it: in a separate process, with a server given by its address."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from local_clickhouse import LocalServer
from pipelines.qtickets import app
from sandbox import Fault, Server, World, serve
from tests.support.clickhouse import DATABASE, Marts, query
from tests.support.live_environment import clickhouse_variables, service_variables
from tests.support.paths import PROJECT

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
TOKEN = "a-token-that-must-never-be-written-down"
CONTRACT = {
    "stg_qtickets_api_orders_raw",
    "stg_qtickets_api_inventory_raw",
    "dim_events",
    "fact_qtickets_sales_daily",
    "fact_qtickets_inventory_latest",
    "mv_qtickets_sales_latest",
    "v_qtickets_sales_dashboard",
    "meta_job_runs",
}


def call(
    environment: dict[str, str], *arguments: str, cwd: Path
) -> subprocess.CompletedProcess[str]:
    clean = {
        name: value
        for name, value in os.environ.items()
        if not name.startswith(("QTICKETS_", "CLICKHOUSE_", "DBT_", "REPORT_", "PYTEST"))
    }
    return subprocess.run(
        [sys.executable, PROJECT / "pipelines" / "qtickets.py", *arguments],
        env=clean | environment,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )


@pytest.fixture(scope="module")
def world() -> World:
    return World(orders=300, seed=5, start=NOW - timedelta(days=60), end=NOW, now=NOW)


@pytest.fixture(scope="module")
def service(world: World) -> Iterator[Any]:
    with serve(world, token=TOKEN) as server:
        yield server


@pytest.fixture(scope="module")
def own_home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("command") / "home"


@pytest.fixture
def on_a_server(
    service: Any, empty_server: LocalServer, own_home: Path, tmp_path: Path
) -> dict[str, str]:
    """Return the environment of a live run on the embedded server, given by address and logins."""
    return {
        **service_variables(service.url, TOKEN, own_home),
        "HOME": str(tmp_path / "user"),
        **clickhouse_variables(empty_server),
    }


def files_below(folder: Path) -> set[Path]:
    return {
        path
        for path in folder.rglob("*")
        if path.is_file() and not {".git", ".venv", "__pycache__"} & set(path.parts)
    }


def tables(server: LocalServer) -> list[dict[str, Any]]:
    """Return every table of the project on the server, with its number of rows."""
    return query(
        server,
        "transformer",
        "SELECT database, name, total_rows FROM system.tables"
        f" WHERE database IN ('{DATABASE}', '{DATABASE}_raw') ORDER BY ALL",
    )


def test_a_live_run_on_a_server_writes_nothing_outside_its_home(
    on_a_server: dict[str, str], marts: Marts, tmp_path: Path
) -> None:
    checkout = files_below(PROJECT)
    work = tmp_path / "work"
    work.mkdir()

    result = call(on_a_server, cwd=work)

    assert result.returncode == 0, result.stderr
    assert "v_qtickets_sales_dashboard" in result.stdout
    assert "demo" not in result.stdout.lower()
    assert files_below(PROJECT) == checkout, "the checkout may be read-only"
    assert files_below(work) == set()
    assert files_below(tmp_path / "user") == set()
    assert (
        marts.rows("SELECT sum(tickets_sold) AS sold FROM zakaz.fact_qtickets_sales_daily")[0][
            "sold"
        ]
        > 300
    )


def test_a_dry_run_counts_and_writes_nothing(
    on_a_server: dict[str, str], empty_server: LocalServer, world: World, tmp_path: Path
) -> None:
    before = tables(empty_server)
    new_home = {"QTICKETS_HOME": str(tmp_path / "home")}

    result = call(on_a_server | new_home | {"DRY_RUN": "true"}, cwd=tmp_path)

    assert result.returncode == 0, result.stderr
    assert "no ClickHouse writes" in result.stdout
    assert result.stdout.index("What a run will do") < result.stdout.index("Would load")
    assert f"{len(world.events())} new or changed events" in result.stdout
    assert tables(empty_server) == before
    assert files_below(tmp_path) == set()


def test_a_probe_needs_no_clickhouse_and_fails_where_a_run_would_lose_sales(
    on_a_server: dict[str, str], service: Server, tmp_path: Path
) -> None:
    variables = on_a_server | {"CLICKHOUSE_PORT": "1", "QTICKETS_HOME": str(tmp_path)}

    result = CliRunner().invoke(app, ["probe"], env=variables)

    assert result.exit_code == 0, result.output
    assert "New payments: by payed_at >=." in result.stdout
    report = json.loads((tmp_path / "probe.json").read_text())
    assert report["shapes"]["orders"]["fields"]["payed_at"]

    service.faults.append(Fault("/orders", kind="shift_times", hours=3))
    named = tmp_path / "named.json"
    result = CliRunner().invoke(app, ["probe", "--report", str(named)], env=variables)
    service.faults.clear()

    assert result.exit_code == 3
    assert "A run would stop: times in filters: payed_at in +03:00" in result.stdout
    assert "misread" in named.read_text()


def test_bootstrap_makes_every_table_and_view_empty_and_lists_them(
    on_a_server: dict[str, str],
    marts: Marts,
    empty_server: LocalServer,
    service: Any,
) -> None:
    asked_before = len(service.requests)

    result = CliRunner().invoke(app, ["bootstrap"], env=on_a_server)

    assert result.exit_code == 0, result.output
    listed = {
        line.split()[0].partition(".")[2] for line in result.stdout.splitlines() if "." in line
    }
    assert listed >= CONTRACT
    assert {row["name"] for row in tables(empty_server)} >= CONTRACT
    assert marts.rows("SELECT * FROM zakaz.v_qtickets_sales_dashboard") == []
    assert len(service.requests) == asked_before, "bootstrap sends no request to the service"


def test_a_lost_token_does_not_fill_live_marts_with_demo_sales(
    on_a_server: dict[str, str], marts: Marts
) -> None:
    runner = CliRunner(env=on_a_server)
    assert runner.invoke(app, ["--skip-marts"]).exit_code == 0

    result = runner.invoke(app, env={"QTICKETS_TOKEN": "replace-me"})

    assert result.exit_code == 2
    assert "hold live data" in result.stderr
    assert "DEMO" in result.stdout.splitlines()[0]


def test_help_has_examples_and_exit_codes(tmp_path: Path) -> None:
    result = call({}, "--help", cwd=tmp_path)

    assert result.returncode == 0
    for words in ("--dry-run", "bootstrap", "backfill --since", "Exit codes"):
        assert words in result.stdout
