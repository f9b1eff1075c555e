"""Who may open the page and the metrics: this machine, or who has the token."""

import hmac
from ipaddress import ip_address

from starlette.requests import Request

COOKIE = "qtickets_page"
_FORWARDED = ("forwarded", "x-forwarded-for", "x-forwarded-host", "x-real-ip", "via")


def is_from_this_machine(request: Request) -> bool:
    """Return whether a person or program on this machine sent the request itself.

    A proxy on this machine connects from it too. It shows by its headers, or by the name in `Host`;
    that name also shows a page of another site whose name was made to resolve to 127.0.0.1.
    """
    if request.client is None or any(name in request.headers for name in _FORWARDED):
        return False
    return _is_loopback(request.client.host) and _is_loopback(_hostname(request))


def has_token(request: Request, token: str) -> bool:
    """Return whether the request has the token: in the cookie, as `Bearer`, or as `?token=`."""
    given = (
        request.cookies.get(COOKIE, ""),
        request.headers.get("authorization", "").removeprefix("Bearer "),
        request.query_params.get("token", ""),
    )
    return any(hmac.compare_digest(text.encode(), token.encode()) for text in given)


def may_read(request: Request, token: str | None) -> bool:
    """Return whether a request may read sales.

    If a token is set, this machine needs it too: a proxy that adds no header looks like it.
    """
    return has_token(request, token) if token else is_from_this_machine(request)


def _hostname(request: Request) -> str:
    host = request.headers.get("host", "")
    return host[1:].partition("]")[0] if host.startswith("[") else host.partition(":")[0]


def _is_loopback(host: str) -> bool:
    try:
        return host == "localhost" or ip_address(host).is_loopback
    except ValueError:
        return False
