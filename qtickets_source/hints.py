"""Rows of the raw tables as dlt takes them: with the table's name, key, version and engine."""

from typing import Any

import pyarrow as pa
from dlt.destinations.impl.clickhouse.typing import SORT_HINT, TABLE_ENGINE_TYPE_HINT
from dlt.extract import with_hints
from dlt.extract.hints import make_hints

from .tables import RawTable


def marked(table: RawTable, rows: pa.Table) -> Any:
    """Rows marked for dlt as rows of a table; on ClickHouse as its `clickhouse_adapter` does it."""
    # No types: they come with the rows, and dlt checks what is hinted for every batch anew.
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
