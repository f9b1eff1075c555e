"""The wheel, the pinned requirements, the range of Python versions, the hooks and `.ci/run`."""

import importlib.metadata
import os
import re
import shutil
import subprocess
import sys
import venv
from collections.abc import Iterable
from pathlib import Path
from zipfile import ZipFile

import pytest
import yaml
from packaging.requirements import Requirement
from packaging.specifiers import SpecifierSet

from tests.support.paths import PROJECT
from tests.support.source_example import call, load_the_example
from tools import pins

PYPROJECT = pins.read_pyproject(PROJECT)
PYTHON_RANGE = SpecifierSet(PYPROJECT["project"]["requires-python"])


# The library --------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The wheel, built from a copy of the project by the build backend of `pip install .`."""
    checkout = tmp_path_factory.mktemp("build") / "checkout"
    ignored = shutil.ignore_patterns(".*", "__pycache__", "target", "build", "*.egg-info")
    shutil.copytree(PROJECT, checkout, ignore=ignored)
    assert PYPROJECT["build-system"]["build-backend"] == "setuptools.build_meta"
    call(
        checkout, sys.executable, "-c", "from setuptools import build_meta as b; b.build_wheel('.')"
    )
    (built,) = checkout.glob("*.whl")
    return built


def test_the_wheel_holds_the_source_with_its_types_and_nothing_else(wheel: Path) -> None:
    source = PROJECT / "qtickets_source"
    modules = {str(path.relative_to(PROJECT)) for path in source.rglob("*.py")}
    with ZipFile(wheel) as archive:
        packed = {name for name in archive.namelist() if ".dist-info/" not in name}
        metadata = archive.read(next(n for n in archive.namelist() if n.endswith("/METADATA")))

    assert packed == modules | {"qtickets_source/py.typed"}
    assert len(modules) > 10
    for line in ("Name: qtickets-source", "License-Expression: Apache-2.0"):
        assert line in metadata.decode().splitlines()


def dependencies_of(requirements: Iterable[str]) -> dict[str, importlib.metadata.Distribution]:
    """Return the installed distributions that requirements need, including transitive ones."""
    found: dict[str, importlib.metadata.Distribution] = {}
    pending = [Requirement(text) for text in requirements]
    while pending:
        requirement = pending.pop()
        applies = requirement.marker is None or requirement.marker.evaluate({"extra": ""})
        name = requirement.name.lower()
        if applies and name not in found:
            found[name] = importlib.metadata.distribution(name)
            pending += [Requirement(text) for text in found[name].requires or []]
    return found


def test_the_installed_source_needs_only_the_dependencies_that_it_declares(
    wheel: Path, tmp_path: Path
) -> None:
    environment = tmp_path / "environment"
    venv.create(environment, with_pip=True)
    python = environment / "bin" / "python"
    (packages,) = environment.glob("lib/python*/site-packages")
    # Link only the installed packages that the wheel requires.
    for distribution in dependencies_of(PYPROJECT["project"]["dependencies"]).values():
        for top in {file.parts[0] for file in distribution.files or ()} - {"..", "__pycache__"}:
            link = packages / top
            if not link.exists():
                link.symlink_to(str(distribution.locate_file(top)))
    work = tmp_path / "work"
    work.mkdir()

    # Without an index, pip fails if an installed version is outside of the declared range.
    call(work, python, "-m", "pip", "--isolated", "install", "--quiet", "--no-index", wheel)

    where = call(work, python, "-c", "import qtickets_source; print(qtickets_source.__file__)")
    assert Path(where.strip()).is_relative_to(packages)
    load_the_example(work, python)


# Dependencies -------------------------------------------------------------------------------------


def copy_of_the_pins(folder: Path) -> Path:
    for name in ("pyproject.toml", pins.LIBRARY_FILE, *(file.path for file in pins.FILES)):
        (folder / name).parent.mkdir(exist_ok=True)
        shutil.copy(PROJECT / name, folder / name)
    return folder


def test_the_requirements_files_are_those_that_make_pins_wrote() -> None:
    assert pins.outdated(PROJECT) == [], "run `make pins`"


