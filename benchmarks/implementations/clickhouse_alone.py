"""The upper limit: ClickHouse reads the orders from the file in one pass, on all cores.

Two materialized views convert each line to orders and tickets with the types, engines and sorting
keys of the raw tables.
"""

import importlib
from pathlib import Path

from qtickets_source.rows.schema import ORDERS, TICKETS, Column, Kind, RawTable

from ..cost import Cost, measured
from ..order_file import OrderFile

TYPES: dict[Kind, str] = {
    "integer": "Int64",
    "money": "Decimal(18, 2)",
    "timestamp": "DateTime64(6, 'UTC')",
    "flag": "Bool",
    "text": "String",
    "json": "String",
}

STATEMENTS = """
CREATE DATABASE alone;
CREATE TABLE alone.orders ({orders}) ENGINE = ReplacingMergeTree ORDER BY id;
CREATE TABLE alone.tickets ({tickets}) ENGINE = ReplacingMergeTree ORDER BY (order_id, id);
CREATE TABLE alone.lines ({line}) ENGINE = Null;
CREATE MATERIALIZED VIEW alone.to_orders TO alone.orders AS
    SELECT * EXCEPT (client_id, baskets), now64(6, 'UTC') AS _fetched_at,
        hex(sipHash128(client_id)) AS buyer_hash,
        length(baskets) AS baskets_count
    FROM alone.lines;
CREATE MATERIALIZED VIEW alone.to_tickets TO alone.tickets AS
    SELECT {ticket_fields}, now64(6, 'UTC') AS _fetched_at, order_id,
        hex(sipHash128(tupleElement(ticket, 'barcode'))) AS barcode_hash
    FROM (SELECT id AS order_id, arrayJoin(baskets) AS ticket FROM alone.lines);
INSERT INTO alone.lines
    SELECT * FROM file('{path}', 'JSONEachRow', $$ {line} $$) LIMIT {limit};
SELECT (SELECT count() FROM alone.orders) + (SELECT count() FROM alone.tickets);
"""

SETTINGS = """
SET date_time_input_format = 'best_effort';
SET input_format_json_read_objects_as_strings = 1;
SET input_format_json_read_arrays_as_strings = 1;
SET input_format_skip_unknown_fields = 1;
SET input_format_null_as_default = 1;
"""


def load(file: OrderFile, orders: int, home: Path) -> Cost:
    home.mkdir(parents=True, exist_ok=True)
    # The engine lives as long as the process and accepts one call.
    query = importlib.import_module("chdb._chdb").query
    statements = STATEMENTS.format(
        orders=_columns(ORDERS),
        tickets=_columns(TICKETS),
        line=f"{_fields(ORDERS)}, client_id Int64,"
        f" baskets Array(Tuple({_fields(TICKETS)}, barcode String))",
        ticket_fields=", ".join(
            f"tupleElement(ticket, '{c.name}') AS {c.name}" for c in TICKETS.field_columns
        ),
        path=file.path,
        limit=orders,
    )
    with measured() as cost:
        result = query(SETTINGS + statements, "TabSeparated", path=str(home / "alone"))
    cost.rows = int(str(result))
    return cost


def _columns(table: RawTable) -> str:
    """Return the columns of a table as dlt creates them."""
    return ", ".join(_column(column) for column in table.columns)


def _fields(table: RawTable) -> str:
    """Return the columns that are fields of the JSON."""
    return ", ".join(_column(column) for column in table.field_columns)


def _column(column: Column) -> str:
    type_ = TYPES[column.kind]
    return f"{column.name} {type_ if column.required else f'Nullable({type_})'}"
