"""A QTICKETS_HOME that the user of the command cannot use: read-only, or of somebody else."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.support.account import Account
from tests.support.live_environment import clickhouse_variables
from tests.support.paths import PROJECT

SOMEBODY = 65534

pytestmark = pytest.mark.skipif(
    os.geteuid() != 0, reason="mounting a folder and becoming another user are for root"
)


@contextmanager
def read_only(folder: Path) -> Iterator[None]:
    subprocess.run(["mount", "--bind", "-o", "ro", folder, folder], check=True)
    try:
        yield
    finally:
        subprocess.run(["umount", folder], check=True)


@pytest.fixture
def read_only_home(tmp_path: Path) -> Iterator[Path]:
    home = tmp_path / "home"
    home.mkdir(mode=0o700)
    with read_only(home):
        yield home


@pytest.fixture
def variables(account: Account, read_only_home: Path) -> dict[str, str]:
    salt = Path(account.environment["QTICKETS_HOME"], "pii_salt").read_text().strip()
    return clickhouse_variables(account.server) | {
        "QTICKETS_HOME": str(read_only_home),
        "QTICKETS_PII_SALT": salt,
    }


def test_check_needs_no_writable_home(account: Account, variables: dict[str, str]) -> None:
    result = account.command("check", "--format", "json", **variables)

    found = json.loads(result.stdout)
    assert result.exit_code == int(found["status"] == "error"), result.output
    assert [check for check in found["checks"] if check["status"] == "error"] == []


def test_a_dry_run_needs_no_writable_home(account: Account, variables: dict[str, str]) -> None:
    result = account.command("run", "--dry-run", **variables)

    assert result.exit_code == 0, result.output


@pytest.mark.parametrize("arguments", [["run"], ["backup"], ["reconcile"]])
def test_a_command_that_writes_there_is_refused_in_one_line(
    account: Account, variables: dict[str, str], arguments: list[str]
) -> None:
    result = account.command(*arguments, **variables)

    assert result.exit_code == 2, result.output
    [line] = result.stderr.splitlines()
    assert f"QTICKETS_HOME {variables['QTICKETS_HOME']} cannot be written: Read-only" in line


# Root without the right to read and write what belongs to other users.
AS_ANY_USER = ("setpriv", "--bounding-set", "-dac_override,-dac_read_search")


@pytest.mark.parametrize(
    "arguments", [["check", "--format", "json"], ["run", "--dry-run"], ["run"]]
)
def test_the_home_of_another_user_is_named_in_one_line(
    account: Account, tmp_path: Path, arguments: list[str]
) -> None:
    home = tmp_path / "home"
    (home / "clickhouse").mkdir(parents=True)
    (home / "pii_salt").write_text("a salt that is long enough")
    for path in (home, *home.iterdir()):
        os.chown(path, SOMEBODY, SOMEBODY)
    home.chmod(0o700)

    process = subprocess.run(
        [*AS_ANY_USER, sys.executable, "pipelines/qtickets.py", *arguments],
        cwd=PROJECT,
        env=os.environ | account.environment | {"QTICKETS_HOME": str(home)},
        capture_output=True,
        text=True,
        check=False,
    )

    if arguments[0] == "check" and process.returncode == 1:
        found = json.loads(process.stdout)
        named = [each["message"] for each in found["checks"] if each["status"] == "error"]
    else:
        assert process.returncode == 2, process.stderr
        named = process.stderr.splitlines()
        assert len(named) == 1
    assert any(str(home) in line and "ermission denied" in line for line in named), named
    assert "Traceback" not in process.stderr
