"""The command that schedulers run: QTickets → ClickHouse → marts. See `--help`."""

import os
import signal
import sys
from pathlib import Path

if __name__ == "__main__":
    # Nothing has been done yet that would have to be put in order.
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: os._exit(130))
    # Started as a script, Python looks for modules in this folder; they are in the one above.
    sys.path[0] = str(Path(__file__).resolve().parent.parent)

from pipelines.commands.command import PROGRAM
from pipelines.commands.program import app
from pipelines.process import tune_process
from pipelines.signals import interrupt_by_signals

__all__ = ["app"]

if __name__ == "__main__":
    # Files that a run, dlt, dbt or the embedded server write are for their user only.
    os.umask(0o077)
    tune_process()
    interrupt_by_signals()
    app(prog_name=PROGRAM)
