"""Failures that a person can act on, with the exit code that tells a scheduler what kind it is."""

from enum import IntEnum


class ExitCode(IntEnum):
    """Exit codes of the command, kept for timers and probes."""

    OK = 0
    BUG = 1
    USAGE = 2
    """Wrong configuration or flags; nothing was done."""
    SERVICE = 3
    """QTickets refused, lied or did not answer; the marts are as they were."""
    CLICKHOUSE = 4
    """ClickHouse refused, broke or did not answer."""
    MARTS = 5
    """`dbt build` failed, or one of its tests did."""
    BUSY = 75
    """Another run is under way (EX_TEMPFAIL: try again later)."""


class RunError(Exception):
    """A run that ends: `message` is one line that says what, where, and what to do next."""

    exit_code = ExitCode.BUG


class ConfigurationError(RunError):
    exit_code = ExitCode.USAGE


class ServiceError(RunError):
    exit_code = ExitCode.SERVICE


class ClickHouseError(RunError):
    exit_code = ExitCode.CLICKHOUSE


class MartsError(RunError):
    exit_code = ExitCode.MARTS


class BusyError(RunError):
    exit_code = ExitCode.BUSY
