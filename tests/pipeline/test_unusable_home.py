"""A QTICKETS_HOME that the user of the command cannot use: read-only, or of somebody else."""

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from tempfile import TemporaryDirectory

import pytest

from tests.support.account import Account
from tests.support.live_environment import clickhouse_variables
from tests.support.paths import PROJECT

NOBODY = 65534

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


# Runs a command twice: as root, so that everything is imported, then as another user.
AS_ANOTHER_USER = """
import os, sys
from pipelines.qtickets import app

def run(home):
    os.environ["QTICKETS_HOME"] = home
    return app(sys.argv[4:], standalone_mode=False)

assert not run(sys.argv[1])
print("NOW AS ANOTHER USER", flush=True)
print("NOW AS ANOTHER USER", file=sys.stderr, flush=True)
os.setgroups([])
os.setresgid(*[int(sys.argv[3])] * 3)
os.setresuid(*[int(sys.argv[3])] * 3)
sys.exit(run(sys.argv[2]))
"""


@pytest.fixture
def open_folder() -> Iterator[Path]:
    """A folder below folders that every user may enter, unlike those of the tests."""
    with TemporaryDirectory() as name:
        folder = Path(name)
        folder.chmod(0o755)
        yield folder


@pytest.mark.parametrize("arguments", [["check", "--format", "json"], ["run", "--dry-run"]])
@pytest.mark.parametrize(
    ("owner", "mode", "words"),
    [
        (1, 0o755, "belongs to the user with id 1, who could change what is in it"),
        (0, 0o700, "Permission denied"),
    ],
)
def test_the_home_of_another_user_is_named_in_one_line(
    account: Account, open_folder: Path, arguments: list[str], owner: int, mode: int, words: str
) -> None:
    home = open_folder / "home"
    home.mkdir()
    (home / "pii_salt").write_text("a salt that is long enough")
    (home / "clickhouse").mkdir()
    for path in (home, *home.iterdir()):
        os.chown(path, owner, owner)
        path.chmod(mode)

    homes = (account.environment["QTICKETS_HOME"], str(home))
    process = subprocess.run(
        [sys.executable, "-c", AS_ANOTHER_USER, *homes, str(NOBODY), *arguments],
        cwd="/",
        env=os.environ | account.environment | {"PYTHONPATH": str(PROJECT)},
        capture_output=True,
        text=True,
        check=False,
    )

    printed, said = (
        text.partition("NOW AS ANOTHER USER\n")[2] for text in (process.stdout, process.stderr)
    )
    assert process.returncode in (1, 2), process.stderr
    if arguments[0] == "check":
        found = json.loads(printed)
        assert found["status"] == "error"
        assert any(words in check["message"] for check in found["checks"])
    else:
        assert process.returncode == 2
        assert words in said
    assert "Traceback" not in said
    assert len(said.splitlines()) <= 1
