"""QTICKETS_HOME that other users of the machine can change."""

import os
import re
from collections.abc import Callable
from pathlib import Path

import pytest

from pipelines.configuration.private_paths import private_home

NOBODY = 65534


@pytest.fixture
def home(tmp_path: Path) -> Path:
    home = tmp_path / "home"
    (home / "clickhouse").mkdir(parents=True, mode=0o700)
    (home / "pii_salt").touch(0o600)
    home.chmod(0o700)
    return home


def link(path: Path) -> None:
    (path.parent / "elsewhere").mkdir()
    path.symlink_to(path.parent / "elsewhere")


CHANGES: dict[str, tuple[Callable[[Path], None], str]] = {
    "a folder that everybody can write": (lambda home: home.chmod(0o777), "chmod go-w"),
    "a folder that a group can write": (lambda home: home.chmod(0o770), "chmod go-w"),
    "data that a group can write": (
        lambda home: (home / "clickhouse").chmod(0o770),
        "/clickhouse (mode 770)",
    ),
    "a salt that everybody can write": (
        lambda home: (home / "pii_salt").chmod(0o666),
        "/pii_salt (mode 666)",
    ),
    "a link in place of dlt's folder": (lambda home: link(home / "dlt"), "no symbolic link"),
    "a link in place of dbt's folder": (lambda home: link(home / "dbt"), "no symbolic link"),
}


@pytest.mark.parametrize("name", CHANGES)
def test_a_home_that_others_can_change_is_rejected_with_the_remedy(home: Path, name: str) -> None:
    change, words = CHANGES[name]
    assert private_home(home) == home

    change(home)

    with pytest.raises(ValueError, match=re.escape(words)):
        private_home(home)


def test_a_home_of_another_user_is_rejected(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    if os.geteuid() == 0:
        os.chown(home, NOBODY, NOBODY)
        assert private_home(home) == home, "root may use any folder"
    owner = home.stat().st_uid
    monkeypatch.setattr(os, "geteuid", lambda: owner + 1)

    with pytest.raises(ValueError, match=f"belongs to the user with id {owner}"):
        private_home(home)


def test_a_home_that_does_not_exist_yet_is_accepted(tmp_path: Path) -> None:
    assert private_home(tmp_path / "new") == tmp_path / "new"
