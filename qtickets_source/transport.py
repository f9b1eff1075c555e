"""The HTTP session to the service: GET only, retried with care, one log line a request.

`POST /orders` creates an order, `DELETE /orders/{id}/baskets` refunds, `POST /shows/{id}/barcodes`
marks tickets as used: writes share their paths with reads. So the session itself is unable to
send anything but GET, whatever the code above it asks for.
"""

import logging
import threading
import time
from dataclasses import dataclass, field
from typing import Any
from urllib.parse import urlsplit

import requests
import tenacity
from dlt.sources.helpers.requests.retry import wait_exponential_retry_after
from requests.adapters import HTTPAdapter

from .errors import ServiceUnavailable, WriteRefused

logger = logging.getLogger(__name__)

# The gateway's and the application's passing troubles. 500 is not documented; it is retried
# because an answer that may differ next time costs one wait, and a false alarm a night's sleep.
TRANSIENT_STATUSES = frozenset({429, 500, 502, 503, 504})
TRANSIENT_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


@dataclass
class RequestCounts:
    """What the session has done so far; shared by all threads of a run."""

    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, *, attempt: int, seconds: float) -> None:
        with self._lock:
            self.requests += 1
            self.retries += attempt > 1
            self.seconds += seconds


class TransientAnswer(Exception):
    """An answer worth another try; carries the response for its `Retry-After`."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__(f"HTTP {response.status_code}")
        self.response = response


class _WaitRetryAfterOrBackoff(wait_exponential_retry_after):
    """dlt's exponential wait that honours `Retry-After`, with jitter against thundering herds."""

    def _get_retry_after(self, retry_state: tenacity.RetryCallState) -> float | None:
        outcome = retry_state.outcome
        error = outcome.exception() if outcome else None
        if not isinstance(error, TransientAnswer):
            return None
        header = error.response.headers.get("Retry-After")
        return self._parse_retry_after(header) if header else None

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        return super().__call__(retry_state) + tenacity.wait_random(0, 0.5)(retry_state)


class ReadOnlySession(requests.Session):
    """A `requests.Session` that sends GET requests and nothing else.

    Args:
        timeout: Seconds to wait for a connection, and for each read, before the request counts
            as failed.
        retry_seconds: Total time that one request may spend on being retried.
        max_attempts: Upper bound of tries of one request.
        connections: Size of the connection pool.
        counts: Where requests, retries and seconds are added up.
    """

    def __init__(
        self,
        *,
        timeout: float = 60.0,
        retry_seconds: float = 120.0,
        max_attempts: int = 8,
        connections: int = 4,
        counts: RequestCounts | None = None,
    ) -> None:
        super().__init__()
        self.timeout = timeout
        self.counts = counts or RequestCounts()
        self._retry_seconds = retry_seconds
        self._max_attempts = max_attempts
        adapter = HTTPAdapter(pool_maxsize=connections, pool_block=True)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Sends one GET, again while the trouble looks passing.

        Raises:
            WriteRefused: The request is not a GET.
            ServiceUnavailable: Tries or time ran out; the message names the last trouble.
        """
        path = urlsplit(request.url or "").path
        if request.method != "GET":
            raise WriteRefused(
                f"{request.method} {path} was not sent: this source reads the service and must"
                " never write to it. Use GET."
            )
        # A redirect would drop the body, and with it the filter: see it, don't follow it.
        kwargs["allow_redirects"] = False
        kwargs["timeout"] = self.timeout
        retrying = tenacity.Retrying(
            stop=tenacity.stop_after_delay(self._retry_seconds)
            | tenacity.stop_after_attempt(self._max_attempts),
            wait=_WaitRetryAfterOrBackoff(multiplier=0.5, max=30),
            retry=tenacity.retry_if_exception_type((TransientAnswer, *TRANSIENT_ERRORS)),
            reraise=True,
        )
        started = time.monotonic()
        attempts = 0
        try:
            for attempt in retrying:
                with attempt:
                    attempts = attempt.retry_state.attempt_number
                    return self._send_once(request, path, attempts, **kwargs)
        except TransientAnswer as error:
            raise ServiceUnavailable(
                _unavailable(path, _describe(error.response), attempts, started)
            ) from error
        except TRANSIENT_ERRORS as error:
            raise ServiceUnavailable(
                _unavailable(path, _reason(error), attempts, started)
            ) from error
        raise AssertionError("tenacity returns or raises")  # pragma: no cover

    def _send_once(
        self, request: requests.PreparedRequest, path: str, attempt: int, **kwargs: Any
    ) -> requests.Response:
        started = time.monotonic()
        status: int | str = "no answer"
        try:
            response = super().send(request, **kwargs)
            status = response.status_code
        finally:
            seconds = time.monotonic() - started
            self.counts.add(attempt=attempt, seconds=seconds)
            logger.debug(
                "GET %s: %s, %d ms, attempt %d",
                path,
                status,
                seconds * 1000,
                attempt,
                extra={
                    "method": "GET",
                    "path": path,
                    "status": status,
                    "milliseconds": round(seconds * 1000),
                    "attempt": attempt,
                },
            )
        if response.status_code in TRANSIENT_STATUSES:
            raise TransientAnswer(response)
        return response


def _unavailable(path: str, trouble: str, attempts: int, started: float) -> str:
    return (
        f"QTickets did not answer GET {path}: {trouble} ({attempts} tries in"
        f" {time.monotonic() - started:.0f} s). If the service is down, the next run catches up by"
        " itself; if the host is wrong, check QTICKETS_BASE_URL."
    )


def _describe(response: requests.Response) -> str:
    if "json" in response.headers.get("Content-Type", "") and response.status_code == 503:
        return (
            "HTTP 503 with the application's own error, which this service also sends when it"
            " cannot handle the shape of a request"
        )
    return f"HTTP {response.status_code}"


def _reason(error: Exception) -> str:
    """The innermost words of a connection error, without urllib3's wrapping."""
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    text = str(error)
    for known in ("Name or service not known", "Temporary failure in name resolution"):
        if known in text:
            return "the host's name is not known"
    for known in ("Connection refused", "Connection reset", "certificate verify failed"):
        if known.lower() in text.lower():
            return known.lower()
    return "the connection broke" if "Connection" in type(error).__name__ else "a broken answer"
