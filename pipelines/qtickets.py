"""The command that schedulers run: QTickets → ClickHouse → marts. See `--help`."""

import os
import sys
from pathlib import Path

if __name__ == "__main__":
    # Started as a script, Python looks for modules in this folder; they are in the one above.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from pipelines.commands.command import PROGRAM
from pipelines.commands.program import app
from pipelines.process import tune_process

__all__ = ["app"]

if __name__ == "__main__":
    # Files that a run, dlt, dbt or the embedded server write are for their user only.
    os.umask(0o077)
    tune_process()
    app(prog_name=PROGRAM)
