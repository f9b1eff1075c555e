"""A loop by hand: `requests`, rows as lists, `clickhouse-connect`.

It loads the same columns in inserts of `ORDERS_PER_INSERT` orders, without any checks.
"""

from datetime import datetime, timezone
from decimal import Decimal
from hashlib import blake2b
from pathlib import Path
from typing import Any

import orjson

from pipelines.loading.pipeline import create_raw_tables
from pipelines.warehouse.server import open_warehouse
from qtickets_source.rows.schema import ORDERS, TICKETS, Kind, RawTable

from ..cost import Cost, measured
from ..embedded_settings import embedded_settings
from ..file_service import pages_by_hand
from ..order_file import OrderFile
from ..raw_tables import rows_in

ORDERS_PER_INSERT = 2000

Row = dict[str, Any]


def load(file: OrderFile, orders: int, home: Path) -> Cost:
    settings = embedded_settings(home)
    with open_warehouse(settings) as warehouse:
        warehouse.create_databases()
        create_raw_tables(settings, warehouse)
        with measured(warehouse) as cost, warehouse.connect(warehouse.loader) as client:
            tables = {ORDERS: list[list[Any]](), TICKETS: list[list[Any]]()}

            def insert() -> None:
                for table, rows in tables.items():
                    names = [column.name for column in table.columns]
                    client.insert(table.name, rows, names, database=warehouse.raw_db)
                    rows.clear()

            for page in pages_by_hand(file, orders):
                fetched_at = datetime.now(timezone.utc)
                for order in page:
                    tables[ORDERS].append(_row(ORDERS, _order(order, fetched_at)))
                    for ticket in order["baskets"]:
                        row = _ticket(ticket, order["id"], fetched_at)
                        tables[TICKETS].append(_row(TICKETS, row))
                if len(tables[ORDERS]) >= ORDERS_PER_INSERT:
                    insert()
            insert()
        cost.rows = rows_in(warehouse)
    return cost


def _order(order: Row, fetched_at: datetime) -> Row:
    return order | {
        "_fetched_at": fetched_at,
        "buyer_hash": blake2b(str(order["client_id"]).encode(), digest_size=16).hexdigest(),
        "baskets_count": len(order["baskets"]),
    }


def _ticket(ticket: Row, order_id: int, fetched_at: datetime) -> Row:
    barcode = str(ticket["barcode"]).encode()
    return ticket | {
        "_fetched_at": fetched_at,
        "order_id": order_id,
        "barcode_hash": blake2b(barcode, digest_size=16).hexdigest(),
    }


def _row(table: RawTable, values: Row) -> list[Any]:
    return [_value(column.kind, values.get(column.name)) for column in table.columns]


def _value(kind: Kind, value: Any) -> Any:
    if value is None or isinstance(value, datetime):
        return value
    if kind == "timestamp":
        return datetime.fromisoformat(value)
    if kind == "money":
        return Decimal(str(value))
    if kind == "json":
        return orjson.dumps(value).decode()
    return value
