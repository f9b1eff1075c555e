"""A dead man's switch: an outside monitor that alerts when runs no longer report to it.

Alerts of this project cannot say that the machine is off, or that nothing starts the runs any more.
The address is called after each run, with `/fail` after one that failed: the protocol of
healthchecks.io, which other monitors speak too.
"""

import logging

import requests
import tenacity

from pipelines.configuration.environment import AlertSettings

logger = logging.getLogger(__name__)

SECONDS = 10
ATTEMPTS = 3


def ping(settings: AlertSettings, *, succeeded: bool) -> None:
    """Tell the monitor how a run ended; log it if that fails, and raise nothing.

    The address is a secret, and nothing else is sent.
    """
    if not settings.qtickets_ping_url:
        return
    address = settings.qtickets_ping_url.get_secret_value().rstrip("/")
    try:
        _call(address if succeeded else f"{address}/fail")
    except (requests.RequestException, ValueError) as error:
        logger.warning(
            "The monitor (QTICKETS_PING_URL) could not be told how the run ended: %s. It will"
            " report the run as missing.",
            type(error).__name__,
        )


@tenacity.retry(
    stop=tenacity.stop_after_attempt(ATTEMPTS),
    wait=tenacity.wait_exponential(multiplier=0.5),
    retry=tenacity.retry_if_exception_type(requests.RequestException),
    reraise=True,
)
def _call(address: str) -> None:
    requests.get(address, timeout=SECONDS, allow_redirects=False).raise_for_status()
