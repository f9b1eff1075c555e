"""The shape of answers, to be shared: names of fields, types and nulls, and no value.

A name that could itself be a value (of a zone, a seat, a person) is not shown either: an object
with such names is described by their number.
"""

import re
from collections.abc import Sequence
from datetime import datetime
from decimal import Decimal
from typing import Any

DEEPEST = 4
_FIELD_NAME = re.compile(r"[a-z][a-z_]{0,39}\d{0,2}", re.ASCII)
_NUMBER = re.compile(r"-?\d+([.,]\d+)?", re.ASCII)


def shape_of(values: Sequence[Any], depth: int = 0) -> dict[str, Any]:
    """Return types with the number of values of each, and the shapes of nested fields."""
    types: dict[str, int] = {}
    for value in values:
        kind = _type_of(value)
        types[kind] = types.get(kind, 0) + 1
    shape: dict[str, Any] = {"types": dict(sorted(types.items()))}
    objects = [value for value in values if isinstance(value, dict) and value]
    items = [item for value in values if isinstance(value, list) for item in value]
    if depth < DEEPEST and objects:
        names = list(dict.fromkeys(name for one in objects for name in one))
        if all(_FIELD_NAME.fullmatch(str(name)) for name in names):
            shape["fields"] = {
                name: shape_of([one[name] for one in objects if name in one], depth + 1)
                for name in names
            }
        else:
            shape["other_names"] = len(names)
            inner = [value for one in objects for value in one.values()]
            shape["values"] = shape_of(inner, depth + 1)
    if depth < DEEPEST and items:
        shape["items"] = shape_of(items, depth + 1)
    return shape


def _type_of(value: Any) -> str:
    if value is None:
        return "null"
    if isinstance(value, bool):
        return "true or false"
    if isinstance(value, int):
        return "whole number"
    if isinstance(value, (Decimal, float)):
        return "decimal number"
    if isinstance(value, list):
        return "list" if value else "empty list"
    if isinstance(value, dict):
        return "object" if value else "empty object"
    return _text_type(str(value))


def _text_type(text: str) -> str:
    if not text:
        return "empty text"
    if _NUMBER.fullmatch(text):
        return "number as text"
    try:
        moment = datetime.fromisoformat(text)
    except ValueError:
        return "text"
    return "time with offset" if moment.tzinfo else "time without offset"
