"""The `where` of a list request: what is requested, and whether the rows received match it."""

import operator
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from datetime import datetime
from functools import cached_property
from typing import Any

from ..datetimes import VENDOR_TZ, parse_timestamp
from ..errors import BadRow, FilterIgnored

Row = dict[str, Any]

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda value, values: value in values,
}


@dataclass(frozen=True)
class Condition:
    """One line of `where`: column, operator, value (a number, text or an aware datetime).

    The operator `null` has no value.
    """

    column: str
    operator: str
    value: Any

    @cached_property
    def compares_timestamps(self) -> bool:
        """Whether the values of the column are parsed as timestamps before they are compared."""
        return isinstance(self.value, datetime)

    def as_json(self) -> dict[str, Any]:
        """Return the condition as the service takes it."""
        value = self.value
        if isinstance(value, datetime):
            # The service's resolution is a second; `>=` on a truncated bound only widens it.
            value = value.astimezone(VENDOR_TZ).isoformat(timespec="seconds")
        if self.operator == "null":
            return {"column": self.column, "operator": "null"}
        return {"column": self.column, "operator": self.operator, "value": value}

    def matches(self, row: Row) -> bool:
        """Return whether `row` satisfies the condition. Null satisfies none, as in SQL.

        A value that cannot be read may satisfy it: whoever makes rows of it leaves it out.
        """
        try:
            return self.matches_value(self.comparable(row))
        except BadRow:
            return True

    def comparable(self, row: Row) -> Any:
        """Return the row's value of the column, ready to be compared."""
        value = row.get(self.column)
        if self.compares_timestamps:
            return parse_timestamp(value, f"id {row.get('id')}: `{self.column}`")
        return value

    def matches_value(self, value: Any) -> bool:
        """Return whether a value from `comparable` satisfies the condition."""
        if self.operator == "null":
            return value is None
        return value is not None and _COMPARE[self.operator](value, self._bound)

    @cached_property
    def _bound(self) -> Any:
        """The bound as it was sent: timestamps in whole seconds."""
        return self.value.replace(microsecond=0) if self.compares_timestamps else self.value


def as_where(conditions: Iterable[Condition]) -> list[dict[str, Any]]:
    """Return the `where` of a request body."""
    return [condition.as_json() for condition in conditions]


def verify_filter(rows: Sequence[Row], conditions: Sequence[Condition], path: str) -> None:
    """Check that every row satisfies every condition.

    The service answers a filter that it does not understand with unfiltered rows and HTTP 200.

    Raises:
        FilterIgnored: A row does not.
    """
    by_column: dict[tuple[str, bool], list[Condition]] = {}
    for condition in conditions:
        key = condition.column, condition.compares_timestamps
        by_column.setdefault(key, []).append(condition)
    for of_column in by_column.values():
        for row in rows:
            # Parsing a timestamp takes longer than comparing it, so it is parsed once a row.
            try:
                value = of_column[0].comparable(row)
            except BadRow:
                # It proves nothing. Whoever makes rows of the page will leave it out.
                continue
            for condition in of_column:
                if not condition.matches_value(value):
                    asked = " ".join(map(str, condition.as_json().values()))
                    raise FilterIgnored(
                        f"GET /{path}: asked for {asked}, received id {row.get('id')}, which"
                        " breaks that. The service ignored the filter; nothing was loaded.",
                        (condition.column, condition.operator),
                    )
