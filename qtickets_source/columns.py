"""JSON values of the service to Arrow columns, strictly where money or counts depend on them.

The service has PHP's habits: a flag is `true`, `1` or `"1"`, an absent object `[]` or `""`, a
number may come as text, a name of a multilingual account as `{"ru": …}`.
"""

import json
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal, InvalidOperation
from functools import lru_cache
from typing import Any

import msgspec
import pyarrow as pa
import pyarrow.compute as pc

from .answers import decoded
from .errors import BadRow
from .privacy import without_personal_values
from .query import EARLIEST, LATEST, parse_timestamp
from .tables import ARROW_TYPES, Column, Kind

CENT = Decimal("0.01")

_EMPTY: tuple[Any, ...] = (None, [], "", {})
_LARGEST: dict[Kind, int] = {"integer": 2**63 - 1, "money": 10**16 - 1}


def at_once(kind: Kind, values: Sequence[Any]) -> pa.Array | None:
    """The column in one step, or None where a value needs a closer look.

    Only of values that are nothing but the kind's own JSON type, or null.
    """
    try:
        if kind == "json":
            return _json_texts(values)
        if kind == "timestamp":
            return _moments(values)
        if kind == "integer":
            # By what Arrow takes them for: told what they are to be, it makes one ticket of 1.5.
            array = pa.array(values)
            is_whole = array.type == pa.int64() or array.null_count == len(array)
            return array.cast(pa.int64()) if is_whole else None
        return pa.array(values, ARROW_TYPES[kind])
    except (pa.ArrowException, TypeError, OverflowError, ValueError):
        return None


def opened(values: Sequence[Any]) -> Sequence[Any]:
    """The JSON values, also of those that were left as they were sent.

    Raises:
        BadRow: One is no JSON: nobody has looked into it before.
    """
    try:
        return [decoded(bytes(v)) if isinstance(v, msgspec.Raw) else v for v in values]
    except ValueError as error:
        raise no_json(error) from None


def no_json(error: ValueError) -> BadRow:
    """What to say of a page in which some text turns out to be none when it is looked at."""
    return BadRow(
        f"a page of orders is no JSON: {error}. Nothing of it was loaded. Run again; if it is so"
        " every time, tell QTickets' support."
    )


def to_arrow(
    column: Column, values: Sequence[Any], array: pa.Array | None, what: str, ids: Sequence[Any]
) -> pa.Array:
    """One Arrow array of `column`'s type.

    Args:
        column: Name, kind and whether null is allowed.
        values: The raw JSON values.
        array: What `at_once` made of them, or None.
        what: What a row is, for messages ("order", "ticket").
        ids: The rows' identifiers, for messages.

    Raises:
        BadRow: A value is not of the column's kind, or is missing though required.
    """
    if array is None:
        array = pa.array(
            [
                _one(column.kind, value, f"{what} {row_id}: `{column.name}`")
                for value, row_id in zip(values, ids, strict=True)
            ],
            ARROW_TYPES[column.kind],
        )
    if column.required and array.null_count:
        row_id = ids[array.is_null().index(True).as_py()]
        raise BadRow(
            f"{what} {row_id}: `{column.name}` is missing. Nothing was loaded: amounts and counts"
            " depend on it. Look at this row in QTickets, or report a changed API."
        )
    return array


def _json_texts(values: Sequence[Any]) -> pa.Array | None:
    if isinstance(next(iter(values), None), msgspec.Raw):
        # Most are empty, or equal to others, such as campaigns: each is looked into once.
        sent = list(map(bytes, values))
        texts = {text: _json_text_of(text) for text in set(sent)}
        return pa.array(map(texts.__getitem__, sent), pa.string())
    if not set(map(type, values)) <= {list, dict, type(None)}:
        return None
    if not any(values):
        return pa.nulls(len(values), pa.string())
    return pa.array([json_text(value) for value in values], pa.string())


def _moments(values: Sequence[Any]) -> pa.Array | None:
    """Moments of texts, or of moments."""
    type_ = ARROW_TYPES["timestamp"]
    if isinstance(next((value for value in values if value is not None), None), datetime):
        # Stamps of pages: few different ones, and each takes as long as a row.
        places = {moment: place for place, moment in enumerate(dict.fromkeys(values))}
        moments = pa.array(places, type_)
        return moments.take(pa.array(map(places.__getitem__, values), pa.int32()))
    array = pa.array(values, pa.string()).cast(type_)
    extremes = pc.min_max(array).as_py()
    is_plausible = extremes["min"] is None or (
        EARLIEST <= extremes["min"] <= extremes["max"] <= LATEST
    )
    return array if is_plausible else None


def _one(kind: Kind, value: Any, where: str) -> Any:
    if value is None:
        return None
    if kind == "timestamp":
        return parse_timestamp(value, where)
    if kind == "flag":
        return flag(value)
    if kind == "text":
        return plain_text(value)
    if kind == "json":
        return json_text(value)
    return _number(kind, value, where)


def _number(kind: Kind, value: Any, where: str) -> int | Decimal | None:
    if value in ("", []):
        return None
    try:
        number = Decimal(str(value))
        exact = number.quantize(Decimal(1) if kind == "integer" else CENT)
    except InvalidOperation:
        exact = number = Decimal("NaN")
    if exact != number or abs(exact) > _LARGEST[kind]:
        expected = "a whole number" if kind == "integer" else "an amount with at most two decimals"
        raise BadRow(f"{where} is {value!r}, not {expected}. Nothing was loaded.")
    return int(exact) if kind == "integer" else exact


def flag(value: object) -> bool:
    """PHP's truth: `"0"`, `""`, `[]`, `{}`, 0 and null are false."""
    return value not in (None, False, 0, "", "0", "false", [], {})


def plain_text(value: Any) -> str | None:
    """A name as text: the Russian one of a multilingual object, else the first there is."""
    if isinstance(value, dict):
        return plain_text(value.get("ru") or next(iter(value.values()), None))
    if isinstance(value, list):
        return json_text(value)
    if isinstance(value, str):
        return _valid(value)
    return json_text(value) if value is None or isinstance(value, bool) else str(value)


def json_text(value: Any) -> str | None:
    """Compact JSON text without personal values; null for the empty values of PHP."""
    if value in _EMPTY:
        return None
    shown = without_personal_values(value)
    try:
        # Of both encoders, which write the same, the one that takes a tenth of the time.
        return msgspec.json.encode(shown).decode()
    except UnicodeEncodeError:
        return _valid(_compact.encode(shown))


@lru_cache(maxsize=10_000)
def _json_text_of(sent: bytes) -> str | None:
    """`json_text` of what was sent.

    Raises:
        TypeError: It is neither list nor object, nor empty.
    """
    value = decoded(sent)
    if value not in _EMPTY and not isinstance(value, (list, dict)):
        raise TypeError(type(value))
    return json_text(value)


def _valid(text: str) -> str:
    """Text without halves of characters, which a text that was cut in the middle may end in."""
    return text.encode("utf-8", "replace").decode()


def _exact(value: object) -> object:
    if isinstance(value, Decimal):
        # As text: a JSON number of two decimals would be read back as a float.
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} in a JSON answer")


_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_exact)
