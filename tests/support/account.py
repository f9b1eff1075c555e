"""An organiser whose sales are loaded."""

from dataclasses import dataclass
from typing import Any

from typer.testing import CliRunner, Result

from local_clickhouse import LocalServer
from pipelines.qtickets import app
from sandbox import World
from tests.support.clickhouse import Marts, query
from tests.support.runs import dashboard_only


@dataclass
class Account:
    """An organiser whose sales are loaded, on an embedded ClickHouse of its own."""

    environment: dict[str, str]
    server: LocalServer
    service: Any
    world: World

    def command(self, *arguments: str, **variables: str) -> Result:
        """The command in this process, with other variables where given.

        Of the marts it builds what the dashboard stands on; all are there from the beginning.
        """
        with dashboard_only():
            return CliRunner().invoke(app, list(arguments), env=self.environment | variables)

    def rows(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query on the marts."""
        return query(self.server, "transformer", sql)

    def raw(self, sql: str) -> list[dict[str, Any]]:
        """Rows of a query on the raw tables."""
        return query(self.server, "loader", sql)

    def snapshot(self) -> dict[str, list[tuple[Any, ...]]]:
        """Every row of every mart, but for what says when it was read."""
        marts = Marts(self.server).snapshot()
        events = self.rows("SELECT * EXCEPT _loaded_at FROM zakaz.dim_events ORDER BY ALL")
        return marts | {"dim_events": [tuple(row.values()) for row in events]}
