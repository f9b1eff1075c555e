"""`move`: from the embedded ClickHouse to a server."""

from pipelines.commands.command import command
from pipelines.commands.options import Options
from pipelines.errors import ExitCode


@command(
    ExitCode.CLICKHOUSE,
    ExitCode.MARTS,
    ExitCode.BUSY,
    examples={"move": "copy to the server of CLICKHOUSE_HOST, then build the marts"},
)
def move(options: Options) -> None:
    """Copy data and state from the embedded ClickHouse to the server of CLICKHOUSE_HOST.

    The server's databases must not hold data of a run. Each copy is compared with its original.
    Nothing is removed from the embedded ClickHouse. Set QTICKETS_PII_SALT_FILE to the `pii_salt`
    in QTICKETS_HOME, so that the hashes of buyers stay the same.
    """
    settings = options.read_settings(writes=True)
    from pipelines.operations.move import move

    for table, rows in move(settings).items():
        options.console.print(f"{table}: {rows:,} rows")
    options.console.print(
        f"[green]Moved[/] to {settings.clickhouse_host}, and the marts are built there. The next"
        f" run continues there; {settings.qtickets_home / 'clickhouse'} is unchanged."
    )
