"""An organiser whose sales are loaded."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from local_clickhouse import LocalServer, running_server
from pipelines.qtickets import app
from sandbox import World, serve
from tests.support.clickhouse import DATABASE, Marts, query
from tests.support.runs import dashboard_only


@dataclass
class Account:
    """An organiser whose sales are loaded, on a separate embedded ClickHouse."""

    environment: dict[str, str]
    server: LocalServer
    service: Any
    world: World

    def command(self, *arguments: str, **variables: str) -> Result:
        """Run the command in this process, with some variables replaced.

        It rebuilds only the marts of the dashboard; the fixture has built all of them.
        """
        with dashboard_only():
            return CliRunner().invoke(app, list(arguments), env=self.environment | variables)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query as the user of the marts."""
        return query(self.server, "transformer", sql)

    def raw(self, sql: str) -> list[dict[str, Any]]:
        """Return the rows of a query as the user of the raw tables."""
        return query(self.server, "loader", sql)

    def snapshot(self) -> dict[str, list[tuple[Any, ...]]]:
        """Return every row of the marts, without the columns with the time of the load."""
        marts = Marts(self.server).snapshot()
        events = self.rows("SELECT * EXCEPT _loaded_at FROM zakaz.dim_events ORDER BY ALL")
        return marts | {"dim_events": [tuple(row.values()) for row in events]}


@contextmanager
def loaded_account(home: Path, world: World, **variables: str) -> Iterator[Account]:
    """Load all sales of a world into an embedded ClickHouse below `home`, and build all marts."""
    token = "token-11"
    with running_server(home, database=DATABASE) as server, serve(world, token=token) as api:
        environment = {
            "QTICKETS_TOKEN": token,
            "QTICKETS_BASE_URL": api.url,
            "QTICKETS_HOME": str(home),
            "QTICKETS_INITIAL_BACKFILL_HOURS": "all",
            **variables,
        }
        result = CliRunner().invoke(app, env=environment)
        assert result.exit_code == 0, result.output
        yield Account(environment, server, api, world)
