"""Faults: what can be made to go wrong on purpose, for whoever must cope with it.

A fault waits for requests whose path matches, lets the first `after` of them pass, then strikes
`times` times (None: for ever).

| kind | what happens | parameters |
| --- | --- | --- |
| `status` | any status | `status`, `body` (`html`, `json`), `retry_after` seconds |
| `latency_ms` | the answer comes later | `ms` |
| `truncate` | the body is cut, Content-Length is that of the whole | `keep` bytes |
| `reset` | the connection is closed without an answer | |
| `timeout` | no answer for `seconds`, or until the server stops | `seconds` |
| `html` | 200 with an HTML page | |
| `no_data` | 200 with JSON without `data` | |
| `ignore_where` | every row, whatever the filter | |
| `repeat_page` | the first page again and again, numbered as asked for | |
| `only_query` | `where`, `orderBy`, `page` count only as JSON in the query string | |
| `wrong_total` | `paging.total` is `total`, or 7 too many | `total` |
| `shift_times` | bounds of time are read `hours` later than they are written | `hours`, `column` |
| `ignore_column` | conditions on `column` are ignored | `column`, `operator` |
| `refuse` | a request with a condition on `column` is refused | `column`, `operator`, `status` |
| `empty_lists` | every list is empty, with HTTP 200 | |
| `by_address` | the first answer of a path is given to every later question | |
| `mutate` | `change(payload)` is served; in this process only | `change` |
"""

import json
import re
from collections.abc import Iterable
from copy import deepcopy
from datetime import datetime, timedelta
from threading import Lock
from typing import Any
from urllib.parse import parse_qsl

KINDS = frozenset((
    "status", "latency_ms", "truncate", "reset", "timeout", "html", "no_data", "ignore_where",
    "repeat_page", "only_query", "wrong_total", "shift_times", "ignore_column", "refuse",
    "empty_lists",
    "by_address", "mutate",
))  # fmt: skip


class Fault:
    """One fault; see the table of the module."""

    def __init__(
        self, path: str = "", times: int | None = None, after: int = 0, *, kind: str, **params: Any
    ) -> None:
        if kind not in KINDS:
            raise ValueError(f"unknown kind of fault: {kind}")
        self.path, self.times, self.after = re.compile(path), times, after
        self.kind, self.params = kind, params
        self.seen = self.struck = 0

    def strikes(self, path: str) -> bool:
        """Counts a request; whether the fault happens to it."""
        if not self.path.search(path):
            return False
        self.seen += 1
        if self.seen <= self.after or (self.times is not None and self.struck >= self.times):
            return False
        self.struck += 1
        return True


class Faults(list[Fault]):
    """The faults of a server, in the order in which they apply."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        super().__init__(faults)
        self._lock = Lock()

    def striking(self, path: str) -> dict[str, dict[str, Any]]:
        """Parameters by kind of the faults that happen to this request."""
        with self._lock:
            return {fault.kind: fault.params for fault in list(self) if fault.strikes(path)}


def from_json(items: Any) -> list[Fault]:
    """Faults as named over HTTP. Raises ValueError."""
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("a list of faults is wanted")
    if any(item.get("kind") == "mutate" for item in items):
        raise ValueError("mutate is a Python function, in-process only")
    try:
        return [Fault(**item) for item in items]
    except (TypeError, re.error) as error:
        raise ValueError(str(error)) from error


def changed_body(striking: dict[str, Any], body: Any, query_string: str) -> Any:
    """The request body as a faulty service understands it."""
    if "only_query" in striking:
        body = {name: _json_or_text(value) for name, value in parse_qsl(query_string)}
    if isinstance(body, dict) and "ignore_where" in striking:
        body = {name: value for name, value in body.items() if name != "where"}
    if isinstance(body, dict) and isinstance(body.get("where"), list):
        body = {**body, "where": _misread(striking, body["where"])}
    if isinstance(body, dict) and "repeat_page" in striking:
        body = {**body, "page": 1}
    return body


def refusal(striking: dict[str, Any], body: Any, query_string: str) -> dict[str, Any] | None:
    """Parameters of the status with which a faulty service refuses a request; None: it does not."""
    if "refuse" not in striking:
        return None
    fault = striking["refuse"]
    query = {name: _json_or_text(value) for name, value in parse_qsl(query_string)}
    where = (body if isinstance(body, dict) else query).get("where") or []
    is_refused = any(
        line["column"] == fault["column"]
        and line.get("operator", "=") == fault.get("operator", line.get("operator", "="))
        for line in where
    )
    return {"status": fault.get("status", 503), "body": "json"} if is_refused else None


def _misread(striking: dict[str, Any], where: list[Any]) -> list[Any]:
    """The conditions as a service reads them that misunderstands times or columns."""
    if "ignore_column" in striking:
        column, operator = (striking["ignore_column"].get(key) for key in ("column", "operator"))
        where = [
            line
            for line in where
            if line["column"] != column or (operator and line.get("operator") != operator)
        ]
    if "shift_times" in striking:
        shift = timedelta(hours=striking["shift_times"].get("hours", 3))
        only = striking["shift_times"].get("column")
        where = [
            _shifted(line, shift) if only in (None, line["column"]) else line for line in where
        ]
    return where


def _shifted(line: dict[str, Any], shift: timedelta) -> dict[str, Any]:
    if not line["column"].endswith("_at") or not isinstance(line.get("value"), str):
        return line
    value = (datetime.fromisoformat(line["value"]) + shift).isoformat(timespec="seconds")
    return {**line, "value": value}


def _json_or_text(value: str) -> Any:
    try:
        return json.loads(value)
    except ValueError:
        return value


def changed_payload(striking: dict[str, Any], payload: Any, body: Any) -> Any:
    """The payload as a faulty service gives it."""
    paging = payload.get("paging") if isinstance(payload, dict) else None
    if paging and "repeat_page" in striking and isinstance(body, dict):
        payload = {**payload, "paging": {**paging, "currentPage": body.get("page", 1)}}
    if paging and "empty_lists" in striking:
        payload = {**payload, "data": [], "paging": {**payload["paging"], "total": 0}}
    if paging and "by_address" in striking:
        payload = striking["by_address"].setdefault("first", payload)
    if paging and "wrong_total" in striking:
        total = striking["wrong_total"].get("total", paging["total"] + 7)
        payload = {**payload, "paging": {**payload["paging"], "total": total}}
    if "no_data" in striking and isinstance(payload, dict):
        payload = {name: value for name, value in payload.items() if name != "data"}
    if "mutate" in striking:
        payload = striking["mutate"]["change"](deepcopy(payload))
    return payload
