"""Queries: what a list request's JSON body asks for, and which values a condition accepts.

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
    """A query that the service doesn't understand; it answers 503 with an unhandled error."""


@dataclass(frozen=True)
class Column:
    """Values of one column: `moment` and `number` as int64 (`NEVER` is null), or `text`.

    `scale` is the number of units in one that the API shows: 100 for kopecks, else 1.
    """

    kind: str
    values: Values
    scale: int = 1

    def is_null(self) -> Flags:
        if self.kind == "text":
            return np.array([value is None for value in self.values], dtype=np.bool_)
        return np.asarray(self.values >= NEVER)

    def coerced(self, value: Any) -> Any:
        """A value of a filter in this column's units. Raises QueryError."""
        try:
            if self.kind == "moment":
                return seconds(value)
            if self.kind == "number":
                return round(float(value) * self.scale, 6)
            return str(value)
        except (TypeError, ValueError) as error:
            raise QueryError(f"{value!r} is not a {self.kind}") from error


def in_units(value: Any, kind: str, scale: int) -> int:
    """A row's value as a column holds it."""
    if value is None:
        return NEVER
    return seconds(value) if kind == "moment" else round(value * scale)


def column_of(values: Sequence[Any]) -> Column:
    """A column of plain row values, its kind told by what is in it."""
    known = [value for value in values if value is not None]
    if any(isinstance(value, (dict, list)) for value in known):
        raise QueryError("not a plain column")
    if known and all(isinstance(value, str) and _DATETIME.match(value) for value in known):
        moments = [in_units(value, "moment", 1) for value in values]
        return Column("moment", np.array(moments, dtype=np.int64))
    if any(isinstance(value, str) for value in known):
        texts = [None if value is None else str(value) for value in values]
        return Column("text", np.array([*texts, None], dtype=object)[:-1])
    numbers = [in_units(value, "number", 100) for value in values]
    return Column("number", np.array(numbers, dtype=np.int64), 100)


@dataclass(frozen=True)
class Condition:
    """One line of a `where`. A null matches nothing but the operator `null`, as in SQL."""

    column: str
    operator: str
    value: Any

    def accepts(self, column: Column) -> Flags:
        null = column.is_null()
        if self.operator == "null":
            return null
        if self.operator == "not null":
            return ~null
        if self.operator in COMPARISONS:
            found = COMPARISONS[self.operator](column.values, column.coerced(self.value))
            return np.asarray(found, dtype=np.bool_) & ~null
        found = np.isin(column.values, [column.coerced(value) for value in self.value])
        return (found if self.operator in IN else ~found) & ~null


@dataclass(frozen=True)
class Query:
    """A parsed request for a page of a list."""

    where: tuple[Condition, ...] = ()
    order_by: str = ""
    descending: bool = False
    page: int = 1
    per_page: int = 0
    """Rows asked for, 0 for the list's own size."""


def parse(body: Any) -> Query:
    """The query in a request's body; anything but an object asks for nothing special."""
    if not isinstance(body, dict):
        return Query()
    order_by = body.get("orderBy") or {}
    if not isinstance(order_by, dict):
        raise QueryError("orderBy is not an object")
    column, direction = next(iter(order_by.items()), ("", "asc"))
    try:
        page, per_page = int(body.get("page") or 1), int(body.get("perPage") or 0)
    except (TypeError, ValueError) as error:
        raise QueryError("page is not a number") from error
    return Query(
        where=tuple(conditions(body.get("where"))),
        order_by=str(column),
        descending=str(direction).lower() == "desc",
        page=max(page, 1),
        per_page=max(per_page, 0),
    )


def conditions(where: Any) -> list[Condition]:
    """The conditions of a `where`. Raises QueryError for a shape the service doesn't know."""
    if where is None or where == []:
        return []
    if not isinstance(where, list) or not all(isinstance(line, dict) for line in where):
        raise QueryError("where is not a list of objects")
    found = []
    for line in where:
        operator, value = str(line.get("operator", "=")).lower(), line.get("value")
        if "column" not in line:
            raise QueryError("a condition without a column")
        if operator in IN + NOT_IN:
            if not isinstance(value, list):
                raise QueryError(f"{operator} needs a list")
            value = tuple(value)
        elif operator not in COMPARISONS and operator not in ("null", "not null"):
            raise QueryError(f"unknown operator {operator}")
        elif isinstance(value, (dict, list)):
            raise QueryError(f"{operator} needs one value")
        found.append(Condition(str(line["column"]), operator, value))
    return found


def filtered(rows: list[dict[str, Any]], where: Any) -> list[dict[str, Any]]:
    """The rows that a `where` accepts. Raises QueryError for a column that they don't have."""
    for condition in conditions(where):
        if rows and condition.column not in rows[0]:
            raise QueryError(f"unknown column {condition.column}")
        accepted = condition.accepts(column_of([row[condition.column] for row in rows]))
        rows = [row for row, good in zip(rows, accepted, strict=True) if good]
    return rows
