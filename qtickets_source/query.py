"""The `where` of a list request: what is asked, and whether a row keeps to it."""

import operator
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from functools import cached_property
from typing import Any

from .errors import BadRow

VENDOR_TZ = timezone(timedelta(hours=3))
"""Every timestamp of the service carries +03:00; filters are sent the same way."""

EARLIEST = datetime(1900, 1, 1, tzinfo=timezone.utc)
LATEST = datetime(2299, 12, 31, tzinfo=timezone.utc)
"""What ClickHouse's timestamps can hold; `9999-12-31`, for ever, becomes the latest of them."""

_COMPARE: dict[str, Callable[[Any, Any], bool]] = {
    "=": operator.eq,
    "!=": operator.ne,
    "<": operator.lt,
    "<=": operator.le,
    ">": operator.gt,
    ">=": operator.ge,
    "in": lambda value, values: value in values,
}


def parse_timestamp(value: object, where: str) -> datetime | None:
    """A timestamp of the service as an aware datetime in UTC; None for null and "".

    Raises:
        BadRow: The value is no ISO 8601 timestamp with an offset; `where` says whose.
    """
    if value is None or value == "":
        return None
    try:
        parsed = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None or parsed.year < EARLIEST.year + 1:
        raise BadRow(
            f"{where} is {value!r}, which is no timestamp like 2025-11-03T18:41:20+03:00."
            " Nothing was loaded; look at this row in QTickets, or report a changed API."
        )
    if parsed.year >= LATEST.year:
        return LATEST
    return parsed.astimezone(timezone.utc)


@dataclass(frozen=True)
class Condition:
    """One line of `where`: column, operator, value (a number, text or an aware datetime)."""

    column: str
    operator: str
    value: Any

    def as_json(self) -> dict[str, Any]:
        value = self.value
        if isinstance(value, datetime):
            # Seconds are the service's resolution; `>=` on a truncated bound only widens it.
            value = value.astimezone(VENDOR_TZ).isoformat(timespec="seconds")
        return {"column": self.column, "operator": self.operator, "value": value}

    def holds(self, row: dict[str, Any]) -> bool:
        """Whether `row` satisfies the condition. Null satisfies none, as in SQL."""
        return self.is_met_by(self.value_of(row))

    @cached_property
    def is_about_time(self) -> bool:
        """Whether moments are compared, else values as they are."""
        return isinstance(self.value, datetime)

    def value_of(self, row: dict[str, Any]) -> Any:
        """The row's value to compare."""
        value = row.get(self.column)
        if self.is_about_time:
            return parse_timestamp(value, f"id {row.get('id')}: `{self.column}`")
        return value

    def is_met_by(self, value: Any) -> bool:
        """Whether a value to compare satisfies the condition."""
        return value is not None and _COMPARE[self.operator](value, self._expected)

    @cached_property
    def _expected(self) -> Any:
        """What rows are held against: a moment as it was sent, in whole seconds."""
        return self.value.replace(microsecond=0) if self.is_about_time else self.value


def where(conditions: Iterable[Condition]) -> list[dict[str, Any]]:
    return [condition.as_json() for condition in conditions]
