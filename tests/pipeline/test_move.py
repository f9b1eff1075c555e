"""`move` copies all data and the state to another server, or nothing."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from local_clickhouse import LocalServer, running_server
from pipelines.qtickets import app
from tests.support.account import Account
from tests.support.clickhouse import DATABASE, Marts, drop_databases, query
from tests.support.live_environment import clickhouse_variables
from tests.support.paths import PROJECT
from tests.support.runs import dashboard_only


@pytest.fixture(scope="module")
def remote(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """Another ClickHouse, known only by its address and logins."""
    with running_server(tmp_path_factory.mktemp("remote"), database=DATABASE) as server:
        yield server


@pytest.fixture
def address(account: Account, remote: LocalServer) -> dict[str, str]:
    """Return the variables of that server, after dropping its databases."""
    drop_databases(remote)
    return {
        "QTICKETS_PII_SALT_FILE": str(Path(account.environment["QTICKETS_HOME"], "pii_salt")),
        **clickhouse_variables(remote),
    }


def moved(account: Account, variables: dict[str, str]) -> Result:
    with dashboard_only():
        return CliRunner().invoke(app, ["move"], env=account.environment | variables)


def rows_there(remote: LocalServer) -> int:
    """Return the number of rows in all tables of the project."""
    found = query(
        remote,
        "transformer",
        "SELECT sum(total_rows) AS rows FROM system.tables"
        " WHERE startsWith(database, 'zakaz') AND total_rows IS NOT NULL",
    )
    return int(found[0]["rows"] or 0)


def test_everything_arrives_and_the_next_run_continues_there(
    account: Account, remote: LocalServer, address: dict[str, str]
) -> None:
    account.raw("ALTER TABLE zakaz_raw.discounts ADD COLUMN came_later Nullable(String)")
    here = account.snapshot()
    runs = account.rows("SELECT * FROM zakaz.meta_job_runs ORDER BY started_at")

    result = moved(account, address)
    there = Marts(remote)
    marts = there.snapshot()
    marts_of_events = there.rows("SELECT * EXCEPT _loaded_at FROM zakaz.dim_events ORDER BY ALL")
    again = moved(account, address)

    assert result.exit_code == 0, result.output
    assert marts | {"dim_events": [tuple(row.values()) for row in marts_of_events]} == here
    assert there.rows("SELECT * FROM zakaz.meta_job_runs ORDER BY started_at") == runs
    assert there.raw("SELECT count(came_later) AS rows FROM zakaz_raw.discounts") == [{"rows": 0}]
    assert again.exit_code == 2
    assert "into empty databases only" in again.stderr
    assert account.snapshot() == here

    asked = len(account.service.requests)
    assert account.command("--skip-marts", **address).exit_code == 0
    bodies = str([body for _, _, body, _ in list(account.service.requests)[asked:]])
    account.raw("ALTER TABLE zakaz_raw.discounts DROP COLUMN came_later")
    [run] = there.rows(
        "SELECT JSONExtractUInt(metrics, 'orders') AS orders FROM zakaz.meta_job_runs"
        " ORDER BY started_at DESC LIMIT 1"
    )
    assert run["orders"] < account.world.count() / 2, "history was read again"
    assert "payed_at" in bodies
    assert "1970-01-01" not in bodies, "the cursor was not copied"
    assert marts == there.snapshot()


def test_a_copy_that_fails_leaves_nothing_behind(
    account: Account, remote: LocalServer, address: dict[str, str]
) -> None:
    query(remote, "transformer", "CREATE DATABASE zakaz")
    query(
        remote,
        "transformer",
        "CREATE TABLE zakaz.meta_job_runs (started_at Array(UInt8)) ENGINE MergeTree ORDER BY ()",
    )

    result = moved(account, address)

    assert result.exit_code == 4, result.output
    assert rows_there(remote) == 0


# Kills itself when the copy of a table is to be compared with its original.
KILLED_MOVE = """
import os, signal, sys
from pipelines.operations import move
from pipelines.qtickets import app

compare = move._checksum

def compare_or_die(table, client):
    if table.name == sys.argv[1]:
        os.kill(os.getpid(), signal.SIGKILL)
    return compare(table, client)

move._checksum = compare_or_die
app(["move"])
"""


@pytest.mark.parametrize("table", ["meta_job_runs", "_dlt_pipeline_state"])
def test_a_killed_move_is_completed_by_the_same_command_and_refused_by_runs(
    account: Account, remote: LocalServer, address: dict[str, str], table: str
) -> None:
    environment = os.environ | account.environment | address
    killed = subprocess.run(
        [sys.executable, "-c", KILLED_MOVE, table], cwd=PROJECT, env=environment, check=False
    )
    run = account.command("--skip-marts", **address)
    repeated = moved(account, address)

    assert killed.returncode == -signal.SIGKILL
    assert run.exit_code == 2
    assert "was interrupted" in run.stderr
    assert repeated.exit_code == 0, repeated.output
    here, there = (
        query(
            server,
            "loader",
            "SELECT count() AS rows, sum(price) AS sum FROM zakaz_raw.tickets FINAL",
        )
        for server in (account.server, remote)
    )
    assert here == there
    assert account.command("--skip-marts", **address).exit_code == 0


@pytest.mark.parametrize(
    ("variables", "words"),
    [
        ({"CLICKHOUSE_HOST": ""}, "CLICKHOUSE_HOST: expected"),
        ({"QTICKETS_TOKEN": "replace-me"}, "holds live data"),
        (
            {"QTICKETS_PII_SALT": "another salt for tests", "QTICKETS_PII_SALT_FILE": ""},
            "QTICKETS_PII_SALT_FILE=",
        ),
        ({"QTICKETS_HOME": "/nowhere"}, "no embedded ClickHouse"),
    ],
)
def test_an_invalid_move_is_refused_before_anything_is_written(
    account: Account,
    remote: LocalServer,
    address: dict[str, str],
    variables: dict[str, str],
    words: str,
) -> None:
    result = moved(account, address | variables)

    assert result.exit_code == 2, result.output
    assert words in result.stderr
    assert rows_there(remote) == 0
