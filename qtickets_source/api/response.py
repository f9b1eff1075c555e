"""What an HTTP answer of the service means: its payload, or a typed error."""

import re
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime
from typing import Any
from urllib.parse import urlsplit

from requests import Response

from ..errors import (
    AccessRefused,
    BrokenAnswer,
    NotFound,
    RequestRejected,
    UnexpectedAnswer,
    UnknownPath,
)
from ..privacy import redact_message
from .decoding import Decode, decode_json

CLOCKS_AGREE_WITHIN = timedelta(minutes=5)


def service_time(response: Response, *, warehouse_ahead_seconds: int = 0) -> datetime:
    """Return the time at which the service answered (UTC, whole seconds).

    It is the service's clock, else this machine's. Of clocks that disagree it is the earliest: a
    sweep that reads from a moment that is still to come would miss what changes until then.

    Args:
        response: Its `Date` is the service's clock.
        warehouse_ahead_seconds: How far the destination's clock is ahead of this machine's.
    """
    own = datetime.now(timezone.utc).replace(microsecond=0)
    time = own if clock_difference(response) > timedelta() else _date(response) or own
    if warehouse_ahead_seconds < 0:
        time = min(time, own + timedelta(seconds=warehouse_ahead_seconds))
    return time


def clock_difference(response: Response) -> timedelta:
    """Return how far the service's clock is ahead of this machine's; zero if they agree."""
    date = _date(response)
    return unless_they_agree(date - datetime.now(timezone.utc)) if date else timedelta()


def unless_they_agree(ahead: timedelta) -> timedelta:
    """Return how far a clock is ahead of another; zero within five minutes."""
    return ahead if abs(ahead) > CLOCKS_AGREE_WITHIN else timedelta()


def _date(response: Response) -> datetime | None:
    try:
        return parsedate_to_datetime(response.headers["Date"]).astimezone(timezone.utc)
    except (KeyError, ValueError):
        return None


def is_web_page(response: Response) -> bool:
    """Return whether the body is HTML, as sent by a gateway, a protection or a maintenance page."""
    kind = response.headers.get("Content-Type", "").lower()
    return "html" in kind or ("json" not in kind and b"<html" in response.content[:2000].lower())


def service_message(response: Response) -> str:
    """Return what the service says about an error, such as ` It says: UNKNOWN_ERROR, …`, or ""."""
    try:
        payload = decode_json(response.content)
    except ValueError:
        return ""
    if not isinstance(payload, dict):
        return ""
    code, text = payload.get("code"), payload.get("error") or payload.get("message")
    said = [code] if isinstance(code, str) and re.fullmatch(r"[A-Z][A-Z_]{1,40}", code) else []
    said += [redact_message(text)] if isinstance(text, str) and text else []
    return f" It says: {', '.join(said)}." if said else ""


def checked_payload(response: Response, decode: Decode = decode_json) -> dict[str, Any]:
    """Return the JSON object of an answer that has `data`, with numbers as they were written.

    Raises:
        AccessRefused: HTTP 401 or 403, or the Partners API's WRONG_AUTHORIZATION.
        NotFound: HTTP 404 with the application's JSON.
        UnknownPath: HTTP 404 with a web page.
        BrokenAnswer: A body that should be JSON and is not.
        RequestRejected: HTTP 400 or 422.
        UnexpectedAnswer: Any other status than 200, or a body without `data`.
    """
    path = urlsplit(response.url).path
    status = response.status_code
    is_json = "json" in response.headers.get("Content-Type", "")
    if status in (401, 403):
        raise AccessRefused(
            f"QTickets refused the token: HTTP {status} on GET {path}.{service_message(response)}"
            " Check QTICKETS_TOKEN: in the QTickets cabinet, Settings → API, and whether it may"
            " read this data."
        )
    if status == 404 and is_json:
        raise NotFound(f"QTickets has no such row: HTTP 404 on GET {path}.")
    if status == 404:
        raise UnknownPath(
            f"QTickets has no endpoint {path} (HTTP 404 with a web page). Check QTICKETS_BASE_URL;"
            " it ends in /api/rest/v1."
        )
    if 300 <= status < 400:
        raise UnexpectedAnswer(
            f"GET {path} was redirected (HTTP {status}). A redirect loses the filter, so it is not"
            " followed. Check QTICKETS_BASE_URL: https, no trailing path."
        )
    if status != 200:
        error_type = RequestRejected if status in (400, 422) else UnexpectedAnswer
        raise error_type(
            f"GET {path} answered HTTP {status}, which this source cannot use."
            f"{service_message(response)}"
        )
    try:
        payload = decode(response.content)
    except ValueError:
        is_page = b"<html" in response.content[:2000].lower()
        kind = "a web page" if is_page else "no JSON"
        error = BrokenAnswer if is_json and not is_page else UnexpectedAnswer
        raise error(
            f"GET {path} answered HTTP 200 with {kind} instead of JSON. The service may be under"
            " maintenance, or QTICKETS_BASE_URL points at a site, not at its API."
        ) from None
    if isinstance(payload, list):
        # `/shows/{id}/barcodes` answers a bare list.
        return {"data": payload}
    if isinstance(payload, dict) and payload.get("code") == "WRONG_AUTHORIZATION":
        # The Partners API says so with HTTP 200.
        raise AccessRefused(f"QTickets refused the key of the Partners API on GET {path}.")
    if isinstance(payload, dict) and payload.get("status") == "success":
        payload = {**payload, "data": payload.get("result")}
    if not isinstance(payload, dict) or "data" not in payload:
        raise UnexpectedAnswer(
            f"GET {path} answered JSON without `data`. Nothing was loaded; report it as a changed"
            " API if it stays."
        )
    return payload
