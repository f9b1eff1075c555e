"""Raw rows written by hand, marts that dbt builds from them, and queries on these marts.

ClickHouse, the raw tables and dbt are real. A test gives only the fields that it is about; the
others have defaults. Times are text in UTC: "2026-03-31 09:00:00".
"""

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from datetime import datetime
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from pipelines.configuration.environment import DBT_PROJECT, Settings, read_settings
from pipelines.configuration.library_environment import environment
from pipelines.loading.pipeline import create_raw_tables
from pipelines.transform.dbt_build import changed_since_variable, dbt_environment
from pipelines.warehouse.server import Warehouse, open_warehouse
from tests.support.clickhouse import client_of
from tests.support.runs import MODELS_ONLY

Row = dict[str, Any]

# These have the time of a load or a run, so they differ after every run.
ABOUT_THE_RUN = {
    "int_qtickets_loaded",
    "int_qtickets_changed",
    "v_qtickets_freshness",
    "meta_job_runs",
    "meta_job_starts",
}


@dataclass(frozen=True)
class DbtRun:
    """Status (success, pass, warn, fail, error, skipped) and message of each node of a dbt run."""

    statuses: Mapping[str, str]
    messages: Mapping[str, str]
    success: bool
    error: str = ""

    def __str__(self) -> str:
        problems = {
            name: (status, self.messages[name])
            for name, status in self.statuses.items()
            if status not in ("success", "pass")
        }
        return f"{self.error} {problems}"


class MartsWorld:
    """Raw tables that a test fills, and the marts that it builds from them."""

    def __init__(self, settings: Settings, warehouse: Warehouse) -> None:
        self.settings = settings
        self.warehouse = warehouse
        self.fetched_at = "2026-03-31 09:00:00"

    def start_over(self) -> None:
        """Drop both databases and create the raw tables again."""
        self._client("transformer").command("DROP DATABASE IF EXISTS zakaz_dbt_test__audit SYNC")
        self.warehouse.drop()
        self.warehouse.prepare("demo")
        create_raw_tables(self.settings, self.warehouse)

    def empty_raw(self) -> None:
        """Delete all rows of the raw tables."""
        for name in self._tables(self.warehouse.raw_db, "NOT LIKE '%dlt%'"):
            self.raw(f"TRUNCATE TABLE zakaz_raw.{name}")

    def insert(self, table: str, *rows: Row) -> None:
        """Insert versions of rows into a raw table, fetched at `fetched_at`."""
        stamped = [{"_fetched_at": self.fetched_at, **row} for row in rows]
        block = "\n".join(json.dumps(row) for row in stamped).encode()
        self._client("loader").raw_insert(
            f"{self.warehouse.raw_db}.{table}",
            insert_block=block,
            fmt="JSONEachRow",
            settings={"date_time_input_format": "best_effort"},
        )

    def order(self, order_id: int, payed_at: str | None, *tickets: Row, **fields: Any) -> None:
        """Insert an order of event 1 and its tickets, all with the same `_fetched_at`."""
        order = {
            "id": order_id,
            "event_id": 1,
            "payed": payed_at is not None,
            "payed_at": payed_at,
            "created_at": payed_at or "2026-01-01 00:00:00",
            "updated_at": payed_at,
            "currency_id": "RUB",
            "baskets_count": len(tickets),
            "price": str(sum(float(t["price"]) * t["quantity"] for t in tickets)),
            **fields,
        }
        self.insert("orders", order)
        rows = [
            {"id": order_id * 100 + number, "order_id": order_id, **ticket}
            for number, ticket in enumerate(tickets, start=1)
        ]
        if rows:
            self.insert("tickets", *rows)

    def dbt(
        self,
        *arguments: str,
        now: str = "2026-03-31 12:00:00",
        zone: str = "Europe/Moscow",
        project: Path = DBT_PROJECT,
        changed_since: datetime | None = None,
    ) -> DbtRun:
        """Run dbt as the pipeline does, as of a time in UTC, in a reporting time zone."""
        from dbt.cli.main import dbtRunner

        settings = self.settings.model_copy(update={"report_now": now, "report_tz": zone})
        given = dbt_environment(settings, self.warehouse)
        with environment(given | changed_since_variable(changed_since)):
            result = dbtRunner().invoke(
                [
                    *("--quiet", "--no-version-check", "--no-write-json"),
                    *("--log-level-file", "info", *arguments),
                    *("--project-dir", str(project), "--profiles-dir", str(project)),
                ]
            )
        nodes = getattr(result.result, "results", [])
        return DbtRun(
            statuses={node.node.name: str(node.status) for node in nodes},
            messages={node.node.name: str(node.message) for node in nodes},
            success=result.success,
            error=str(result.exception or ""),
        )

    def build(self, *arguments: str, **as_of: Any) -> None:
        """Run `dbt build`; all models and tests must succeed."""
        run = self.dbt("build", *arguments, **as_of)
        assert run.success, run

    def build_models(self, *arguments: str, **as_of: Any) -> None:
        """Run `dbt build` without the tests, for tests that compare the rows of models."""
        self.build(*MODELS_ONLY, *arguments, **as_of)

    def rows(self, sql: str) -> list[Row]:
        """Return the rows of a query as the user of the marts."""
        result = self._client("transformer").query(sql)
        return [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]

    def row(self, sql: str) -> Row:
        """Return the only row of a query."""
        rows = self.rows(sql)
        assert len(rows) == 1, rows
        return rows[0]

    def raw(self, statement: str) -> None:
        """Run a statement as the user of the raw tables."""
        self._client("loader").command(statement)

    def columns(self, table: str) -> list[str]:
        """Return the columns of a table or view, in their order."""
        return [
            row["name"]
            for row in self.rows(
                "SELECT name FROM system.columns"
                f" WHERE database = 'zakaz' AND table = '{table}' ORDER BY position"
            )
        ]

    def everything(self) -> dict[str, list[str]]:
        """Return the rows of every table and view of the marts, each as JSON, sorted."""
        return {
            name: sorted(
                next(iter(row.values()))
                for row in self.rows(
                    f"SELECT formatRowNoNewline('JSONEachRow', *) FROM zakaz.{name}"
                )
            )
            for name in self._tables("zakaz", "NOT LIKE '%\\_\\_dbt\\_%'")
            if name not in ABOUT_THE_RUN
        }

    def _tables(self, database: str, names: str) -> list[str]:
        login = "loader" if database.endswith("_raw") else "transformer"
        result = self._client(login).query(
            f"SELECT name FROM system.tables WHERE database = '{database}' AND name {names}"
        )
        return [str(row[0]) for row in result.result_rows]

    def _client(self, login: str) -> Client:
        warehouse = self.warehouse
        who = warehouse.loader if login == "loader" else warehouse.transformer
        return client_of(warehouse.host, warehouse.port, who.user, who.password)


