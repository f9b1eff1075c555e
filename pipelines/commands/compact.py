"""`compact`: old versions, snapshots and records removed."""

from pipelines.commands.command import command
from pipelines.commands.options import Options
from pipelines.errors import ExitCode


@command(
    ExitCode.CLICKHOUSE,
    ExitCode.BUSY,
    examples={"compact": "once a week, say"},
)
def compact(options: Options) -> None:
    """Remove old versions of raw rows, old seat snapshots and old job records.

    Seat snapshots are kept as fine as the history uses them: all for 7 days, hourly for 60 days,
    then daily. Job records are kept for QTICKETS_JOB_DAYS (400). No number in the marts changes.
    """
    settings = options.announce(options.read_settings(writes=True))
    from pipelines.operations.compact import compact

    for table in compact(settings):
        (rows, rows_now), (size, size_now) = table.rows, table.bytes
        options.console.print(
            f"{table.table}: {rows:,} rows are now {rows_now:,},"
            f" {size / 2**20:,.1f} MiB are {size_now / 2**20:,.1f}"
        )
    options.console.print("Compacted; the marts are as they were.")
