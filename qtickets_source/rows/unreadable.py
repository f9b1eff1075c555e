"""Rows that cannot be read, separated from the others of their page."""

from collections.abc import Callable, Sequence
from typing import Any, TypeVar

from ..errors import BadRow

Row = dict[str, Any]
Made = TypeVar("Made")


def split_unreadable(
    rows: Sequence[Row], make: Callable[[Sequence[Row]], Made]
) -> tuple[list[Made], list[tuple[Row, BadRow]]]:
    """Return what is made of the readable rows, and the other rows with their errors.

    A page is converted as a whole, so one row would make all of it unreadable. Halves are tried
    until single rows are left, which costs nothing for a page that can be read.

    Args:
        rows: The service's objects.
        make: Converts rows; raises `BadRow` if one of them cannot be read.
    """
    if not rows:
        return [], []
    try:
        return [make(rows)], []
    except BadRow as error:
        if len(rows) == 1:
            return [], [(rows[0], error)]
    middle = len(rows) // 2
    first, second = split_unreadable(rows[:middle], make), split_unreadable(rows[middle:], make)
    return [*first[0], *second[0]], [*first[1], *second[1]]
