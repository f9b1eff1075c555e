"""The direction of imports: from the commands to the source, and never back."""

import ast
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support.paths import PROJECT

APPLICATION = ("pipelines", "dashboard", "local_clickhouse", "sandbox", "bi")
DEVELOPMENT = ("benchmarks", "tools", "tests", "deploy")

# (module or package, what it must not import).
FORBIDDEN = {
    "qtickets_source": (*APPLICATION, *DEVELOPMENT),
    "local_clickhouse": ("qtickets_source", "pipelines", "dashboard", "sandbox", *DEVELOPMENT),
    "sandbox": ("qtickets_source", "pipelines", "dashboard", "local_clickhouse", *DEVELOPMENT),
    "dashboard": ("pipelines", "qtickets_source", "sandbox", *DEVELOPMENT),
    "bi": ("pipelines", "qtickets_source", "sandbox", "dashboard", *DEVELOPMENT),
    "pipelines": ("bi", *DEVELOPMENT),
    "sandbox.world": (
        *("sandbox.search", "sandbox.server", "sandbox.generated"),
        *("sandbox.recorded", "sandbox.cassette"),
    ),
    "sandbox.search": (
        *("sandbox.server", "sandbox.generated", "sandbox.recorded", "sandbox.cassette"),
    ),
    "sandbox.server": ("sandbox.generated", "sandbox.recorded", "sandbox.cassette"),
}
COMMAND = "pipelines.qtickets"
"""The program: it alone puts the subcommands of `pipelines.commands` together."""


def modules(package: str) -> dict[str, Path]:
    """Return the files of a package by module name."""
    return {
        ".".join(path.relative_to(PROJECT).with_suffix("").parts).removesuffix(".__init__"): path
        for path in (PROJECT / package.replace(".", "/")).rglob("*.py")
    }


def imports(module: str, path: Path) -> Iterator[str]:
    """Yield the absolute names of all imports of a module, including those in functions."""
    package = module if path.stem == "__init__" else module.rpartition(".")[0]
    for node in ast.walk(ast.parse(path.read_text())):
        if isinstance(node, ast.Import):
            yield from (alias.name for alias in node.names)
        elif isinstance(node, ast.ImportFrom):
            parents = package.split(".")
            base = parents[: len(parents) - node.level + 1] if node.level else []
            origin = ".".join([*base, *filter(None, [node.module])])
            # The imported name may be a module.
            yield from (f"{origin}.{alias.name}" for alias in node.names)


def is_within(name: str, package: str) -> bool:
    return name == package or name.startswith(package + ".")


@pytest.mark.parametrize("package", FORBIDDEN)
def test_a_package_imports_nothing_that_depends_on_it(package: str) -> None:
    found = {
        f"{module} imports {name}"
        for module, path in modules(package).items()
        for name in imports(module, path)
        if any(is_within(name, forbidden) for forbidden in FORBIDDEN[package])
    }

    assert found == set()


def test_only_the_program_imports_the_subcommands() -> None:
    found = {
        f"{module} imports {name}"
        for module, path in modules("pipelines").items()
        for name in imports(module, path)
        if is_within(name, "pipelines.commands")
        and not is_within(module, "pipelines.commands")
        and module != COMMAND
    }

    assert found == set()


def test_relative_and_nested_imports_are_found(tmp_path: Path) -> None:
    path = tmp_path / "module.py"
    path.write_text(
        "import a.b\nfrom .near import x\nfrom ..far import y\nfrom .. import z\n"
        "def function():\n    from c import d\n"
    )

    assert set(imports("top.room.module", path)) == {
        *("a.b", "top.room.near.x", "top.far.y", "top.z", "c.d"),
    }
    assert "sandbox.server.http" in modules("sandbox")
    assert "sandbox" in modules("sandbox")
