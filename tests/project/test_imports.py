"""Importing a package is cheap and does not change the process."""

import os
import subprocess
import sys

import pytest

from tests.support.paths import PROJECT


def modules_after(statement: str) -> set[str]:
    """Return the modules that are loaded after a statement in a new process."""
    program = f"{statement}\nimport sys\nprint(*sys.modules)"
    done = subprocess.run(
        [sys.executable, "-c", program], cwd=PROJECT, capture_output=True, text=True, check=True
    )
    return set(done.stdout.split())


@pytest.mark.parametrize("module", ["settings", "errors", "observations"])
def test_light_modules_of_the_source_are_imported_without_dlt(module: str) -> None:
    loaded = modules_after(f"import qtickets_source.{module}")

    assert f"qtickets_source.{module}" in loaded
    assert not {"dlt", "pyarrow", "requests", "msgspec"} & loaded


def test_the_names_of_the_source_are_imported_when_they_are_first_used() -> None:
    loaded = modules_after("from qtickets_source import qtickets_source, QTicketsConfiguration")

    assert {"dlt", "qtickets_source.source", "qtickets_source.configuration"} <= loaded


def test_every_public_name_of_the_source_exists() -> None:
    import qtickets_source

    for name in qtickets_source.__all__:
        assert getattr(qtickets_source, name).__module__.startswith("qtickets_source"), name
    assert set(qtickets_source.__all__) <= set(dir(qtickets_source))
    with pytest.raises(AttributeError, match="no_such_name"):
        _ = qtickets_source.no_such_name


def test_importing_the_pipelines_changes_nothing_in_the_process() -> None:
    program = """
import gc, os, sys
threshold = gc.get_threshold()
import pipelines, pipelines.loading.incremental, pipelines.transform.build_plan
assert gc.get_threshold() == threshold, "garbage collection is tuned"
assert "OPENBLAS_NUM_THREADS" not in os.environ, "threads are limited"
finders = {type(finder).__module__.partition(".")[0] for finder in sys.meta_path}
assert "pipelines" not in finders, "imports are changed"
from pipelines.process import tune_process
tune_process()
assert gc.get_threshold() != threshold and "OPENBLAS_NUM_THREADS" in os.environ
"""
    clean = {name: value for name, value in os.environ.items() if name != "OPENBLAS_NUM_THREADS"}
    subprocess.run([sys.executable, "-c", program], cwd=PROJECT, env=clean, check=True)
