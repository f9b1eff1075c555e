"""JSON values of the service to Arrow columns, strict where money or counts depend on them.

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

from ..api.decoding import Record, decode_json
from ..datetimes import EARLIEST, LATEST, parse_timestamp
from ..errors import BadRow
from ..privacy import redact_json
from .schema import ARROW_TYPES, Column, Kind

Row = dict[str, Any]

CENT = Decimal("0.01")

_EMPTY: tuple[Any, ...] = (None, [], "", {})
_LARGEST: dict[Kind, int] = {"integer": 2**63 - 1, "money": 10**16 - 1}


def convert_fast(kind: Kind, values: Sequence[Any]) -> pa.Array | None:
    """Return the column in one step, or None if a value needs `convert_value`.

    Only for values that are the kind's own JSON type, or null.
    """
    try:
        if kind == "json":
            return _convert_json(values)
        if kind == "timestamp":
            return _convert_timestamps(values)
        if kind == "integer":
            # Inferred, not requested: asked for int64, Arrow makes one ticket of 1.5.
            array = pa.array(values)
            is_whole = array.type == pa.int64() or array.null_count == len(array)
            return array.cast(pa.int64()) if is_whole else None
        return pa.array(values, ARROW_TYPES[kind])
    except (pa.ArrowException, TypeError, OverflowError, ValueError):
        return None


def to_arrow(
    column: Column, values: Sequence[Any], array: pa.Array | None, what: str, ids: Sequence[Any]
) -> pa.Array:
    """Return one Arrow array of the column's type.

    Args:
        column: Name, kind and whether null is allowed.
        values: The JSON values.
        array: The result of `convert_fast`.
        what: What a row is, for messages ("order", "ticket").
        ids: The rows' identifiers, for messages.

    Raises:
        BadRow: A value is not of the column's kind, or is missing though required.
    """
    if array is None:
        array = pa.array(
            [
                convert_value(column.kind, value, f"{what} {row_id}: `{column.name}`")
                for value, row_id in zip(values, ids, strict=True)
            ],
            ARROW_TYPES[column.kind],
        )
    if column.required and array.null_count:
        row_id = ids[array.is_null().index(True).as_py()]
        raise BadRow(
            f"{what} {row_id}: `{column.name}` is missing. Nothing was loaded: amounts and counts"
            " depend on it. Look at this row in QTickets, or report a changed API.",
            f"{what} {row_id}: `{column.name}` is missing",
        )
    return array


def null_if_unreadable(kind: Kind, values: Sequence[Any]) -> tuple[list[Any], int]:
    """Return the values with null for those that are not of the kind, and how many these are."""
    readable: list[Any] = []
    unreadable = 0
    for value in values:
        try:
            convert_value(kind, value, "")
            readable.append(value)
        except BadRow:
            readable.append(None)
            unreadable += 1
    return readable, unreadable


def convert_value(kind: Kind, value: Any, where: str) -> Any:
    """Return one JSON value as Arrow takes it for a column of this kind.

    Raises:
        BadRow: The value is not of this kind; `where` names the row and the field.
    """
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


def as_rows(value: Any) -> list[Row] | None:
    """Return a list of objects, also if PHP sent it as an object with numeric keys; else None."""
    rows = list(value.values()) if isinstance(value, dict) else value
    are_rows = isinstance(rows, list) and all(isinstance(row, (dict, Record)) for row in rows)
    return rows if are_rows else None


def flag(value: object) -> bool:
    """Return PHP's truth: `"0"`, `""`, `[]`, `{}`, 0 and null are false."""
    return value not in (None, False, 0, "", "0", "false", [], {})


def plain_text(value: Any) -> str | None:
    """Return a name as text: the Russian one of a multilingual object, else its first one."""
    if isinstance(value, dict):
        return plain_text(value.get("ru") or next(iter(value.values()), None))
    if isinstance(value, list):
        return json_text(value)
    if isinstance(value, str):
        return _valid(value)
    return json_text(value) if value is None or isinstance(value, bool) else str(value)


def json_text(value: Any) -> str | None:
    """Return compact JSON text without personal values; null for the empty values of PHP."""
    if value in _EMPTY:
        return None
    redacted = redact_json(value)
    try:
        # Both encoders write the same text; this one takes a tenth of the time.
        return msgspec.json.encode(redacted).decode()
    except UnicodeEncodeError:
        return _valid(_compact.encode(redacted))


def decode_raw(values: Sequence[Any]) -> Sequence[Any]:
    """Return the JSON values, with those that records left as they were sent decoded.

    Raises:
        BadRow: One is not JSON, which nothing noticed before.
    """
    try:
        return [decode_json(bytes(v)) if isinstance(v, msgspec.Raw) else v for v in values]
    except ValueError as error:
        raise BadRow(
            f"a page of orders is not JSON: {error}. Nothing of it was loaded. Run again; if it"
            " happens every time, report it to QTickets' support.",
            "a page of orders is not JSON",
        ) from None


def _convert_json(values: Sequence[Any]) -> pa.Array | None:
    if isinstance(next(iter(values), None), msgspec.Raw):
        # Most are empty or equal to others, such as campaigns: each distinct one is decoded once.
        sent = list(map(bytes, values))
        texts = {text: _json_text_of_raw(text) for text in set(sent)}
        return pa.array(map(texts.__getitem__, sent), pa.string())
    if not set(map(type, values)) <= {list, dict, type(None)}:
        return None
    if not any(values):
        return pa.nulls(len(values), pa.string())
    return pa.array([json_text(value) for value in values], pa.string())


@lru_cache(maxsize=10_000)
def _json_text_of_raw(sent: bytes) -> str | None:
    """Return `json_text` of JSON as it was sent.

    Raises:
        TypeError: It is neither a list nor an object, nor empty.
    """
    value = decode_json(sent)
    if value not in _EMPTY and not isinstance(value, (list, dict)):
        raise TypeError(type(value))
    return json_text(value)


def _convert_timestamps(values: Sequence[Any]) -> pa.Array | None:
    """Convert texts, or datetimes, in one step."""
    type_ = ARROW_TYPES["timestamp"]
    if isinstance(next((value for value in values if value is not None), None), datetime):
        # Versions of rows: a page has one, and converting one takes as long as a row.
        places = {moment: place for place, moment in enumerate(dict.fromkeys(values))}
        distinct = pa.array(places, type_)
        return distinct.take(pa.array(map(places.__getitem__, values), pa.int32()))
    array = pa.array(values, pa.string()).cast(type_)
    extremes = pc.min_max(array).as_py()
    is_plausible = extremes["min"] is None or (
        EARLIEST <= extremes["min"] <= extremes["max"] <= LATEST
    )
    return array if is_plausible else None


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
        raise BadRow(
            f"{where} is {value!r}, not {expected}. Nothing was loaded.",
            f"{where} is not {expected}",
        )
    return int(exact) if kind == "integer" else exact


def _valid(text: str) -> str:
    """Return the text without lone surrogates, which truncated strings end in."""
    return text.encode("utf-8", "replace").decode()


def _as_text(value: object) -> object:
    if isinstance(value, Decimal):
        # As text: a JSON number with two decimals would be read back as a float.
        return str(value)
    if isinstance(value, datetime):
        return value.isoformat()
    raise TypeError(f"{type(value).__name__} in a JSON answer")


_compact = json.JSONEncoder(ensure_ascii=False, separators=(",", ":"), default=_as_text)
