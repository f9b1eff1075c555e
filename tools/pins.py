"""Compile the requirements files from pyproject.toml: `make pins`.

The header of a compiled file holds a checksum of what it was compiled from and of its content, so
`outdated` finds a stale or edited file without the network. Only the standard library is imported:
this runs before anything is installed.
"""

import hashlib
import json
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

PROJECT = Path(__file__).resolve().parent.parent
LIBRARY_FILE = "qtickets_source/requirements.txt"
LIBRARY_HEADER = """\
# Written by `make pins` from the dependencies in pyproject.toml, for a copy of this folder.
# A destination of dlt brings more: dlt[duckdb], dlt[filesystem], …
"""


@dataclass(frozen=True)
class CompiledFile:
    """A requirements file with exact versions and hashes, and the dependency groups it is for."""

    path: str
    groups: tuple[str, ...]
    with_library: bool = True
    constraint: str | None = None

    def requirements(self, pyproject: dict[str, Any]) -> list[str]:
        """Return the direct requirements, in the order of pyproject.toml."""
        found = list(pyproject["project"]["dependencies"]) if self.with_library else []
        for group in self.groups:
            found += expand_group(pyproject, group)
        return found

    def checksum(self, pyproject: dict[str, Any], pins: str) -> str:
        """Return the checksum of the requirements, the range of Python versions and the pins."""
        inputs = [sorted(self.requirements(pyproject)), pyproject["project"]["requires-python"]]
        return hashlib.sha256(f"{json.dumps(inputs)}\n{pins}".encode()).hexdigest()

    def header(self, pyproject: dict[str, Any], pins: str) -> str:
        """Return the comment at the top of the file."""
        groups = " and ".join(self.groups)
        return (
            f"# Compiled by `make pins` from pyproject.toml, dependency groups: {groups}.\n"
            f"# Do not edit. Checksum: {self.checksum(pyproject, pins)}\n"
        )


FILES = (
    CompiledFile("requirements.txt", ("app", "dev")),
    # The same versions as everywhere else.
    CompiledFile("deploy/requirements.txt", ("server",), constraint="requirements.txt"),
    CompiledFile("deploy/requirements-check.txt", ("check-deploy",), with_library=False),
    CompiledFile("deploy/requirements-superset.txt", ("superset",), with_library=False),
)


def read_pyproject(project: Path) -> dict[str, Any]:
    """Return the tables of a project's pyproject.toml."""
    return tomllib.loads((project / "pyproject.toml").read_text())


def expand_group(pyproject: dict[str, Any], group: str) -> Iterator[str]:
    """Yield the requirements of a dependency group and of the groups that it includes."""
    for entry in pyproject["dependency-groups"][group]:
        if isinstance(entry, str):
            yield entry
        else:
            yield from expand_group(pyproject, entry["include-group"])


def library_requirements(pyproject: dict[str, Any]) -> str:
    """Return the content of the library's requirements file."""
    return LIBRARY_HEADER + "\n".join(pyproject["project"]["dependencies"]) + "\n"


def pinned_versions(text: str) -> dict[str, set[str]]:
    """Return the versions of each package in a compiled file; markers may make them several."""
    found: dict[str, set[str]] = {}
    for name, version in re.findall(r"^([a-z0-9-]+)(?:\[.*?\])?==(\S+)", text, re.M):
        found.setdefault(name, set()).add(version)
    return found


def outdated(project: Path) -> list[str]:
    """Return what is wrong with the requirements files of a project, a line each.

    Args:
        project: The folder of pyproject.toml.
    """
    pyproject = read_pyproject(project)
    problems = []
    for file in FILES:
        text = (project / file.path).read_text()
        pins = "".join(line for line in text.splitlines(True) if not line.startswith("#"))
        versions = pinned_versions(pins)
        for requirement in file.requirements(pyproject):
            name = re.split(r"[^A-Za-z0-9._-]", requirement)[0].lower().replace("_", "-")
            exact = re.search(r"==([^\s;,]+)", requirement)
            if name not in versions:
                problems.append(f"{file.path} lacks {requirement}")
            elif exact and versions[name] != {exact[1]}:
                problems.append(f"{file.path} has {name} {versions[name]}, not {requirement}")
        unhashed = re.findall(r"^\S+==\S+(?![^\n]*\\\n {4}--hash=sha256:)", pins, re.M)
        problems += [f"{file.path} has no hash of {pin}" for pin in unhashed]
        if text != file.header(pyproject, pins) + pins:
            problems.append(f"{file.path} is not what `make pins` wrote for this pyproject.toml")
    if (project / LIBRARY_FILE).read_text() != library_requirements(pyproject):
        problems.append(f"{LIBRARY_FILE} is not what `make pins` writes for this pyproject.toml")
    return problems


def compile_file(project: Path, file: CompiledFile) -> None:
    """Resolve a file's requirements for all platforms and Python versions, and write it.

    Versions in the existing file are kept where the requirements allow them; to upgrade one, take
    its line out first.

    Args:
        project: The folder of pyproject.toml.
        file: The file to write.

    Raises:
        subprocess.CalledProcessError: uv found no solution; its message is on stderr.
    """
    pyproject = read_pyproject(project)
    oldest = re.match(r">=([\d.]+)", pyproject["project"]["requires-python"])
    assert oldest, "requires-python in pyproject.toml has to begin with the oldest Python: >=3.…"
    command = ["uv", "pip", "compile", "--quiet", "--universal", "--python-version", oldest[1]]
    # pip refuses a package that others require with an extra, unless its pin names the extra too.
    command += ["--generate-hashes", "--no-strip-extras", "--no-annotate", "--no-header"]
    command += ["--output-file", file.path]
    command += ["pyproject.toml"] if file.with_library else []
    command += [f"--group={group}" for group in file.groups]
    command += ["--constraint", file.constraint] if file.constraint else []
    subprocess.run(command, cwd=project, check=True)
    path = project / file.path
    pins = path.read_text()
    path.write_text(file.header(pyproject, pins) + pins)


def main() -> int:
    """Write all requirements files; return the exit code."""
    if not shutil.which("uv"):
        print("error: `make pins` needs uv, which is not on the PATH: pip install uv")
        return 1
    for file in FILES:
        try:
            compile_file(PROJECT, file)
        except subprocess.CalledProcessError as error:
            print(f"error: uv could not compile {file.path}, see above; it is unchanged")
            return error.returncode
    (PROJECT / LIBRARY_FILE).write_text(library_requirements(read_pyproject(PROJECT)))
    problems = outdated(PROJECT)
    print("\n".join(problems) or "requirements files compiled")
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
