"""The dbt documentation with its lineage, as one HTML file.

The file needs no server. Columns and row counts are those of the tables that exist; before the
first run it has the models, their descriptions and the lineage.
"""

import functools
import os
import shutil
import webbrowser
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from pipelines.commands.options import EnvFile, failures_in_one_line
from pipelines.configuration.environment import DBT_PROJECT, Settings, read_settings
from pipelines.configuration.library_environment import environment
from pipelines.errors import ConfigurationError, MartsError
from pipelines.transform.dbt_build import dbt_environment
from pipelines.warehouse.server import Warehouse, open_warehouse

app = typer.Typer(add_completion=False, pretty_exceptions_enable=False)


@app.command()
def main(
    env_file: EnvFile = None,
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Only write the file; open no browser.")
    ] = False,
    port: Annotated[
        int | None,
        typer.Option(
            min=1, max=65535, help="Serve it on this port of 127.0.0.1 until Ctrl-C as well."
        ),
    ] = None,
) -> None:
    """Write the documentation of the marts to QTICKETS_HOME/docs/index.html, and open it."""
    console = Console(highlight=False, soft_wrap=True)
    with failures_in_one_line():
        settings = read_settings(env_file)
        with open_warehouse(settings) as warehouse:
            path = write_docs(settings, warehouse)
        console.print(f"The documentation: [bold]{path}[/]")
        if port:
            _serve(path.parent, port, console)
        elif not no_open and console.is_terminal:
            webbrowser.open(path.as_uri())


def write_docs(settings: Settings, warehouse: Warehouse) -> Path:
    """Runs `dbt docs generate`; returns the one file that holds everything.

    Raises:
        MartsError: dbt could not read the project or the server's catalogue.
    """
    from dbt.cli.main import dbtRunner

    folder = settings.qtickets_home / "docs"
    # A folder of its own: a run may be building in the other one.
    target = settings.qtickets_home / "dbt" / "docs"
    folder.mkdir(parents=True, exist_ok=True)
    variables = dbt_environment(settings, warehouse) | {"DBT_TARGET_PATH": str(target)}
    with environment(variables):
        result = dbtRunner().invoke(
            [
                *("--quiet", "--no-use-colors", "--no-version-check"),
                *("docs", "generate", "--static"),
                *("--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)),
            ]
        )
    if not result.success:
        text = " ".join(str(result.exception or "see the log").split())
        log = settings.qtickets_home / "dbt" / "logs" / "dbt.log"
        raise MartsError(f"dbt docs generate failed: {text[:400]}. See its log: {log}")
    return Path(shutil.copyfile(target / "static_index.html", folder / "index.html"))


def _serve(folder: Path, port: int, console: Console) -> None:
    handler = functools.partial(SimpleHTTPRequestHandler, directory=str(folder))
    try:
        server = ThreadingHTTPServer(("127.0.0.1", port), handler)
    except OSError as error:
        raise ConfigurationError(f"--port {port}: {error.strerror}. Name another port.") from error
    with server:
        console.print(f"Served at [bold]http://127.0.0.1:{port}/[/] until Ctrl-C.")
        try:
            server.serve_forever()
        except KeyboardInterrupt:
            console.print("Stopped.")


if __name__ == "__main__":
    os.umask(0o077)
    app()
