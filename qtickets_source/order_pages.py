"""Pages of orders on their way to rows: put together, and held against what is loaded."""

from collections.abc import Iterator
from typing import Any

from .query import parse_timestamp
from .settings import ROWS_PER_BATCH
from .windows import Window, covered, merged

Row = dict[str, Any]


def batches(
    pages: Iterator[list[Row]], cursor: str | None = None, rows: int | None = None
) -> Iterator[list[Row]]:
    """Rows of several pages together, all records or all dicts.

    Args:
        pages: The pages.
        cursor: A column that is parsed, so that dlt compares moments.
        rows: So many at least, but for the last ones and where their kind changes; by default
            `ROWS_PER_BATCH`.
    """
    rows = rows or ROWS_PER_BATCH
    batch: list[Row] = []
    for page in pages:
        if cursor:
            _parse(page, cursor)
        if batch and page and type(page[0]) is not type(batch[0]):
            yield batch
            batch = []
        batch.extend(page)
        if len(batch) >= rows:
            yield batch
            batch = []
    if batch:
        yield batch


def _parse(page: list[Row], cursor: str) -> None:
    for row in page:
        row[cursor] = parse_timestamp(row.get(cursor), f"order {row.get('id')}: `{cursor}`")


def is_loaded(order: Row, windows: list[Window]) -> bool:
    """Whether an order belongs to a loaded period; unpaid ones do, they count nowhere."""
    payed_at = parse_timestamp(order.get("payed_at"), f"order {order.get('id')}: `payed_at`")
    return payed_at is None or covered(windows, payed_at)


def loaded_windows(state: Any) -> list[Window]:
    """The windows of payment time that the state of the source calls loaded."""
    return [(since, until) for since, until in state.get("loaded", [])]


def as_state(windows: list[Window]) -> list[list[Any]]:
    """Windows as the state keeps them."""
    return [list(window) for window in merged(windows)]
