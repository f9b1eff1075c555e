"""The service without a network: a `requests` adapter that answers with pages out of a file."""

import json
import os
from collections.abc import Iterator, Mapping
from datetime import datetime, timezone
from email.utils import format_datetime
from typing import Any

import requests
from requests.adapters import BaseAdapter

from .order_file import OrderFile, number_paid_at, paid_at

PER_PAGE = 50
TOKEN = "benchmark-token"
URL = "https://benchmark.invalid/api/rest/v1"


class FileAdapter(BaseAdapter):
    """Answers requests for pages of orders, by time of payment, and nothing else.

    Args:
        file: Where the orders are.
        orders: So many of them there are for whoever asks, from the first one on.
    """

    def __init__(self, file: OrderFile, orders: int | None = None) -> None:
        super().__init__()
        self._starts = file.starts
        self._orders = file.orders if orders is None else orders
        # Past the last payment, so a period may end in the service's present.
        self._now = format_datetime(paid_at(self._orders).astimezone(timezone.utc), usegmt=True)
        # Not mapped into memory: the file's pages would count as the process's own.
        self._file = os.open(file.path, os.O_RDONLY)

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        asked = json.loads(request.body or "{}")
        first, end = self._asked(asked.get("where", ()))
        page = asked.get("page", 1)
        start = min(first + PER_PAGE * (page - 1), end)
        stop = min(start + PER_PAGE, end)
        # Without the last comma and line feed.
        size = max(0, int(self._starts[stop] - self._starts[start]) - 2)
        rows = os.pread(self._file, size, int(self._starts[start]))
        response = requests.Response()
        response.status_code = 200
        response.url = request.url or ""
        response.request = request
        response.headers.update({"Content-Type": "application/json", "Date": self._now})
        paging = {"perPage": PER_PAGE, "currentPage": page, "total": end - first}
        # Put together at once: each further copy of a page would cost more than the rest of this.
        response._content = b"".join(
            (b'{"data":[', rows, b'],"paging":', json.dumps(paging).encode(), b"}")
        )
        return response

    def _asked(self, where: list[Mapping[str, Any]]) -> tuple[int, int]:
        """Numbers of the first order asked for, and of the first one no longer asked for."""
        first, end = 0, self._orders
        for condition in where:
            if condition["column"] != "payed_at":
                return 0, 0
            number = number_paid_at(datetime.fromisoformat(condition["value"]))
            if condition["operator"] == ">=":
                first = max(first, number)
            else:
                end = min(end, number)
        return first, max(first, end)

    def close(self) -> None:
        os.close(self._file)


def pages_by_hand(file: OrderFile, orders: int) -> Iterator[list[dict[str, Any]]]:
    """Pages one after the other up to an empty one, as a loop over `requests` reads them."""
    page = 1
    with requests.Session() as session:
        session.mount("https://", FileAdapter(file, orders))
        while rows := session.get(f"{URL}/orders", json={"page": page}).json()["data"]:
            yield rows
            page += 1