@pytest.mark.parametrize(
    ("name", "old", "new", "problem"),
    [
        ("pyproject.toml", r'"rich==[\d.]+"', '"rich==1.0"', "deploy/requirements.txt has rich"),
        ("pyproject.toml", r'("pytest==)', r'"brand-new", \1', "requirements.txt lacks brand-new"),
        ("pyproject.toml", r'"pip-audit==.*"', '"pip-audit==1"', "requirements-check.txt has pip-"),
        ("pyproject.toml", r"requires-python = .*", 'requires-python = ">=3.12,<4"', "is not what"),
        ("pyproject.toml", r"pyarrow>=\d+", "pyarrow>=1", "qtickets_source/requirements.txt is"),
        ("requirements.txt", r"\nagate==[\d.]+", "\nagate==1.0", "requirements.txt is not what"),
        ("requirements.txt", r"(\nagate==\S+) \\\n.*\n.*\n", r"\1\n", "has no hash of agate=="),
        ("deploy/requirements.txt", r"\ndlt==(.*\n.*\n.*\n)", r"\n", "lacks dlt==1.31.0"),
    ],
)
def test_a_change_without_make_pins_is_found(
    tmp_path: Path, name: str, old: str, new: str, problem: str
) -> None:
    project = copy_of_the_pins(tmp_path)
    text = (project / name).read_text()
    changed = re.sub(old, new, text, count=1)
    assert changed != text

    (project / name).write_text(changed)

    assert problem in "\n".join(pins.outdated(project))


def test_a_comment_or_a_setting_of_a_tool_needs_no_new_pins(tmp_path: Path) -> None:
    project = copy_of_the_pins(tmp_path)
    with (project / "pyproject.toml").open("a") as file:
        file.write("# A comment.\n[tool.another]\nsetting = 1\n")

    assert pins.outdated(project) == []


def test_the_pins_name_no_index_and_no_address() -> None:
    for file in pins.FILES:
        text = (PROJECT / file.path).read_text()
        assert not re.search(r"://|--(index|extra-index|find-links)", text), file.path


@pytest.mark.parametrize("name", ["Makefile", "deploy/install.sh", "deploy/Dockerfile"])
def test_every_installation_checks_the_hashes(name: str) -> None:
    text = (PROJECT / name).read_text().replace("\\\n", " ")
    installations = re.findall(r"pip\"? install .*--requirement .*", text)

    assert installations
    for command in installations:
        assert "--require-hashes" in command


# Python versions ----------------------------------------------------------------------------------


def test_the_range_of_python_versions_is_written_in_pyproject_alone() -> None:
    assert "target-version" not in PYPROJECT["tool"]["ruff"]
    assert "python_version" not in PYPROJECT["tool"]["mypy"]
    for name in ("Makefile", "deploy/install.sh", ".ci/run", "CONTRIBUTING.md", "tools/pins.py"):
        assert not re.search(r"\b3[.,] ?1\d\b|py31\d", (PROJECT / name).read_text()), name


def test_the_readmes_name_the_range_of_pyproject() -> None:
    first, beyond = re.findall(r"3\.(\d+)", PYPROJECT["project"]["requires-python"])
    for name, between in (("README.md", "to"), ("README.ru.md", "до")):
        ranges = re.findall(rf"(3\.\d+) {between} (3\.\d+)", (PROJECT / name).read_text())
        assert set(ranges) == {(f"3.{first}", f"3.{int(beyond) - 1}")}, name


def test_the_image_has_a_python_of_the_range() -> None:
    dockerfile = (PROJECT / "deploy" / "Dockerfile").read_text()
    (version,) = re.findall(r"^ARG PYTHON=([\d.]+)-", dockerfile, re.M)

    assert version in PYTHON_RANGE


