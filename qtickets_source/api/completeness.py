"""Whether the pages of one list add up to what the service counts."""

from collections.abc import Sequence
from threading import Lock
from typing import Any

from ..errors import FilterIgnored, PagesDontAddUp


class CompletenessCheck:
    """Counts the rows of one list, whose pages may be fetched by several threads.

    Args:
        path: For messages.
        may_grow: The list is open: rows may be added at its end while it is read.
    """

    def __init__(self, path: str, *, may_grow: bool = False) -> None:
        self._path = path
        self._may_grow = may_grow
        self._ids: set[Any] = set()
        self._rows = 0
        self._lock = Lock()
        self.total: int | None = None

    def add(self, rows: Sequence[dict[str, Any]], total: int) -> None:
        """Count the rows of a page; `total` is what the service counted when it answered.

        Raises:
            FilterIgnored: The page repeats an earlier one.
            PagesDontAddUp: The service's count changed.
        """
        with self._lock:
            if self.total is None:
                self.total = total
            ids = {row["id"] for row in rows}
            if rows and ids <= self._ids:
                raise FilterIgnored(
                    f"GET /{self._path}: a page holds only rows of an earlier page. The service"
                    " ignores `page`; nothing was loaded."
                )
            if total != self.total and not (self._may_grow and total > self.total):
                raise PagesDontAddUp(
                    f"GET /{self._path}: the list changed from {self.total} to {total} records"
                    " while its pages were read. Nothing was loaded; the next run tries again."
                )
            self._ids |= ids
            self._rows += len(rows)

    def check(self) -> None:
        """Check that every record came exactly once.

        Raises:
            PagesDontAddUp: Records are missing or repeated.
        """
        complete = self._rows == self.total or (
            self._may_grow and self.total is not None and self._rows > self.total
        )
        if len(self._ids) != self._rows or not complete:
            raise PagesDontAddUp(
                f"GET /{self._path}: received {self._rows} rows with {len(self._ids)} distinct ids,"
                f" though the service counts {self.total}. Nothing was loaded; the next run tries"
                " again."
            )
