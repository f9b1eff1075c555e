"""How to connect to a running local ClickHouse: the text a person reads, the lines a shell runs."""

import shlex

from local_clickhouse.server import LocalServer

HELP = """\
ClickHouse is running on {host}, HTTP port {http_port}, native port {native_port}.
Its data, passwords and log are in {folder}

SQL in the browser: http://{host}:{http_port}/play?user={reader.user}
  password: {reader.password}

The pipeline and dbt, in another terminal:
{environment}

DBeaver (ClickHouse driver), DataLens (connection ClickHouse, HTTP interface, no HTTPS):
  host {host}, port {http_port}, database {database}
  user {reader.user}, password {reader.password}
  It listens on this machine only: DataLens must run here too, on the host's network.

Ctrl-C ends it.
"""


def connection_help(server: LocalServer, database: str) -> str:
    """Tell how to connect, passwords included: it is the reader's own server."""
    return HELP.format(
        host=server.host,
        http_port=server.http_port,
        native_port=server.native_port,
        folder=server.folder.path,
        reader=server.logins["reader"],
        database=database,
        environment=environment(server, database, indent="  "),
    )


def environment(server: LocalServer, database: str, indent: str = "") -> str:
    """Write `export` lines that point the pipeline and dbt at the server."""
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
