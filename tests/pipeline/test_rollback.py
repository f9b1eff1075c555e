"""Upgrade to another release and rollback, on one QTICKETS_HOME."""

import os
import shutil
import sys
from pathlib import Path

import pytest

from pipelines.configuration.environment import DBT_PROJECT
from pipelines.transform.project_state import state_folder
from tests.support.source_example import call

PARSE = """
import sys
from dbt.cli.main import dbtRunner
for project, folder in zip(sys.argv[1::2], sys.argv[2::2]):
    options = ["--project-dir", project, "--profiles-dir", project, "--target-path", folder]
    result = dbtRunner().invoke(["--quiet", "parse", *options, "--log-path", folder])
    assert result.success, f"{project}: {result.exception}"
"""


def release(folder: Path, argument: str) -> Path:
    """Write a dbt project with one model, its grain test, and a name for the test's argument."""
    (folder / "models").mkdir(parents=True)
    (folder / "tests" / "generic").mkdir(parents=True)
    shutil.copy(DBT_PROJECT / "profiles.yml", folder)
    (folder / "dbt_project.yml").write_text("{name: qtickets, profile: qtickets}")
    (folder / "tests" / "generic" / "unique_grain.sql").write_text(
        f"{{% test unique_grain(model, {argument}) %}} select {{{{ {argument} }}}} {{% endtest %}}"
    )
    (folder / "models" / "sales.sql").write_text("select 1 as order_id")
    (folder / "models" / "sales.yml").write_text(
        "models: [{name: sales, data_tests: [{unique_grain: {arguments: {"
        f"{argument}: order_id"
        "}}}]}]"
    )
    return folder


@pytest.mark.slow
def test_each_release_parses_its_own_project_after_an_upgrade_and_a_rollback(
    tmp_path: Path,
) -> None:
    home = tmp_path / "home"
    first = release(tmp_path / "first", "columns")
    second = release(tmp_path / "second", "grain_columns")

    call(
        tmp_path,
        *(sys.executable, "-c", PARSE),
        *(
            path
            for project in (first, second, first, second)
            for path in (project, state_folder(home, project))
        ),
    )


def test_the_folders_of_two_releases_are_kept_and_older_ones_removed(tmp_path: Path) -> None:
    home, project = tmp_path / "home", tmp_path / "project"
    project.mkdir()
    folders = []
    for content in ("first", "second", "third"):
        (project / "dbt_project.yml").write_text(content)
        folder = state_folder(home, project)
        folders.append(folder)
        # The folder that was used last is the newest, however quickly they were used.
        os.utime(folder, (len(folders), len(folders)))

    assert [folder.exists() for folder in folders] == [False, True, True]
