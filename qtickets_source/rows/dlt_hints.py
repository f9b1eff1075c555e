"""dlt hints of the raw tables: name, key, version column and engine."""

from typing import Any

import pyarrow as pa
from dlt.destinations.impl.clickhouse.typing import SORT_HINT, TABLE_ENGINE_TYPE_HINT
from dlt.extract import with_hints
from dlt.extract.hints import make_hints

from .schema import RawTable


def with_table_hints(table: RawTable, rows: pa.Table) -> Any:
    """Return rows with their table's hints; on ClickHouse those of dlt's `clickhouse_adapter`."""
    # Types come with the rows; dlt would check hinted ones for every batch.
    columns: Any = {name: {"name": name, "sort": True} for name in table.key}
    columns["_fetched_at"] = {"name": "_fetched_at", "dedup_sort": "desc"}
    hints = make_hints(
        table_name=table.name,
        write_disposition="append",
        primary_key=list(table.key),
        columns=columns,
        additional_table_hints={
            TABLE_ENGINE_TYPE_HINT: "replacing_merge_tree",
            SORT_HINT: list(table.key),
        },
    )
    return with_hints(rows, hints, create_table_variant=True)
