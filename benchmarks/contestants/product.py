"""The project's own way: a backfill through its pipeline."""

from pathlib import Path
from unittest.mock import patch

from rich.console import Console

import qtickets_source.transport
from pipelines.load import backfill, make_tables
from pipelines.progress import TerminalProgress
from pipelines.service import Service
from pipelines.warehouse import open_warehouse

from ..cost import Cost, measured
from ..file_service import TOKEN, URL, FileAdapter, FileService
from ..home import settings_of
from ..order_file import FIRST_PAID, OrderFile, paid_at
from ..raw_tables import rows_in


def load(file: OrderFile, orders: int, home: Path, connections: int = 4) -> Cost:
    settings = settings_of(home, qtickets_connections=connections)

    def adapter(**_: object) -> FileAdapter:
        return FileAdapter(FileService(file, orders))

    with (
        open_warehouse(settings) as warehouse,
        patch.object(qtickets_source.transport, "HTTPAdapter", adapter),
    ):
        warehouse.make_databases()
        make_tables(settings, warehouse)
        with measured(warehouse) as cost:
            report = backfill(
                settings,
                Service(URL, TOKEN),
                warehouse,
                TerminalProgress(Console(quiet=True)),
                (FIRST_PAID, paid_at(orders)),
            )
        cost.counts["requests"] = report.counts.requests
        cost.rows = rows_in(warehouse)
    return cost
