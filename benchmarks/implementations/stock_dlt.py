"""Stock dlt as in its tutorial: pages as nested dicts, merged by id."""

import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import dlt

from pipelines.loading.destination import credentials_of
from pipelines.loading.pipeline import PIPELINE_NAME
from pipelines.warehouse.server import open_warehouse

from ..cost import Cost, measured
from ..embedded_settings import embedded_settings
from ..file_service import pages_by_hand
from ..order_file import OrderFile
from ..raw_tables import rows_in


def load(file: OrderFile, orders: int, home: Path) -> Cost:
    os.environ["RUNTIME__DLTHUB_TELEMETRY"] = "false"

    @dlt.resource(name="orders", write_disposition="merge", primary_key="id")
    def pages() -> Iterator[list[dict[str, Any]]]:
        yield from pages_by_hand(file, orders)

    with open_warehouse(embedded_settings(home)) as warehouse:
        warehouse.create_databases()
        credentials = credentials_of(warehouse)
        with measured(warehouse) as cost:
            dlt.pipeline(
                PIPELINE_NAME,
                pipelines_dir=str(home / "dlt"),
                destination=dlt.destinations.clickhouse(credentials=credentials),
                dataset_name="",
            ).run(pages())
        cost.rows = rows_in(warehouse, tickets="orders__baskets")
    return cost