@contextmanager
def marts_world(home: Path) -> Iterator[MartsWorld]:
    """Open the session's server, with empty raw tables."""
    settings = read_settings(qtickets_home=home, clickhouse_host=None, qtickets_token=None)
    with open_warehouse(settings) as warehouse:
        world = MartsWorld(settings, warehouse)
        world.start_over()
        yield world


def event(event_id: int, **fields: Any) -> Row:
    """Return an event in Moscow that sells in rubles."""
    return {
        "id": event_id,
        "name": f"Event {event_id}",
        "city_name": "Москва",
        "city_timezone": "Europe/Moscow",
        "currency_id": "RUB",
        "updated_at": "2026-01-01 00:00:00",
        **fields,
    }


def show(show_id: int, event_id: int = 1, **fields: Any) -> Row:
    """Return a show in April 2026."""
    return {
        "id": show_id,
        "event_id": event_id,
        "start_date": "2026-04-20 16:00:00",
        "finish_date": "2026-04-20 18:00:00",
        "updated_at": "2026-01-01 00:00:00",
        **fields,
    }


def seats(
    show_id: int, total: int | None, left: int | None, event_id: int = 1, **fields: Any
) -> Row:
    """Return a price zone of a show; `total` is None if its seats could not be read."""
    return {
        "show_id": show_id,
        "event_id": event_id,
        "snapshot_at": "2026-03-31 09:00:00",
        "zone_id": "1",
        "price": "500",
        "max_quantity": total,
        "free_quantity": left,
        "unreadable": "NotFound" if total is None else None,
        **fields,
    }


def ticket(price: str = "500", show_id: int = 11, quantity: int = 1, **fields: Any) -> Row:
    """Return a ticket of show 11."""
    return {"show_id": show_id, "price": price, "quantity": quantity, **fields}
