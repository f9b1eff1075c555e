"""Queries of a list: the JSON body of a request, and the rows that its conditions match.

`where` is a list of `{"column", "operator", "value"}` with `=` as the default operator, `orderBy`
an object `{"column": "asc" | "desc"}`, `page` counts from 1.
"""

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sandbox.world.seeded_random import Flags
from sandbox.world.timestamps import NEVER, seconds

Values = NDArray[Any]

COMPARISONS: dict[str, Callable[[Any, Any], Any]] = {
    "=": np.equal, "!=": np.not_equal, "<": np.less, ">": np.greater,
    "<=": np.less_equal, ">=": np.greater_equal,
}  # fmt: skip
IN, NOT_IN = ("in", "in array"), ("not in", "not in array")
_DATETIME = re.compile(r"\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d")


class QueryError(Exception):
    """A query that the service does not understand; it responds with its unhandled error (503)."""


@dataclass(frozen=True)
class Column:
    """Values of one column.

    Attributes:
        kind: `timestamp` or `number` (int64, `NEVER` is null), or `text`.
        values: One value for each row.
        scale: Units in one of the API's: 100 for kopecks in rubles, else 1.
    """

    kind: str
    values: Values
    scale: int = 1

    def is_null(self) -> Flags:
        if self.kind == "text":
            return np.array([value is None for value in self.values], dtype=np.bool_)
        return np.asarray(self.values >= NEVER)

    def convert_value(self, value: Any) -> Any:
        """Return the value of a condition in the units of this column.

        Raises:
            QueryError: It is not a value of this kind.
        """
        try:
            if self.kind == "timestamp":
                return seconds(value)
            if self.kind == "number":
                return round(float(value) * self.scale, 6)
            return str(value)
        except (TypeError, ValueError) as error:
            raise QueryError(f"{value!r} is not a {self.kind}") from error


def to_units(value: Any, kind: str, scale: int) -> int:
    """Return the value of a row as a column of this kind and scale stores it."""
    if value is None:
        return NEVER
    return seconds(value) if kind == "timestamp" else round(value * scale)


def infer_column(values: Sequence[Any]) -> Column:
    """Return a column of row values; its kind follows from the values.

    Raises:
        QueryError: The values are objects or lists.
    """
    known = [value for value in values if value is not None]
    if any(isinstance(value, (dict, list)) for value in known):
        raise QueryError("the service cannot filter by objects and lists")
    if known and all(isinstance(value, str) and _DATETIME.match(value) for value in known):
        timestamps = [to_units(value, "timestamp", 1) for value in values]
        return Column("timestamp", np.array(timestamps, dtype=np.int64))
    if any(isinstance(value, str) for value in known):
        texts = [None if value is None else str(value) for value in values]
        return Column("text", np.array([*texts, None], dtype=object)[:-1])
    numbers = [to_units(value, "number", 100) for value in values]
    return Column("number", np.array(numbers, dtype=np.int64), 100)


@dataclass(frozen=True)
class Condition:
    """One condition of a `where`. As in SQL, only the operator `null` matches a null."""

    column: str
    operator: str
    value: Any

    def mask(self, column: Column) -> Flags:
        """Return which values of a column match."""
        null = column.is_null()
        if self.operator == "null":
            return null
        if self.operator == "not null":
            return ~null
        if self.operator in COMPARISONS:
            matches = COMPARISONS[self.operator](column.values, column.convert_value(self.value))
            return np.asarray(matches, dtype=np.bool_) & ~null
        matches = np.isin(column.values, [column.convert_value(value) for value in self.value])
        return (matches if self.operator in IN else ~matches) & ~null


@dataclass(frozen=True)
class Query:
    """A parsed request for a page of a list."""

    where: tuple[Condition, ...] = ()
    order_by: str = ""
    descending: bool = False
    page: int = 1
    per_page: int = 0
    """Number of rows asked for; 0 is the default of the list."""


def parse_query(body: Any) -> Query:
    """Return the query in the body of a request; a body that is not an object is ignored.

    Raises:
        QueryError: The service does not understand it.
    """
    if not isinstance(body, dict):
        return Query()
    order_by = body.get("orderBy") or {}
    if not isinstance(order_by, dict):
        raise QueryError("orderBy is not an object")
    column, direction = next(iter(order_by.items()), ("", "asc"))
    try:
        page, per_page = int(body.get("page") or 1), int(body.get("perPage") or 0)
    except (TypeError, ValueError) as error:
        raise QueryError("page or perPage is not a number") from error
    return Query(
        where=tuple(parse_conditions(body.get("where"))),
        order_by=str(column),
        descending=str(direction).lower() == "desc",
        page=max(page, 1),
        per_page=max(per_page, 0),
    )


def parse_conditions(where: Any) -> list[Condition]:
    """Return the conditions of a `where`.

    Raises:
        QueryError: The service does not understand it.
    """
    if where is None or where == []:
        return []
    if not isinstance(where, list) or not all(isinstance(line, dict) for line in where):
        raise QueryError("where is not a list of objects")
    found = []
    for line in where:
        operator, value = str(line.get("operator", "=")).lower(), line.get("value")
        if "column" not in line:
            raise QueryError("a condition names no column")
        if operator in IN + NOT_IN:
            if not isinstance(value, list):
                raise QueryError(f"the operator {operator} needs a list")
            value = tuple(value)
        elif operator not in COMPARISONS and operator not in ("null", "not null"):
            raise QueryError(f"unknown operator {operator}")
        elif isinstance(value, (dict, list)):
            raise QueryError(f"the operator {operator} needs a single value")
        found.append(Condition(str(line["column"]), operator, value))
    return found


def filter_rows(rows: list[dict[str, Any]], where: Any) -> list[dict[str, Any]]:
    """Return the rows that match a `where`.

    Raises:
        QueryError: The service does not understand it, or the rows lack one of its columns.
    """
    for condition in parse_conditions(where):
        if rows and condition.column not in rows[0]:
            raise QueryError(f"unknown column {condition.column}")
        mask = condition.mask(infer_column([row[condition.column] for row in rows]))
        rows = [row for row, matches in zip(rows, mask, strict=True) if matches]
    return rows
