"""`dashboard` and `docs`: the pages that are written from the marts."""

import webbrowser
from typing import Annotated

import typer

from pipelines.commands.command import command
from pipelines.commands.options import Options
from pipelines.errors import ExitCode


@command(
    ExitCode.CLICKHOUSE,
    examples={"dashboard": "write dashboard.html in QTICKETS_HOME"},
)
def dashboard(options: Options) -> None:
    """Write the page dashboard.html from the marts, without a run.

    Every run writes it too. It is one file in QTICKETS_HOME that any browser opens.
    """
    settings = options.announce(options.read_settings(writes=True))
    from pipelines.operations.page import rewrite_page

    options.console.print(f"The page: {rewrite_page(settings)}")


@command(
    ExitCode.CLICKHOUSE,
    ExitCode.MARTS,
    examples={
        "docs": "write the documentation and open it in the browser",
        "docs --port 8080": "serve it at http://127.0.0.1:8080/",
    },
)
def docs(
    options: Options,
    *,
    port: Annotated[
        int | None,
        typer.Option(
            "--port",
            min=1,
            max=65535,
            metavar="PORT",
            help="Serve it on this port of 127.0.0.1 until Ctrl-C.",
            show_default="not served",
        ),
    ] = None,
    no_open: Annotated[
        bool, typer.Option("--no-open", help="Only write the file; open no browser.")
    ] = False,
) -> None:
    """Write the documentation of the marts with every column and the lineage, and open it.

    It is one file, QTICKETS_HOME/docs/index.html, made by `dbt docs generate`.
    """
    settings = options.read_settings(writes=True)
    from pipelines.transform.documentation import serve_docs, write_docs

    path = write_docs(settings)
    options.console.print(f"The documentation: [bold]{path}[/]")
    if port:
        serve_docs(path.parent, port, options.console)
    elif not no_open and options.console.is_terminal:
        webbrowser.open(path.as_uri())
