"""The dbt documentation with its lineage, as one HTML file.

The file needs no server. Columns and row counts are those of the tables that exist; before the
first run it has the models, their descriptions and the lineage.
"""

import functools
import shutil
from http.server import SimpleHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path

from rich.console import Console

from pipelines.configuration.environment import DBT_PROJECT, Settings
from pipelines.configuration.library_environment import environment
from pipelines.errors import ConfigurationError, MartsError
from pipelines.transform.dbt_build import dbt_environment
from pipelines.transform.project_state import state_folder
from pipelines.warehouse.server import open_warehouse


def write_docs(settings: Settings) -> Path:
    """Run `dbt docs generate`; return the path of the file.

    Raises:
        ClickHouseError: The server cannot be reached.
        MartsError: dbt could not read the project or the server's catalogue.
    """
    from dbt.cli.main import dbtRunner

    folder = settings.qtickets_home / "docs"
    # A folder of its own: a run may be building in the other one.
    target = state_folder(settings.qtickets_home, DBT_PROJECT) / "docs"
    folder.mkdir(parents=True, exist_ok=True)
    with open_warehouse(settings) as warehouse:
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


def serve_docs(folder: Path, port: int, console: Console) -> None:
    """Serve the folder of the documentation on 127.0.0.1 until Ctrl-C.

    Raises:
        ConfigurationError: The port cannot be used.
    """
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
