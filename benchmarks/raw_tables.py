"""The contents of the raw tables of an implementation."""

from pipelines.warehouse.server import Warehouse


def rows_in(warehouse: Warehouse, tickets: str = "tickets") -> int:
    """Return the number of orders and tickets, to verify that an implementation loaded all."""
    with warehouse.connect(warehouse.loader) as client:
        return sum(
            int(client.query(f"SELECT count() FROM {warehouse.raw_db}.{table}").result_rows[0][0])
            for table in ("orders", tickets)
        )
