"""Functions of the benchmarks in a process of their own, so that memory and caches are separate.

`python -m benchmarks.own_process MODULE FUNCTION ARGUMENTS_AS_JSON` calls the function, and prints
the cost that it returns as JSON.
"""

import json
import subprocess
import sys
from dataclasses import asdict
from importlib import import_module
from pathlib import Path
from typing import Any

from .cost import Cost


def in_own_process(module: str, function: str, **arguments: Any) -> Cost:
    """Return the cost that `function(**arguments)` returns.

    Args:
        module: Name of the module within `benchmarks`.
        function: Name of the function.
        arguments: JSON values; paths are texts.

    Raises:
        RuntimeError: The function failed; the message has the end of its standard error.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.own_process", module, function, json.dumps(arguments)],
        cwd=Path(__file__).resolve().parents[1],
        capture_output=True,
        text=True,
        check=False,
    )
    if done.returncode:
        raise RuntimeError(f"{module}.{function} failed:\n{done.stderr[-4000:]}")
    return Cost(**json.loads(done.stdout.splitlines()[-1]))


def main(module: str, function: str, arguments: str) -> None:
    call = getattr(import_module(f"benchmarks.{module}"), function)
    print(json.dumps(asdict(call(**json.loads(arguments)))))


if __name__ == "__main__":
    main(*sys.argv[1:])
