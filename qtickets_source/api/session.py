"""The HTTP session to the service: GET only, with retries and one log line a request.

`POST /orders` creates an order, `DELETE /orders/{id}/baskets` refunds, `POST /shows/{id}/barcodes`
marks tickets as used: writes share their paths with reads. So the session itself cannot send
anything but GET, whatever the code above it asks for.
"""

import ipaddress
import json
import logging
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any
from urllib.parse import urlsplit

import requests
import tenacity
from dlt.sources.helpers.requests.retry import wait_exponential_retry_after

from ..errors import (
    ApplicationError,
    BrokenAnswer,
    RequestNotSent,
    ServiceUnavailable,
    UnexpectedAnswer,
    WriteRefused,
)
from ..observations import RequestCounts
from .bounded_adapter import AnswerTimeout, AnswerTooLarge, BoundedAdapter
from .response import is_web_page, service_message
from .throttle import Throttle

logger = logging.getLogger(__name__)

# Transient errors of the gateway and of the application. 500 is not documented; it is retried
# because one more wait costs less than a false alarm at night.
# 520 to 524 come from a proxy in front of the service that could not reach it.
TRANSIENT_STATUSES = frozenset({429, 500, 502, 503, 504, 520, 521, 522, 523, 524})
TIMEOUT_STATUSES = frozenset({500, 502, 504, 524})
OVERLOADED_STATUSES = frozenset({429, 503})
TRANSIENT_ERRORS = (
    requests.ConnectionError,
    requests.Timeout,
    requests.exceptions.ChunkedEncodingError,
    requests.exceptions.ContentDecodingError,
)


REFUSED_AFTER_ATTEMPTS = 3
"""The application's own errors in a row after which a filter may be refused."""


class TransientAnswer(Exception):
    """An answer that is retried; carries the response for its `Retry-After`."""

    def __init__(self, response: requests.Response) -> None:
        super().__init__(f"HTTP {response.status_code}")
        self.response = response


class _WaitRetryAfterOrBackoff(wait_exponential_retry_after):
    """dlt's exponential wait, which honours `Retry-After`, with jitter."""

    def _get_retry_after(self, retry_state: tenacity.RetryCallState) -> float | None:
        outcome = retry_state.outcome
        error = outcome.exception() if outcome else None
        if not isinstance(error, TransientAnswer):
            return None
        return retry_after(error.response)

    def __call__(self, retry_state: tenacity.RetryCallState) -> float:
        return super().__call__(retry_state) + tenacity.wait_random(0, 0.5)(retry_state)


class _OfThread(threading.local):
    is_trying_once = False


LIST_PATHS = ("/orders", "/events", "/clients", "/discounts", "/promo-codes")
LIST_KEYS = frozenset({"where", "orderBy", "page", "perPage", "select"})


