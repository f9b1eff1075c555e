"""This project: a backfill through its pipeline."""

from pathlib import Path
from unittest.mock import patch

from rich.console import Console

import qtickets_source.api.session
from pipelines.loading.history import backfill
from pipelines.loading.pipeline import create_raw_tables
from pipelines.loading.progress import TerminalProgress
from pipelines.loading.service import Service
from pipelines.warehouse.server import open_warehouse

from ..cost import Cost, measured
from ..embedded_settings import embedded_settings
from ..file_service import TOKEN, URL, FileAdapter, FileService
from ..order_file import FIRST_PAID, OrderFile, paid_at
from ..raw_tables import rows_in


def load(file: OrderFile, orders: int, home: Path, connections: int = 4) -> Cost:
    settings = embedded_settings(home, qtickets_connections=connections)

    def adapter(**_: object) -> FileAdapter:
        return FileAdapter(FileService(file, orders))

    with (
        open_warehouse(settings) as warehouse,
        patch.object(qtickets_source.api.session, "BoundedAdapter", adapter),
    ):
        warehouse.create_databases()
        create_raw_tables(settings, warehouse)
        with measured(warehouse) as cost:
            report = backfill(
                settings,
                Service(URL, TOKEN),
                warehouse,
                TerminalProgress(Console(quiet=True)),
                (FIRST_PAID, paid_at(orders)),
            )
        cost.counts["requests"] = report.observed.counts.requests
        cost.rows = rows_in(warehouse)
    return cost
