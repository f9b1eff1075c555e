"""What each exit code means, for `--help` and the documentation."""

from pipelines.errors import INTERRUPTED, ExitCode

MEANINGS: dict[int, str] = {
    ExitCode.OK: "done",
    ExitCode.BUG: "a bug, or `check` found an error",
    ExitCode.USAGE: "wrong configuration or options; nothing was done",
    ExitCode.SERVICE: "QTickets rejected a request, returned invalid data, or timed out",
    ExitCode.CLICKHOUSE: "ClickHouse rejected a statement, failed, or did not answer",
    ExitCode.MARTS: "dbt failed, or a test of the marts did",
    ExitCode.LEFT_OUT: "done, but paid orders that cannot be read were left out of the numbers",
    ExitCode.BUSY: "another run is in progress; try again later",
    INTERRUPTED: "interrupted; the next run continues",
}