class ReadOnlySession(requests.Session):
    """A `requests.Session` that sends GET requests and nothing else.

    Args:
        timeout: Seconds for one request, from the connection to the end of the answer.
        retry_seconds: Total time that one request may spend on being retried.
        max_attempts: Upper bound of tries of one request.
        connections: Concurrent requests, all threads together.
        counts: Requests, retries and seconds are added up here.
        post_lists: Allow list requests as POST, for deployments that accept nothing else. Only a
            list request passes: to a list's own path, with a filter's keys.
    """

    def __init__(
        self,
        *,
        timeout: float = 60.0,
        retry_seconds: float = 120.0,
        max_attempts: int = 8,
        connections: int = 4,
        counts: RequestCounts | None = None,
        post_lists: bool = False,
    ) -> None:
        super().__init__()
        self._post_lists = post_lists
        self._throttle = Throttle(connections)
        self.timeout = timeout
        self.counts = counts or RequestCounts()
        self._retry_seconds = retry_seconds
        self._max_attempts = max_attempts
        self._thread = _OfThread()
        self._environment: Any = None
        adapter = BoundedAdapter(seconds=timeout, pool_maxsize=connections, pool_block=True)
        self.mount("https://", adapter)
        self.mount("http://", adapter)

    def merge_environment_settings(self, *given: Any, **more: Any) -> Any:
        """Return the environment's proxy and certificates.

        They are looked up once, since all requests go to one host; each time would take a fifth
        of a page's processing time.
        """
        if self._environment is None:
            self._environment = super().merge_environment_settings(*given, **more)
            if _is_loopback(str(given[0] if given else more["url"])):
                # A proxy for the outside world cannot reach this machine.
                self._environment["proxies"] = {}
        return dict(self._environment)

    @contextmanager
    def trying_once(self) -> Iterator[None]:
        """Send the requests of this thread once, without retries, inside the block."""
        self._thread.is_trying_once = True
        try:
            yield
        finally:
            self._thread.is_trying_once = False

    def send(self, request: requests.PreparedRequest, **kwargs: Any) -> requests.Response:
        """Send one GET, and retry it after transient errors.

        Raises:
            WriteRefused: The request is not a GET.
            ServiceUnavailable: Attempts or time ran out; the message names the last error.
        """
        path = urlsplit(request.url or "").path
        if request.method != "GET" and not (self._post_lists and _is_list_request(request)):
            raise WriteRefused(
                f"{request.method} {path} was not sent: this source reads the service and must"
                " never write to it. Use GET."
            )
        # A redirect would drop the body, and with it the filter, so it is reported, not followed.
        kwargs["allow_redirects"] = False
        kwargs["timeout"] = self.timeout
        retrying = tenacity.Retrying(
            # Before the wait, not after it: `Retry-After` may name tomorrow.
            stop=tenacity.stop_before_delay(self._retry_seconds)
            | tenacity.stop_after_attempt(1 if self._thread.is_trying_once else self._max_attempts)
            | _stop_if_shape_may_be_refused(request),
            wait=_WaitRetryAfterOrBackoff(multiplier=0.5, max=30),
            retry=tenacity.retry_if_exception_type(
                (TransientAnswer, BrokenAnswer, *TRANSIENT_ERRORS)
            ),
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
            if is_application_error(error.response):
                raise ApplicationError(
                    _unavailable(path, _describe(error.response), attempts, started)
                ) from error
            unavailable = ServiceUnavailable(
                _unavailable(path, _describe(error.response), attempts, started)
            )
            unavailable.is_timeout = error.response.status_code in TIMEOUT_STATUSES
            raise unavailable from error
        except AnswerTooLarge as error:
            raise UnexpectedAnswer(
                f"GET {path} answered {error}, which no list of this service has. Nothing of it was"
                " loaded; check QTICKETS_BASE_URL, or report a changed API."
            ) from error
        except (requests.exceptions.InvalidSchema, requests.exceptions.InvalidProxyURL) as error:
            raise RequestNotSent(_not_sent(path, error)) from error
        except TRANSIENT_ERRORS as error:
            unavailable = ServiceUnavailable(_unavailable(path, _reason(error), attempts, started))
            unavailable.is_timeout = isinstance(error, requests.Timeout)
            raise unavailable from error
        raise AssertionError("tenacity returns or raises")  # pragma: no cover

    def _send_once(
        self, request: requests.PreparedRequest, path: str, attempt: int, **kwargs: Any
    ) -> requests.Response:
        response = None
        with self._throttle.slot():
            started = time.monotonic()
            try:
                response = super().send(request, **kwargs)
            finally:
                seconds = time.monotonic() - started
                self.counts.add(attempt=attempt, seconds=seconds)
                _log(request, path, response, seconds, attempt)
        if is_transient(response):
            if response.status_code in OVERLOADED_STATUSES:
                self._throttle.slow_down(min(retry_after(response) or 0, self._retry_seconds))
            raise TransientAnswer(response)
        self._throttle.record_success()
        return response


def is_transient(response: requests.Response) -> bool:
    """Return whether another attempt may be answered.

    A web page with 403 comes from a protection in front of the service, not from the service, which
    refuses a token with JSON.
    """
    status = response.status_code
    return status in TRANSIENT_STATUSES or (status == 403 and is_web_page(response))


def is_application_error(response: requests.Response) -> bool:
    """Return whether this is the application's own 503, which the shape of a request can cause."""
    return response.status_code == 503 and "json" in response.headers.get("Content-Type", "")


class _stop_if_shape_may_be_refused(tenacity.stop.stop_base):
    """Stops after a few of the application's own errors: the client then asks for less."""

    def __init__(self, request: requests.PreparedRequest) -> None:
        text = str(request.body or "") + str(request.url)
        self._asks_for_more = any(key in text for key in ("where", "perPage", "select"))

    def __call__(self, retry_state: tenacity.RetryCallState) -> bool:
        error = retry_state.outcome.exception() if retry_state.outcome else None
        return (
            self._asks_for_more
            and isinstance(error, TransientAnswer)
            and is_application_error(error.response)
            and retry_state.attempt_number >= REFUSED_AFTER_ATTEMPTS
        )


def _is_loopback(url: str) -> bool:
    host = urlsplit(url).hostname or ""
    if host == "localhost":
        return True
    try:
        return ipaddress.ip_address(host).is_loopback
    except ValueError:
        return False


def _is_list_request(request: requests.PreparedRequest) -> bool:
    """Return whether a POST can only be a list request: a list's own path, only a filter's keys.

    Creating an order, refunding and scanning need other keys, or another path.
    """
    if request.method != "POST" or not urlsplit(request.url or "").path.endswith(LIST_PATHS):
        return False
    try:
        body = json.loads(request.body or "")
    except ValueError:
        return False
    return isinstance(body, dict) and bool(body) and set(body) <= LIST_KEYS


def _log(
    request: requests.PreparedRequest,
    path: str,
    response: requests.Response | None,
    seconds: float,
    attempt: int,
) -> None:
    """Log a request at debug level, without the token, values of the body, or rows."""
    if not logger.isEnabledFor(logging.DEBUG):
        return
    page = json.loads(request.body).get("page") if request.body else None
    facts = {
        "method": request.method,
        "path": path,
        "page": page,
        "status": response.status_code if response is not None else "no answer",
        "rows": getattr(response, "rows", None),
        "milliseconds": round(seconds * 1000),
        "attempt": attempt,
    }
    text = " ".join(f"{name}={value}" for name, value in facts.items() if value is not None)
    logger.debug("request %s", text, extra=facts)


def retry_after(response: requests.Response) -> float | None:
    """Return the seconds of `Retry-After`, which is a number or a date."""
    header = response.headers.get("Retry-After")
    if not header:
        return None
    seconds: float | None = wait_exponential_retry_after(max=3600)._parse_retry_after(header)
    return seconds


def _not_sent(path: str, error: Exception) -> str:
    why = "the address of the proxy cannot be used"
    remedy = "Correct HTTPS_PROXY, HTTP_PROXY or ALL_PROXY."
    if "SOCKS" in str(error):
        why = "a SOCKS proxy is configured, and the package PySocks is not installed"
        remedy = "Install it (pip install pysocks), or unset ALL_PROXY."
    return f"GET {path} was not sent: {why}. {remedy}"


def _unavailable(path: str, trouble: str, attempts: int, started: float) -> str:
    return (
        f"QTickets did not answer GET {path}: {trouble} ({attempts} tries in"
        f" {time.monotonic() - started:.0f} s). If the service is down, the next run catches up by"
        " itself; if the host is wrong, check QTICKETS_BASE_URL."
    )


def _describe(response: requests.Response) -> str:
    status = response.status_code
    if status in (403, 429, 503) and is_web_page(response):
        return (
            f"HTTP {status} with a web page: the service's protection blocks this address, or the"
            " service is under maintenance; a token that it refuses it answers with JSON"
        )
    if status == 503 and "json" in response.headers.get("Content-Type", ""):
        return (
            "HTTP 503 with the application's own error, which this service also sends when it"
            f" cannot handle the shape of a request.{service_message(response)}".rstrip(".")
        )
    return f"HTTP {status}"


def _reason(error: Exception) -> str:
    """Return the reason of a connection error, without urllib3's wrapping."""
    if isinstance(error, AnswerTimeout):
        return str(error)
    if isinstance(error, requests.Timeout):
        return "no answer in time"
    text = str(error)
    for known in ("Name or service not known", "Temporary failure in name resolution"):
        if known in text:
            return "the host's name is not known"
    for known in ("Connection refused", "Connection reset", "certificate verify failed"):
        if known.lower() in text.lower():
            return known.lower()
    if "BadStatusLine" in text:
        return "this port does not speak HTTP; is the address https://?"
    if "WRONG_VERSION_NUMBER" in text or "record layer failure" in text.lower():
        return "this port does not speak TLS; is the address http://?"
    return "the connection broke" if "Connection" in type(error).__name__ else "a broken answer"
