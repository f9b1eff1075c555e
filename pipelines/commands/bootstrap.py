"""`bootstrap` and `drop-demo`: the tables and views, created or dropped."""

from pipelines.commands.command import command
from pipelines.commands.options import Options
from pipelines.errors import ExitCode


@command(
    ExitCode.CLICKHOUSE,
    ExitCode.MARTS,
    ExitCode.BUSY,
    examples={"bootstrap": "create what is missing, and list all tables and views"},
)
def bootstrap(options: Options) -> None:
    """Create every table and view, empty, and list them.

    Tables that exist are kept with their rows. The service is not called.
    """
    settings = options.announce(options.read_settings(writes=True))
    from pipelines.operations.bootstrap import bootstrap

    for database, name, engine in bootstrap(settings, options.console):
        options.console.print(f"{database}.{name}  [dim]{engine}[/]")


@command(
    ExitCode.CLICKHOUSE,
    ExitCode.BUSY,
    name="drop-demo",
    examples={"drop-demo": "remove the demo before the first run with a token"},
)
def drop_demo(options: Options) -> None:
    """Drop both databases if they hold demo or recorded data.

    Databases with live data are never dropped.
    """
    settings = options.announce(options.read_settings(writes=True))
    from pipelines.operations.drop_demo import drop_demo

    drop_demo(settings)
    options.console.print("The demo databases are gone.")
