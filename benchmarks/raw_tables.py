"""What the raw tables of a contestant hold."""

from pipelines.warehouse.server import Warehouse


def rows_in(warehouse: Warehouse, tickets: str = "tickets") -> int:
    """Orders and tickets, so that nobody is fast by leaving some out."""
    with warehouse.connect(warehouse.loader) as client:
        return sum(
            int(client.query(f"SELECT count() FROM {warehouse.raw_db}.{table}").result_rows[0][0])
            for table in ("orders", tickets)
        )
