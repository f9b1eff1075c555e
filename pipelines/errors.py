"""Errors that an operator can act on, each with the exit code that tells a scheduler its kind."""

import os
from enum import IntEnum
from errno import EDQUOT, EFBIG, ENOSPC
from pathlib import Path


class ExitCode(IntEnum):
    """Exit codes of the command, kept for timers and probes."""

    OK = 0
    BUG = 1
    USAGE = 2
    """Wrong configuration or flags; nothing was done."""
    SERVICE = 3
    """QTickets rejected a request, returned invalid data, or timed out; the marts are unchanged."""
    CLICKHOUSE = 4
    """ClickHouse rejected a statement, failed, or did not answer."""
    MARTS = 5
    """`dbt build` failed, or one of its tests did."""
    LEFT_OUT = 6
    """Done, but paid orders that cannot be read were left out of the numbers."""
    BUSY = 75
    """Another run is in progress (EX_TEMPFAIL: try again later)."""


INTERRUPTED = 130
"""The exit code after a signal: 128 and the number of Ctrl-C's."""


class RunError(Exception):
    """An error that ends a run.

    Args:
        message: One line: what failed, where, and what to do.
        cause: Tells causes with the same exit code apart, for alerts; "" if unknown.
    """

    exit_code = ExitCode.BUG
    heading = "Failed"

    def __init__(self, message: str, cause: str = "") -> None:
        super().__init__(message)
        self.cause = cause


class ConfigurationError(RunError):
    exit_code = ExitCode.USAGE


class ServiceError(RunError):
    exit_code = ExitCode.SERVICE


class OutOfMemoryError(ConfigurationError):
    """The system gives the process no more memory."""


class ClickHouseError(RunError):
    exit_code = ExitCode.CLICKHOUSE


class MartsError(RunError):
    exit_code = ExitCode.MARTS


class RowsLeftOut(RunError):
    """The run is done, but its numbers lack orders that cannot be read."""

    exit_code = ExitCode.LEFT_OUT
    heading = "Left out"


class BusyError(RunError):
    exit_code = ExitCode.BUSY


# Of an ImportError and a RuntimeError.
_NO_MEMORY = ("failed to map segment from shared object", "can't start new thread")


def system_error(error: BaseException) -> ConfigurationError | None:
    """Return the error for what the operating system refused; None for any other cause."""
    if isinstance(error, MemoryError) or any(words in str(error) for words in _NO_MEMORY):
        return OutOfMemoryError(
            "There is not enough memory. Allow the command more (ulimit -v, the limit of the"
            " container or of the unit); nothing is lost, the next run repeats what is missing."
        )
    if isinstance(error, OSError) and error.errno is not None and error.filename is not None:
        return ConfigurationError(
            f"{error.filename}: {os.strerror(error.errno)}. Check the owner and the mode of this"
            " path, and QTICKETS_HOME; the next run repeats what is missing."
        )
    return None


def disk_full(error: BaseException, folder: Path) -> ConfigurationError | None:
    """Return the error for a disk or quota that is full; None for any other cause."""
    if isinstance(error, OSError) and error.errno in (ENOSPC, EDQUOT, EFBIG):
        return ConfigurationError(
            f"QTICKETS_HOME: {folder} cannot be written: {os.strerror(error.errno)}. Free space;"
            " the next run repeats what is missing."
        )
    return None
