"""The JSON of an answer, with numbers exactly as they were written."""

import json
from collections.abc import Callable
from decimal import Decimal
from typing import Any

import msgspec

Decode = Callable[[bytes], Any]

_exact = msgspec.json.Decoder(float_hook=Decimal)


def decode_json(content: bytes) -> Any:
    """Return the JSON value, with `Decimal` for every number that has a decimal point.

    Raises:
        ValueError: It is not JSON.
    """
    try:
        return _exact.decode(content)
    except RecursionError:
        raise ValueError("the JSON is nested too deeply") from None
    except ValueError:
        # Python's own decoder accepts what a strict one refuses: a lone surrogate, left by a
        # truncated string, and a byte order mark.
        return json.loads(content, parse_float=Decimal)


class Record(msgspec.Struct, gc=False, forbid_unknown_fields=True, kw_only=True):
    """A row as a struct; `row["name"]` and `row.get("name")` work as for a dict."""

    def __getitem__(self, name: str) -> Any:
        return getattr(self, name)

    def __setitem__(self, name: str, value: Any) -> None:
        setattr(self, name, value)

    def get(self, name: str) -> Any:
        return getattr(self, name, None)
