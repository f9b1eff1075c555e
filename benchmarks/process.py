"""A function of the benchmarks in a process of its own, so that memory and caches are its own.

    python -m benchmarks.process MODULE FUNCTION ARGUMENTS_AS_JSON

calls it, and prints the cost that it returns as JSON.
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
    """The cost that `function(**arguments)` tells.

    Args:
        module: Its module, within `benchmarks`.
        function: Its name.
        arguments: What JSON can say; paths as text.

    Raises:
        RuntimeError: It failed; the message is what it wrote.
    """
    done = subprocess.run(
        [sys.executable, "-m", "benchmarks.process", module, function, json.dumps(arguments)],
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
