"""`python -m local_clickhouse`: the server in the foreground, for BI tools, dbt and `/play`."""

import contextlib
import signal
from pathlib import Path
from typing import Annotated

import typer

from local_clickhouse.connection import connection_help, export_lines
from local_clickhouse.errors import LocalClickHouseError
from local_clickhouse.folder import ServerFolder
from local_clickhouse.local_server import (
    find_server,
    is_running,
    port_if_free,
    running_server,
    wait_for_end,
)

HTTP_PORT = 8123
NATIVE_PORT = 9000
PROJECT_HOME = Path(__file__).resolve().parent.parent / ".qtickets"

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    home: Annotated[
        Path, typer.Option(envvar="QTICKETS_HOME", help="Folder of the data.")
    ] = PROJECT_HOME,
    database: Annotated[
        str,
        typer.Option(
            envvar="CLICKHOUSE_DB", help="Database of the marts; raw tables are in NAME_raw."
        ),
    ] = "zakaz",
    http_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: 8123, or a free one if taken.")
    ] = None,
    native_port: Annotated[
        int | None, typer.Option(min=0, max=65535, help="Default: 9000, or a free one if taken.")
    ] = None,
    print_env: Annotated[
        bool,
        typer.Option("--print-env", help="Print `export` lines for a running server, and exit."),
    ] = False,
) -> None:
    """Run ClickHouse on this machine until Ctrl-C, or use the one that is already running.

    In another terminal: eval "$(python -m local_clickhouse --print-env)" && dbt build
    """
    try:
        if print_env:
            _print_environment(home, database)
        else:
            _serve(home, database, http_port, native_port)
    except LocalClickHouseError as error:
        typer.echo(f"error: {error}", err=True)
        raise typer.Exit(1) from error


def _print_environment(home: Path, database: str) -> None:
    server = find_server(home, database)
    if server is None:
        raise LocalClickHouseError(
            f"no local ClickHouse is running in {home}: start it with python -m local_clickhouse"
        )
    typer.echo(export_lines(server, database))


def _serve(home: Path, database: str, http_port: int | None, native_port: int | None) -> None:
    signal.signal(signal.SIGTERM, signal.default_int_handler)
    with (
        contextlib.suppress(KeyboardInterrupt),
        running_server(
            home,
            database=database,
            http_port=port_if_free(HTTP_PORT) if http_port is None else http_port,
            native_port=port_if_free(NATIVE_PORT) if native_port is None else native_port,
        ) as server,
    ):
        if not server.started:
            typer.echo("Already running: using the server of this folder.")
        elif http_port is None and server.http_port != HTTP_PORT:
            typer.echo(f"Port {HTTP_PORT} is in use: HTTP is on port {server.http_port}.")
        if server.started and native_port is None and server.native_port != NATIVE_PORT:
            typer.echo(
                f"Port {NATIVE_PORT} is in use: native protocol is on port {server.native_port}."
            )
        typer.echo(connection_help(server, database))
        wait_for_end(server)
        raise LocalClickHouseError(f"the server has ended unexpectedly: see {server.folder.log}")
    typer.echo(
        "Left running: another process uses it." if is_running(ServerFolder(home)) else "Stopped."
    )


if __name__ == "__main__":
    app()
