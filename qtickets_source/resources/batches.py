"""Pages put together into batches: dlt handles an Arrow table at a cost that hardly depends on its
size, so single pages of 50 orders would be slow, and whole histories would not fit in memory.
"""

import time
from collections.abc import Callable, Iterator
from typing import Any

from ..datetimes import parse_timestamp
from ..errors import BadRow

Row = dict[str, Any]

ROWS_PER_BATCH = 2000
SECONDS_PER_BATCH = 5
"""A slow service fills no batch in this time; its rows are passed on, so that progress shows."""


def batches(
    pages: Iterator[list[Row]],
    cursor: str | None = None,
    unreadable: Callable[[Row, BadRow], None] | None = None,
) -> Iterator[list[Row]]:
    """Yield the rows of several pages together, all records or all dicts.

    Args:
        pages: The pages.
        cursor: A timestamp column that is parsed, since dlt compares it.
        unreadable: Gets the rows whose cursor column cannot be read, and which are left out.
    """
    batch: list[Row] = []
    since = time.monotonic()
    if cursor and unreadable:
        pages = _with_parsed_cursor(pages, cursor, unreadable)
    for page in pages:
        if batch and page and type(page[0]) is not type(batch[0]):
            yield batch
            batch, since = [], time.monotonic()
        batch.extend(page)
        if len(batch) >= ROWS_PER_BATCH or time.monotonic() - since >= SECONDS_PER_BATCH:
            if batch:
                yield batch
            batch, since = [], time.monotonic()
    if batch:
        yield batch


def _with_parsed_cursor(
    pages: Iterator[list[Row]], cursor: str, unreadable: Callable[[Row, BadRow], None]
) -> Iterator[list[Row]]:
    for page in pages:
        readable = []
        for row in page:
            try:
                row[cursor] = parse_timestamp(row.get(cursor), f"order {row.get('id')}: `{cursor}`")
            except BadRow as error:
                unreadable(row, error)
            else:
                readable.append(row)
        yield readable
