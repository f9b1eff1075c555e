"""The models of the forecast, run on simulated worlds.

The SQL is that of `dbt_project/`, rendered by Jinja without dbt, which would need a minute for all
worlds.
"""

from datetime import date
from functools import cache
from types import SimpleNamespace
from typing import Any

from clickhouse_connect.driver.client import Client
from jinja2 import Environment

from pipelines.configuration.environment import DBT_PROJECT

from .worlds import LAST_SHOW, World

MODELS = (
    "intermediate/int_qtickets_show_curves",
    "intermediate/int_qtickets_forecast_points",
    "intermediate/int_qtickets_forecasts",
)
TODAY = date(LAST_SHOW.year + 1, 1, 1)

LIMITS = {"max_memory_usage": 1_000_000_000, "max_threads": 2}

TABLES = (
    "CREATE OR REPLACE TABLE {prefix}fact_qtickets_tickets (show_id Int64, currency LowCardinality("
    "String), sales_date Date, ticket_state LowCardinality(String), quantity UInt32, amount "
    "Decimal(18, 2), refund_ts Nullable(Date), cancellation_ts Nullable(Date)"
    ") ORDER BY show_id",
    "CREATE OR REPLACE TABLE {prefix}fact_qtickets_sales_by_show_daily (show_id Int64, currency "
    "LowCardinality(String), sales_date Date, tickets_sold UInt64, tickets_refunded UInt64, "
    "tickets_cancelled UInt64, gross_revenue Decimal(18, 2)) ORDER BY show_id",
    "CREATE OR REPLACE TABLE {prefix}dim_events (event_id String, currency LowCardinality(String)) "
    "ORDER BY event_id",
    "CREATE OR REPLACE TABLE {prefix}dim_shows (show_id Int64, event_id String, city String, "
    "start_date Nullable(Date), end_date Nullable(Date), sale_start_ts Nullable(Date), "
    "sale_end_ts Nullable(Date), "
    "is_deleted UInt8, is_over UInt8) ORDER BY show_id",
    "CREATE OR REPLACE TABLE {prefix}fact_qtickets_inventory_by_show (show_id Int64, "
    "tickets_total Nullable(UInt64)) ORDER BY show_id",
)


class _ReturnedError(Exception):
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


def _return(value: Any) -> Any:
    raise _ReturnedError(value)


@cache
def constants_of(macro: str) -> dict[str, Any]:
    """Return the constants that a macro of the dbt project returns."""
    try:
        getattr(_module(macro.partition("_")[0]), macro)()
    except _ReturnedError as returned:
        return dict(returned.value)
    raise ValueError(f"{macro}() returns nothing")


def _module(name: str, **others: Any) -> Any:
    text = (DBT_PROJECT / "macros" / f"{name}.sql").read_text(encoding="utf-8")
    return Environment().from_string(text, globals={"return": _return, **others}).module


def rendered(model: str, prefix: str, today: date, constants: dict[str, Any]) -> str:
    """Return the SQL of a model as dbt would compile it."""
    text = (DBT_PROJECT / "models" / f"{model}.sql").read_text(encoding="utf-8")
    qtickets = SimpleNamespace()
    silence = _module("silence", qtickets=qtickets)
    qtickets.local_seconds = silence.local_seconds
    macros: dict[str, Any] = {
        "config": lambda **_: "",
        "ref": lambda name: f"{prefix}{name}",
        "report_now": lambda: f"toDateTime('{today} 12:00:00', 'Europe/Moscow')",
        "report_timestamp": lambda sql: sql,
        "report_today": lambda: f"toDate('{today}')",
        "report_date": lambda sql: f"toDate({sql})",
        "forecast_constants": lambda: {**constants_of("forecast_constants"), **constants},
        "silence_constants": lambda: {**constants_of("silence_constants"), **constants},
        "usual_hours": silence.usual_hours,
        "local_seconds": silence.local_seconds,
    }
    return Environment().from_string(text).render(**macros)


def fill(client: Client, prefix: str, world: World, *, halls: bool = True) -> None:
    """Create the tables that the models read, and fill them with `world`.

    Without `halls`, no seats are known, as of past shows after a first installation.
    """
    for table in TABLES:
        client.command(table.format(prefix=prefix))
    client.insert(
        f"{prefix}dim_shows",
        [
            (
                show.show_id,
                show.event_id,
                show.city,
                show.start_date,
                show.end_date,
                show.on_sale,
                show.end_date,
                0,
                show.end_date < TODAY,
            )
            for show in world.shows
        ],
    )
    client.insert(
        f"{prefix}fact_qtickets_inventory_by_show",
        [(show.show_id, show.seats if halls else None) for show in world.shows],
    )
    client.insert(
        f"{prefix}fact_qtickets_tickets",
        [
            (
                sale.show_id,
                "RUB",
                sale.sold,
                "refunded" if sale.ended else "sold",
                sale.quantity,
                sale.quantity * sale.price,
                sale.ended,
                None,
            )
            for sale in world.sales
        ],
    )
    client.command(
        f"INSERT INTO {prefix}fact_qtickets_sales_by_show_daily"
        " SELECT show_id, currency, sales_date, sumIf(quantity, ticket_state = 'sold'),"
        " sumIf(quantity, ticket_state = 'refunded'), 0, sum(amount)"
        f" FROM {prefix}fact_qtickets_tickets GROUP BY show_id, currency, sales_date"
    )


def build(client: Client, prefix: str, constants: dict[str, Any] | None = None) -> None:
    """Build the models of the forecast, on and into tables whose names begin with `prefix`.

    A query that needs more memory than `LIMITS` fails.
    """
    for model in MODELS:
        sql = rendered(model, prefix, TODAY, constants or {})
        create(client, f"{prefix}{model.split('/')[-1]}", sql)


def create(client: Client, table: str, sql: str) -> None:
    """Create a table of the rows of a query, within `LIMITS`."""
    statement = f"CREATE OR REPLACE TABLE {table} ENGINE MergeTree ORDER BY tuple()"
    client.command(f"{statement} AS {sql.strip()}", settings=LIMITS)
