"""Injected faults, for tests of clients.

A fault applies to requests whose path matches its regular expression: it skips the first `after` of
them, then applies `times` times (None: always).

| kind | effect | parameters |
| --- | --- | --- |
| `status` | this status | `status`, `body` (`html`, `json`), `retry_after` seconds |
| `latency_ms` | a delayed response | `ms` |
| `truncate` | a truncated body, with the Content-Length of the full one | `keep` bytes |
| `reset` | the connection is reset without a response | |
| `timeout` | no response for `seconds`, or until the server stops | `seconds` |
| `html` | 200 with an HTML page | |
| `no_data` | 200 with JSON without `data` | |
| `ignore_where` | all rows, the filter is ignored | |
| `repeat_page` | always the first page, with the requested page number | |
| `only_query` | `where`, `orderBy` and `page` are read from the query string, as JSON | |
| `wrong_total` | `paging.total` is `total`, or 7 too high | `total` |
| `shift_times` | time bounds are read `hours` later than they are written | `hours`, `column` |
| `ignore_column` | conditions on `column` are ignored | `column`, `operator` |
| `ignore_order` | an order by `column` is ignored: rows come by id | `column` |
| `unfiltered_total` | `paging.total` counts the whole list, whatever its filter leaves | |
| `page_as_text` | `paging.currentPage` is text | |
| `page_size` | pages after the first have `size` rows | `size` |
| `refuse` | requests with a condition on `column` are refused | `column`, `operator`, `status` |
| `ignore_key` | the `key` of the body is ignored, such as `perPage` or `select` | `key` |
| `refuse_key` | requests with the `key` in their body are refused | `key`, `status` |
| `date_ahead` | the `Date` header is `hours` ahead of the clock | `hours` |
| `empty_lists` | every list is empty, with status 200 | |
| `by_address` | the first response of a path is sent for every later request | |
| `mutate` | the payload is `change(payload)`; within the same process only | `change` |
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
    "ignore_order", "unfiltered_total", "page_as_text", "page_size", "date_ahead", "empty_lists",
    "ignore_key", "refuse_key", "by_address", "mutate",
))  # fmt: skip


class Fault:
    """A fault; the table in the docstring of this module lists kinds and parameters."""

    def __init__(
        self, path: str = "", times: int | None = None, after: int = 0, *, kind: str, **params: Any
    ) -> None:
        if kind not in KINDS:
            raise ValueError(
                f"unknown kind of fault: {kind}; use one of {', '.join(sorted(KINDS))}"
            )
        self.path, self.times, self.after = re.compile(path), times, after
        self.kind, self.params = kind, params
        self.matched = self.applied = 0

    def apply_to(self, path: str) -> bool:
        """Count a request, and return whether the fault applies to it."""
        if not self.path.search(path):
            return False
        self.matched += 1
        if self.matched <= self.after or self.applied == self.times:
            return False
        self.applied += 1
        return True


class Faults(list[Fault]):
    """The faults of a server; a later one overrides an earlier one of the same kind."""

    def __init__(self, faults: Iterable[Fault] = ()) -> None:
        super().__init__(faults)
        self._lock = Lock()

    def apply_to(self, path: str) -> dict[str, dict[str, Any]]:
        """Count a request, and return the parameters of the faults that apply to it, by kind."""
        with self._lock:
            return {fault.kind: fault.params for fault in list(self) if fault.apply_to(path)}


def parse_faults(items: Any) -> list[Fault]:
    """Return the faults in the body of a request to `/sandbox/faults`.

    Raises:
        ValueError: The body is not a list of faults that can be set over HTTP.
    """
    if not isinstance(items, list) or not all(isinstance(item, dict) for item in items):
        raise ValueError("the body must be a list of faults")
    if any(item.get("kind") == "mutate" for item in items):
        raise ValueError("mutate takes a Python function: set it within the same process")
    try:
        return [Fault(**item) for item in items]
    except (TypeError, re.error) as error:
        raise ValueError(str(error)) from error


def faulty_request(active: dict[str, Any], body: Any, query_string: str) -> Any:
    """Return the body of a request as a service with these faults reads it."""
    if "only_query" in active:
        body = {name: _json_or_text(value) for name, value in parse_qsl(query_string)}
    if isinstance(body, dict) and "ignore_where" in active:
        body = {name: value for name, value in body.items() if name != "where"}
    if isinstance(body, dict) and isinstance(body.get("where"), list):
        body = {**body, "where": _misread(active, body["where"])}
    if isinstance(body, dict) and "ignore_order" in active:
        ignored = active["ignore_order"]["column"]
        if ignored in (body.get("orderBy") or {}):
            body = {**body, "orderBy": {"id": "asc"}}
    if isinstance(body, dict) and "page_size" in active and body.get("page", 1) > 1:
        body = {**body, "perPage": active["page_size"]["size"]}
    if isinstance(body, dict) and "ignore_key" in active:
        ignored_key = active["ignore_key"]["key"]
        body = {name: value for name, value in body.items() if name != ignored_key}
    if isinstance(body, dict) and "repeat_page" in active:
        body = {**body, "page": 1}
    return body


def refusal(active: dict[str, Any], body: Any, query_string: str) -> dict[str, Any] | None:
    """Return the parameters of the status that refuses a request; None if it is not refused."""
    if "refuse_key" in active and isinstance(body, dict) and active["refuse_key"]["key"] in body:
        return {"status": active["refuse_key"].get("status", 503), "body": "json"}
    if "refuse" not in active:
        return None
    fault = active["refuse"]
    query = {name: _json_or_text(value) for name, value in parse_qsl(query_string)}
    where = (body if isinstance(body, dict) else query).get("where") or []
    is_refused = any(
        line["column"] == fault["column"]
        and line.get("operator", "=") == fault.get("operator", line.get("operator", "="))
        for line in where
    )
    return {"status": fault.get("status", 503), "body": "json"} if is_refused else None


def _misread(active: dict[str, Any], where: list[Any]) -> list[Any]:
    """Return the conditions as a service with these faults reads them."""
    if "ignore_column" in active:
        column, operator = (active["ignore_column"].get(key) for key in ("column", "operator"))
        where = [
            line
            for line in where
            if line["column"] != column or (operator and line.get("operator") != operator)
        ]
    if "shift_times" in active:
        shift = timedelta(hours=active["shift_times"].get("hours", 3))
        only = active["shift_times"].get("column")
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


def faulty_payload(active: dict[str, Any], payload: Any, body: Any) -> Any:
    """Return the payload of a response as a service with these faults sends it."""
    paging = payload.get("paging") if isinstance(payload, dict) else None
    if paging and "repeat_page" in active and isinstance(body, dict):
        payload = {**payload, "paging": {**paging, "currentPage": body.get("page", 1)}}
    if paging and "empty_lists" in active:
        payload = {**payload, "data": [], "paging": {**payload["paging"], "total": 0}}
    if paging and "by_address" in active:
        payload = active["by_address"].setdefault("first", payload)
    if paging and "page_as_text" in active:
        payload = {**payload, "paging": {**paging, "currentPage": str(paging["currentPage"])}}
    if paging and "unfiltered_total" in active:
        total = active["unfiltered_total"]["total"]
        payload = {**payload, "paging": {**payload["paging"], "total": total}}
    if paging and "wrong_total" in active:
        total = active["wrong_total"].get("total", paging["total"] + 7)
        payload = {**payload, "paging": {**payload["paging"], "total": total}}
    if "no_data" in active and isinstance(payload, dict):
        payload = {name: value for name, value in payload.items() if name != "data"}
    if "mutate" in active:
        payload = active["mutate"]["change"](deepcopy(payload))
    return payload
