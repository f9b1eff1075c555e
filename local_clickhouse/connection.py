"""How to connect to a running local ClickHouse: as text, and as lines for a shell."""

import shlex

from local_clickhouse.local_server import LocalServer

HELP = """\
ClickHouse is running on {host}, HTTP port {http_port}, native port {native_port}.
Data, passwords and log: {folder}

SQL in the browser: http://{host}:{http_port}/play?user={reader.user}
  password: {reader.password}

The pipeline and dbt, in another terminal:
{environment}

DBeaver (ClickHouse driver), DataLens (connection ClickHouse, HTTP interface, no HTTPS):
  host {host}, port {http_port}, database {database}
  user {reader.user}, password {reader.password}
  The server listens on this machine only, so DataLens must run here, on the host's network.

Ctrl-C stops the server.
"""


def connection_help(server: LocalServer, database: str) -> str:
    """Return how to connect, with the passwords, since the server belongs to the reader."""
    return HELP.format(
        host=server.host,
        http_port=server.http_port,
        native_port=server.native_port,
        folder=server.folder.path,
        reader=server.logins["reader"],
        database=database,
        environment=export_lines(server, database, indent="  "),
    )


def export_lines(server: LocalServer, database: str, indent: str = "") -> str:
    """Return `export` lines that configure the pipeline and dbt for the server."""
    loader = server.logins["loader"]
    transformer = server.logins["transformer"]
    variables = {
        "CLICKHOUSE_HOST": server.host,
        "CLICKHOUSE_PORT": server.http_port,
        "CLICKHOUSE_NATIVE_PORT": server.native_port,
        "CLICKHOUSE_USER": loader.user,
        "CLICKHOUSE_PASSWORD": loader.password,
        "CLICKHOUSE_TRANSFORM_USER": transformer.user,
        "CLICKHOUSE_TRANSFORM_PASSWORD": transformer.password,
        "CLICKHOUSE_DB": database,
    }
    return "\n".join(
        f"{indent}export {name}={shlex.quote(str(value))}" for name, value in variables.items()
    )
