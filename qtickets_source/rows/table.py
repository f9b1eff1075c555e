"""One raw table from rows of the service: known fields, derived columns and unknown fields."""

import re
from collections.abc import Iterable, Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa
from msgspec.structs import astuple

from ..api.decoding import Record
from ..privacy import may_be_personal
from .columns import (
    convert_fast,
    decode_raw,
    json_text,
    null_if_unreadable,
    plain_text,
    to_arrow,
)
from .context import RowContext
from .schema import Column, Kind, RawTable

Row = dict[str, Any]

# The JSON types in which the service sends a kind of column. Text columns also hold numbers, and
# the names of multilingual accounts.
_USUAL_TYPES: dict[Kind, frozenset[type]] = {
    "integer": frozenset({int}),
    "money": frozenset({int, Decimal}),
    "timestamp": frozenset({str, datetime}),
    "flag": frozenset({bool, int}),
    "text": frozenset({str, int, dict}),
    "json": frozenset({list, dict}),
}
_JSON_NAMES: dict[type, str] = {
    bool: "true or false",
    int: "number",
    Decimal: "number",
    str: "text",
    list: "list",
    dict: "object",
}


class Fields:
    """Rows by field: `fields["name"]` has the value of every row, null where a row lacks it.

    Args:
        rows: All dicts or all records.
    """

    def __init__(self, rows: Sequence[Any]) -> None:
        self.rows = rows
        self.are_records = bool(rows) and isinstance(rows[0], Record)
        # Reading all values of a record together takes half the time of one after the other.
        self._values: list[Any] = []
        self._places: dict[str, int] = {}
        if self.are_records:
            self._places = {name: n for n, name in enumerate(rows[0].__struct_fields__)}
            for row in rows:
                self._values += astuple(row)

    def __getitem__(self, name: str) -> list[Any]:
        if (place := self._places.get(name)) is not None:
            return self._values[place :: len(self._places)]
        return [row.get(name) for row in self.rows]


def make_table(
    table: RawTable,
    what: str,
    rows: Sequence[Row] | Fields,
    context: RowContext,
    **derived: list[Any] | pa.ChunkedArray,
) -> pa.Table:
    """Return rows of a raw table, with further text columns for unknown fields.

    Args:
        table: The raw table.
        what: What a row is, for messages ("order", "ticket").
        rows: The service's objects.
        context: Salt, allowed fields and findings.
        derived: Values of columns that are not fields of the rows.

    Raises:
        BadRow: A value is not of its column's kind, or is missing though required.
    """
    fields = rows if isinstance(rows, Fields) else Fields(rows)
    ids = fields["id"]
    columns: dict[str, pa.Array | pa.ChunkedArray] = {}
    for column in table.columns:
        is_field = column.name not in derived
        values = fields[column.name] if is_field else derived[column.name]
        if isinstance(values, pa.ChunkedArray):
            columns[column.name] = values
            continue
        array = convert_fast(column.kind, values)
        if array is None and is_field:
            values = decode_raw(values)
            _record_changed_types(table, column, values, context)
            if column.lenient:
                values, unreadable = null_if_unreadable(column.kind, values)
                if unreadable:
                    context.findings.unreadable_fields.add(f"{table.name}.{column.name}")
        columns[column.name] = to_arrow(column, values, array, what, ids)
    arrow = pa.Table.from_pydict(columns, schema=table.arrow_schema())
    # Records have known fields only.
    if table.field_columns and fields.rows and not fields.are_records:
        for name, unknown in _unknown_fields(table, fields.rows, context).items():
            arrow = arrow.append_column(name, pa.array(unknown, pa.string()))
    return arrow


def record_nested_type(label: str, usual: type, values: Iterable[Any], context: RowContext) -> None:
    """Record nested values of another type than the usual one."""
    for value in values:
        if value not in (None, "", [], {}) and not isinstance(value, usual):
            kind = _JSON_NAMES.get(type(value), "number")
            context.findings.changed_types.add(f"{label} ({kind})")


def _record_changed_types(
    table: RawTable, column: Column, values: Sequence[Any], context: RowContext
) -> None:
    """Record values of a type that the field never had; PHP's empty values have none."""
    types = {type(value) for value in values if value not in (None, "", [], {})}
    for kind in types - _USUAL_TYPES[column.kind]:
        name = _JSON_NAMES.get(kind, "number")
        context.findings.changed_types.add(f"{table.name}.{column.name} ({name})")


def _unknown_fields(
    table: RawTable, rows: Sequence[Row], context: RowContext
) -> dict[str, list[str | None]]:
    """Return unknown fields as text columns: a type that changes later breaks nothing."""
    present: set[str] = set().union(*rows)
    findings = context.findings
    for name in {c.name for c in table.field_columns} - table.occasional - present:
        findings.missing.add(f"{table.name}.{name}")
    taken = {column.name for column in table.columns}
    columns: dict[str, list[str | None]] = {}
    for name in sorted(present - table.known_fields):
        values = [row.get(name) for row in rows]
        label = f"{table.name}.{name}"
        if label not in context.allowed_fields and any(may_be_personal(name, v) for v in values):
            findings.withheld.add(label)
            continue
        if not findings.admits_column(table.name, label):
            continue
        column_name = _column_name(name)
        while column_name in taken or column_name in columns:
            column_name += "_x"
        columns[column_name] = [
            json_text(value) if isinstance(value, (dict, list)) else plain_text(value)
            for value in values
        ]
    return columns


def _column_name(field_name: str) -> str:
    return re.sub(r"\W+", "_", field_name).strip("_").lower() or "unnamed"
