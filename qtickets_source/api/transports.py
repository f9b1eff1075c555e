"""The transports: the ways in which a list request can be sent."""

import json
from typing import Any

from requests import Request

from ..settings import Transport


def encode_request(request: Request, transport: Transport, body: dict[str, Any]) -> None:
    """Write `body` into the request."""
    if transport == "get_query":
        request.json = None
        request.params = {
            name: json.dumps(value) if isinstance(value, (list, dict, bool)) else value
            for name, value in body.items()
        }
        return
    request.method = "POST" if transport == "post_body" else "GET"
    request.json = body
