"""Check of the service: does it answer, and accept the token?"""

import time
from typing import Any

from pipelines.configuration.environment import Settings
from pipelines.operations.checks.health import Check

TIMEOUT_SECONDS = 10


def check_service(settings: Settings) -> Check:
    """Send one small GET of the form that every run sends: orders with the id 0, which none has."""
    if settings.mode != "live":
        kind = {"demo": "Demo", "offline": "Offline"}[settings.mode]
        return Check("service", "ok", f"{kind}: the live service is not called.")
    # The import takes a quarter of a second, and is needed only in live mode.
    import requests

    assert settings.qtickets_token is not None
    url = f"{settings.qtickets_base_url}/orders"
    timeout = min(TIMEOUT_SECONDS, settings.qtickets_timeout_seconds)
    started = time.monotonic()
    try:
        response = requests.get(
            url,
            headers={
                "Accept": "application/json",
                "Authorization": f"Bearer {settings.qtickets_token.get_secret_value()}",
            },
            json={"where": [{"column": "id", "operator": "=", "value": 0}], "page": 1},
            timeout=timeout,
            allow_redirects=False,
        )
    except requests.Timeout:
        return Check(
            "service", "error", f"{url}: no answer within {timeout:g} s. The next run tries again."
        )
    except (requests.RequestException, UnicodeError) as error:
        return Check(
            "service",
            "error",
            f"{url} cannot be reached ({type(error).__name__}). Check QTICKETS_BASE_URL and the"
            " network.",
        )
    milliseconds = round((time.monotonic() - started) * 1000)
    try:
        body = response.json()
    except ValueError:
        body = None
    return judge_response(url, response.status_code, body, milliseconds)


def judge_response(url: str, http_status: int, body: Any, milliseconds: int) -> Check:
    """Return the finding for an answer.

    Args:
        url: What was requested.
        http_status: Status of the answer.
        body: Its decoded JSON; None if it was none.
        milliseconds: How long it took.
    """
    values = {"http_status": http_status, "milliseconds": milliseconds}
    if http_status in (401, 403):
        return Check(
            "service",
            "error",
            f"{url} refused the token (HTTP {http_status}). Check QTICKETS_TOKEN.",
            values,
        )
    is_list = isinstance(body, dict) and isinstance(body.get("data"), list)
    if http_status != 200 or not is_list:
        return Check(
            "service",
            "error",
            f"{url} answered HTTP {http_status} without a list of orders. Check QTICKETS_BASE_URL;"
            " if it is right, the service has a problem.",
            values,
        )
    return Check("service", "ok", f"{url} answers in {milliseconds} ms.", values)
