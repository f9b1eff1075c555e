"""`backup` and `restore`: ClickHouse's BACKUP and RESTORE of the raw tables, state and job log."""

from typing import Annotated

import typer

from pipelines.commands.command import command
from pipelines.commands.options import Options
from pipelines.errors import ConfigurationError, ExitCode


@command(
    ExitCode.CLICKHOUSE,
    ExitCode.BUSY,
    examples={
        "backup": "a backup named after its time; the oldest such ones are deleted",
        "backup before-upgrade": "a backup with a name, which is never deleted",
        "backup --list": "all backups of the embedded ClickHouse",
    },
)
def backup(
    options: Options,
    *,
    name: Annotated[
        str | None,
        typer.Argument(
            metavar="[NAME]",
            help="A backup with a name is kept until you delete it.",
            show_default="the time in UTC, and deleted as --keep says",
        ),
    ] = None,
    keep: Annotated[
        int | None,
        typer.Option(
            "--keep",
            min=1,
            metavar="N",
            help="Keep this many backups without a name (embedded ClickHouse).",
            show_default="QTICKETS_BACKUPS, 14",
        ),
    ] = None,
    list_only: Annotated[
        bool,
        typer.Option(
            "--list", help="Make no backup; list those of the embedded ClickHouse, oldest first."
        ),
    ] = False,
) -> None:
    """Back up the data that cannot be rebuilt: raw tables, dlt's state, the job log.

    The marts are not in it: `restore` builds them. Nor is the salt of buyer hashes; keep it with
    your secrets.
    """
    if list_only:
        if name or keep:
            raise ConfigurationError("--list goes with neither a name nor --keep.")
        _list_backups(options)
        return
    settings = options.read_settings(writes=True)
    from pipelines.operations.backup import backups_folder, create, thin

    made = create(settings, name)
    options.console.print(f"Backed up as {made}.")
    if not settings.clickhouse_host:
        for old in thin(settings, keep or settings.qtickets_backups):
            options.console.print(f"Deleted the old {old}.")
        options.console.print(
            f"It is in {backups_folder(settings)}, on the same disk as the data: copy it, and"
            f" {settings.qtickets_home / 'pii_salt'}, to another machine."
        )


def _list_backups(options: Options) -> None:
    settings = options.read_settings()
    if settings.clickhouse_host:
        raise ConfigurationError(
            "--list: backups of a server are listed where they are stored"
            " (QTICKETS_BACKUP_TARGET), and in its table system.backup_log."
        )
    from pipelines.operations.backup import backups

    for backup in backups(settings):
        made_at = f"{backup.made_at:%Y-%m-%d %H:%M} UTC"
        options.console.print(f"{backup.name}  {made_at}  {backup.bytes / 2**20:,.1f} MiB")


@command(
    ExitCode.CLICKHOUSE,
    ExitCode.MARTS,
    ExitCode.BUSY,
    examples={
        "restore before-upgrade": "restore into empty databases",
        "restore before-upgrade --replace": "replace the data that is there",
    },
)
def restore(
    options: Options,
    *,
    name: Annotated[
        str, typer.Argument(metavar="NAME", help="As `backup` or `backup --list` printed it.")
    ],
    replace: Annotated[
        bool, typer.Option("--replace", help="Replace the orders that the databases hold.")
    ] = False,
) -> None:
    """Restore a backup and build the marts; the next run continues from its position.

    Nothing is changed until all tables are restored.
    """
    settings = options.read_settings(writes=True)
    from pipelines.operations.backup import restore

    tables = restore(settings, name, replace=replace)
    options.console.print(f"Restored {tables} tables, and built the marts. The next run continues.")
