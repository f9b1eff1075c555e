"""Backups: a restore gives identical marts, a failed one changes nothing, old ones are removed."""

import os
import signal
import subprocess
import sys
from pathlib import Path
from time import sleep

import pytest
from typer.testing import CliRunner, Result

from pipelines.qtickets import app
from tests.support.account import Account
from tests.support.paths import PROJECT
from tests.support.runs import MODELS_ONLY, building
from tests.support.server_process import server_pid


def backup(account: Account, *arguments: str, **variables: str) -> Result:
    with building(*MODELS_ONLY):
        return CliRunner().invoke(app, list(arguments), env=account.environment | variables)


def job_runs(account: Account) -> list[dict[str, object]]:
    return account.rows("SELECT * FROM zakaz.meta_job_runs ORDER BY started_at")


def tables(account: Account) -> list[dict[str, object]]:
    return account.rows(
        "SELECT database, name, engine FROM system.tables"
        " WHERE startsWith(database, 'zakaz') ORDER BY ALL"
    )


def test_a_restore_ends_in_identical_marts_from_which_the_next_run_continues(
    account: Account,
) -> None:
    assert account.command().exit_code == 0
    marts, runs, there = account.snapshot(), job_runs(account), tables(account)
    made = backup(account, "backup", "before-the-sale")
    account.world.sell(tickets=3, price=4321)
    assert account.command().exit_code == 0
    later = account.snapshot()

    refused = backup(account, "restore", "before-the-sale")
    assert account.snapshot() == later
    result = backup(account, "restore", "before-the-sale", "--replace")
    restored = account.snapshot()
    restored_runs = job_runs(account)
    restored_there = tables(account)
    assert account.command().exit_code == 0

    assert made.exit_code == 0, made.output
    assert refused.exit_code == 2
    assert "--replace" in refused.stderr
    assert result.exit_code == 0, result.output
    assert later != marts
    assert restored == marts
    assert restored_runs == runs
    assert restored_there == there, "a restore leaves no other tables"
    assert account.snapshot() == later, "the next run loads the changes since the backup"


def test_a_restore_that_fails_changes_nothing(account: Account) -> None:
    assert backup(account, "backup", "to-damage").exit_code == 0
    folder = Path(account.environment["QTICKETS_HOME"], "clickhouse", "backups")
    damaged = max(
        (folder / "to-damage" / "data" / "zakaz_raw" / "tickets").rglob("data.bin"),
        key=lambda path: path.stat().st_size,
    )
    damaged.unlink()
    marts, there = account.snapshot(), tables(account)

    absent = backup(account, "restore", "never-made", "--replace")
    broken = backup(account, "restore", "to-damage", "--replace")

    assert absent.exit_code == 2
    assert "There is no backup never-made" in absent.stderr
    assert broken.exit_code == 4
    assert account.snapshot() == marts
    assert tables(account) == there


def test_old_backups_are_removed_and_named_ones_stay(account: Account) -> None:
    assert backup(account, "backup", "named").exit_code == 0
    made = []
    for _ in range(3):
        result = backup(account, "backup", "--keep", "2")
        assert result.exit_code == 0, result.output
        made.append(result.stdout.partition("Backed up as ")[2].partition(".\n")[0])
    again = backup(account, "backup", "named")
    listed = [line.split()[0] for line in backup(account, "backup", "--list").stdout.splitlines()]

    assert len(set(made)) == 3
    assert "named" in listed
    assert [name for name in listed if name in made] == made[1:]
    assert again.exit_code == 2
    assert "already a backup named" in again.stderr


@pytest.mark.parametrize("name", ["../out", "a b", "'; DROP", ""])
def test_invalid_names_of_backups_are_refused(account: Account, name: str) -> None:
    result = backup(account, "restore", name, "--replace")

    assert result.exit_code == 2
    assert "is no name for a backup" in result.stderr


def test_before_the_first_load_there_is_nothing_to_back_up(
    account: Account, tmp_path: Path
) -> None:
    result = backup(account, "backup", QTICKETS_HOME=str(tmp_path / "home"))

    assert result.exit_code == 2
    assert "nothing to back up" in result.stderr


# Kills itself when half of the tables are those of the backup.
KILLED_RESTORE = """
import os, signal
from pipelines.operations import backup
from pipelines.qtickets import app

replace = backup._replace_with_restored

def replace_or_die(warehouse, name):
    if name.table == "tickets":
        os.kill(os.getpid(), signal.SIGKILL)
    replace(warehouse, name)

backup._replace_with_restored = replace_or_die
app(["restore", "before", "--replace"])
"""


def test_a_killed_restore_is_completed_by_the_same_command(account: Account) -> None:
    assert account.command().exit_code == 0
    assert backup(account, "backup", "before").exit_code == 0
    marts, there = account.snapshot(), tables(account)
    account.world.sell(tickets=2, price=1234)
    assert account.command().exit_code == 0
    later = account.snapshot()

    killed = subprocess.run(
        [sys.executable, "-c", KILLED_RESTORE],
        cwd=PROJECT,
        env=os.environ | account.environment,
        check=False,
    )
    repeated = backup(account, "restore", "before", "--replace")
    restored, restored_there = account.snapshot(), tables(account)
    assert account.command().exit_code == 0

    assert killed.returncode == -signal.SIGKILL
    assert repeated.exit_code == 0, repeated.output
    assert restored == marts
    assert restored_there == there
    assert account.snapshot() == later, "the next run loads the changes since the backup"


# A slow backup of its own table, under the name given.
SLOW_BACKUP = """
import sys
from pathlib import Path
import clickhouse_connect
from local_clickhouse import running_server

with running_server(Path(sys.argv[1]), database="zakaz") as server:
    def client(name):
        login = server.logins[name]
        return clickhouse_connect.get_client(
            host=server.host, port=server.http_port, username=login.user, password=login.password
        )
    loader = client("loader")
    loader.command("CREATE DATABASE zakaz_raw")
    loader.command("CREATE TABLE zakaz_raw.orders (id String) ENGINE MergeTree ORDER BY ()")
    loader.command("INSERT INTO zakaz_raw.orders SELECT randomString(1000) FROM numbers(30000)")
    client("backup").command(
        "BACKUP TABLE zakaz_raw.orders TO Disk('backups', 'cut')",
        settings={"max_backup_bandwidth": 1_000_000},
    )
"""


def test_a_backup_cut_off_by_a_power_failure_can_be_repeated_under_its_name(tmp_path: Path) -> None:
    variables = {"QTICKETS_HOME": str(tmp_path), "QTICKETS_TOKEN": "token-11"}
    folder = tmp_path / "clickhouse" / "backups" / "cut"
    slow = subprocess.Popen([sys.executable, "-c", SLOW_BACKUP, str(tmp_path)], cwd=PROJECT)
    while not (folder / ".lock").exists():
        assert slow.poll() is None
        sleep(0.05)

    runner = CliRunner()
    meanwhile = runner.invoke(app, ["backup", "cut"], env=variables)
    os.kill(server_pid(tmp_path), signal.SIGKILL)
    os.kill(slow.pid, signal.SIGKILL)
    slow.wait()
    incomplete = runner.invoke(app, ["backup", "--list"], env=variables)
    repeated = runner.invoke(app, ["backup", "cut"], env=variables)
    listed = runner.invoke(app, ["backup", "--list"], env=variables)

    assert meanwhile.exit_code == 75, meanwhile.output
    assert "still writes" in meanwhile.stderr
    assert incomplete.stdout == ""
    assert repeated.exit_code == 0, repeated.output
    assert listed.stdout.startswith("cut ")
