"""Backups: a restore gives identical marts, a failed one changes nothing, old ones are removed."""

from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipelines.qtickets import app
from tests.support.account import Account


def backup(account: Account, *arguments: str, **variables: str) -> Result:
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
    assert again.exit_code == 4
    assert "named" in again.stderr


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
