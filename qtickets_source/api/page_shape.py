"""The shape of a page: how many rows it is asked to have, and which of their fields.

Neither is documented for lists. A public client asks for 100 orders a page (`perPage`) and selects
fields by dotted names (`shows.id`). Ten events are more than a megabyte, mostly seat schemes that
nothing here reads, and twenty times smaller without them.
"""

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from ..errors import FilterIgnored

Row = Mapping[str, Any]

PAGE_SIZE = "perPage"
SELECT = "select"


@dataclass(frozen=True)
class PageShape:
    """What a request asks of a page besides its rows; by default nothing.

    Attributes:
        per_page: Rows of a page. What the answer says counts.
        select: Dotted names of the fields of a row; empty: all fields.
    """

    per_page: int | None = None
    select: tuple[str, ...] = ()

    def as_json(self) -> dict[str, Any]:
        """Return the keys of the request's body."""
        keys: dict[str, Any] = {PAGE_SIZE: self.per_page} if self.per_page else {}
        return keys | ({SELECT: list(self.select)} if self.select else {})

    def verify(self, rows: Iterable[Row], path: str) -> None:
        """Check that rows have the objects of which fields were selected.

        Other fields that are missing from a page are found when its rows are made.

        Raises:
            FilterIgnored: A row lacks one.
        """
        inner = {name.partition(".")[0] for name in self.select if "." in name}
        for row in rows if inner else ():
            if not inner <= row.keys():
                raise FilterIgnored(
                    f"GET /{path}: row {row.get('id')} came without fields that were selected.",
                    ("", SELECT),
                )


def field_names(row: Row, nested: Collection[str]) -> Iterator[str]:
    """Yield the names of a row's fields, dotted for those of nested objects.

    Args:
        row: A row of a list.
        nested: Fields that hold an object or a list of objects.
    """
    for name, value in row.items():
        if name.startswith("_"):
            continue
        if name in nested and (objects := _objects(value)):
            for one in objects:
                yield from (f"{name}.{inner}" for inner in one)
        elif name not in nested:
            yield name


def selected(row: Row, names: Sequence[str]) -> dict[str, Any]:
    """Return a row reduced to fields."""
    wanted: dict[str, set[str]] = {}
    for name in names:
        head, _, inner = name.partition(".")
        wanted.setdefault(head, set()).update({inner} - {""})
    return {name: _reduced(row[name], wanted[name]) for name in wanted if name in row}


def _reduced(value: Any, inner: set[str]) -> Any:
    if not inner or not _objects(value):
        return value
    if isinstance(value, dict):
        return {name: item for name, item in value.items() if name in inner}
    return [_reduced(item, inner) for item in value]


def _objects(value: Any) -> list[dict[str, Any]]:
    """Return the objects that a value holds: itself, or the items of a list of objects."""
    items = value if isinstance(value, list) else [value]
    return items if items and all(isinstance(item, dict) for item in items) else []


AS_IT_COMES = PageShape()
"""Pages of the service's own size, with all fields."""