@pytest.mark.parametrize("other", [">=3.98,<3.100", ">=3.1,<3.8"])
def test_a_python_outside_of_the_range_is_refused_with_the_range_and_a_command(
    tmp_path: Path, other: str
) -> None:
    checkout = tmp_path / "checkout"
    (checkout / "deploy").mkdir(parents=True)
    for name in ("Makefile", "requirements.txt", "deploy/install.sh", "deploy/check_python.py"):
        shutil.copy(PROJECT / name, checkout / name)
    (checkout / "pyproject.toml").write_text(f'[project]\nrequires-python = "{other}"\n')
    oldest, beyond = re.findall(r"3\.(\d+)", other)
    needed = f"Python 3.{oldest} to 3.{int(beyond) - 1} is needed, and {sys.executable} is"

    install = ["deploy/install.sh", "--root", str(tmp_path / "root"), "--python", sys.executable]
    for command in (["make", "run", f"PYTHON={sys.executable}"], install):
        done = subprocess.run(
            command,
            cwd=checkout,
            env={"PATH": os.environ["PATH"]},
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode != 0
        assert needed in done.stderr
        assert re.search(rf"Try: .*(PYTHON=|--python \S*)python3\.{oldest}$", done.stderr, re.M)
    assert not (checkout / ".venv").exists() and not (tmp_path / "root").exists()


def test_this_python_is_accepted_without_output() -> None:
    assert ".".join(map(str, sys.version_info[:2])) in PYTHON_RANGE
    assert call(PROJECT, sys.executable, "deploy/check_python.py", "make PYTHON=") == ""


# Development --------------------------------------------------------------------------------------


def test_the_version_is_the_same_everywhere_and_has_a_dated_section_in_the_changelog() -> None:
    version = PYPROJECT["project"]["version"]
    changelog = (PROJECT / "CHANGELOG.md").read_text()
    headings = re.findall(r"^## (.*)$", changelog, re.M)
    dbt_project = yaml.safe_load((PROJECT / "dbt_project" / "dbt_project.yml").read_text())
    kubernetes = [path.read_text() for path in (PROJECT / "deploy" / "kubernetes").iterdir()]

    assert headings[0] == "Unreleased"
    assert re.fullmatch(rf"{re.escape(version)} \(\d{{4}}-\d\d-\d\d\)", headings[1])
    assert dbt_project["version"] == version
    assert re.findall(r"image: \S+/qtickets:(\S+)", "".join(kubernetes)) == [version] * 2


def test_the_hooks_before_a_commit_run_what_make_lint_runs() -> None:
    recipe = re.search(r"^lint:.*\n((?:\t.*\n)+)", (PROJECT / "Makefile").read_text(), re.M)
    assert recipe
    linted = {
        line.lstrip("\t@").removesuffix(" .").replace("$(BIN)", ".venv/bin")
        for line in recipe[1].splitlines()
    }
    config = yaml.safe_load((PROJECT / ".pre-commit-config.yaml").read_text())
    hooks = [hook for repo in config["repos"] for hook in repo["hooks"]]

    assert {hook["entry"] for hook in hooks} == linted
    assert {hook["language"] for hook in hooks} == {"system"}, "a hook would download its tool"


@pytest.mark.parametrize(("failing", "steps"), [("", 3), ("lint", 2)])
def test_ci_runs_on_a_clone_without_other_files(tmp_path: Path, failing: str, steps: int) -> None:
    checkout, temporary = tmp_path / "workplace" / "checkout", tmp_path / "temporary"
    (checkout / ".ci").mkdir(parents=True)
    temporary.mkdir()
    shutil.copy(PROJECT / ".ci" / "run", checkout / ".ci" / "run")
    (checkout / "Makefile").write_text(
        "test lint check-deploy:\n"
        '\t@echo "$@ in $$(pwd) beside $$(ls -A ..) with $$(ls)"\n'
        f'\t@test "$@" != "{failing}"\n'
    )
    git = ["git", "-C", str(checkout), "-c", "user.name=Test", "-c", "user.email=test@localhost"]
    for arguments in (["init", "-q"], ["add", "."], ["commit", "-q", "-m", "First"]):
        subprocess.run([*git, *arguments], check=True)
    subprocess.run([*git, "checkout", "-q", "--detach"], check=True)
    (checkout / "not_committed").touch()
    (checkout.parent / "beside").touch()

    done = subprocess.run(
        ["bash", checkout / ".ci" / "run"],
        env={"PATH": os.environ["PATH"], "HOME": str(tmp_path), "TMPDIR": str(temporary)},
        capture_output=True,
        text=True,
        check=False,
    )

    assert (done.returncode == 0) is (not failing), done.stderr
    lines = done.stdout.splitlines()
    assert [line.split()[0] for line in lines] == ["test", "lint", "check-deploy"][:steps]
    for line in lines:
        assert f" in {temporary}/" in line and line.endswith(" beside checkout with Makefile")
    assert list(temporary.iterdir()) == []
