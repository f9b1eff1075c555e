"""The service without a network: it serves pages from a file."""

import json
import os
from collections.abc import Callable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from email.utils import format_datetime
from typing import Any

import requests
from dlt.sources.helpers.rest_client.paginators import BasePaginator
from requests.adapters import BaseAdapter

from .order_file import CHANGED_AFTER_PAYMENT, FIRST_ID, OrderFile, number_paid_at, paid_at

PER_PAGE = 50
TOKEN = "benchmark-token"
URL = "https://benchmark.invalid/api/rest/v1"


class FileService:
    """Serves pages of orders, filtered by time of payment.

    Args:
        file: The orders.
        orders: Serve only this number of them, the first ones.
    """

    def __init__(self, file: OrderFile, orders: int) -> None:
        self._starts = file.starts
        self._orders = orders
        # After the last payment, so that a period may end at the service's current time.
        self._now = format_datetime(paid_at(orders).astimezone(timezone.utc), usegmt=True)
        # Not mapped into memory: the pages of the file would count as memory of the process.
        self._file = os.open(file.path, os.O_RDONLY)

    def respond(self, body: Mapping[str, Any], url: str = URL) -> requests.Response:
        """Return the response to a request with this body."""
        first, end = self._range(body.get("where", ()))
        page = body.get("page", 1)
        start = min(first + PER_PAGE * (page - 1), end)
        stop = min(start + PER_PAGE, end)
        # Without the last comma and line feed.
        size = max(0, int(self._starts[stop] - self._starts[start]) - 2)
        rows = os.pread(self._file, size, int(self._starts[start]))
        response = requests.Response()
        response.status_code = 200
        response.url = url
        response.headers.update({"Content-Type": "application/json", "Date": self._now})
        paging = {"perPage": PER_PAGE, "currentPage": page, "total": end - first}
        # Joined in one step: a copy of a page takes longer than the rest of this function.
        response._content = b"".join(
            (b'{"data":[', rows, b'],"paging":', json.dumps(paging).encode(), b"}")
        )
        return response

    def _range(self, where: list[Mapping[str, Any]]) -> tuple[int, int]:
        """Return the range (first, end) of the orders that match the conditions."""
        first, end = 0, self._orders
        for condition in where:
            column, bound = condition["column"], condition["operator"]
            if column == "id":
                number = int(condition["value"]) - FIRST_ID + (bound == ">")
                first = max(first, number)
                if bound == "=":
                    end = min(end, number + 1)
                continue
            time = datetime.fromisoformat(condition["value"])
            if column == "updated_at":
                time -= CHANGED_AFTER_PAYMENT
            if bound == ">=":
                first = max(first, number_paid_at(time))
            else:
                end = min(end, number_paid_at(time + timedelta(seconds=bound == "<=")))
        return first, max(first, end)

    def close(self) -> None:
        os.close(self._file)


class FileAdapter(BaseAdapter):
    """An adapter that replaces the network in a session of `requests`."""

    def __init__(self, service: FileService) -> None:
        super().__init__()
        self._service = service

    def send(self, request: requests.PreparedRequest, *_: Any, **__: Any) -> requests.Response:
        response = self._service.respond(json.loads(request.body or "{}"), request.url or "")
        response.request = request
        return response

    def close(self) -> None:
        self._service.close()


class FetchedPages:
    """Replaces dlt's `RESTClient`, so that fetching a page by HTTP costs nothing.

    Responses still pass through the hooks and the paginator.
    """

    def __init__(self, service: FileService) -> None:
        self._service = service

    def paginate(
        self, _path: str, paginator: BasePaginator, hooks: Mapping[str, list[Callable[..., Any]]]
    ) -> Iterator[list[Any]]:
        request = requests.Request()
        paginator.init_request(request)
        while paginator.has_next_page:
            response = self._service.respond(request.json or {})
            for hook in hooks["response"]:
                hook(response)
            rows = response.json()["data"]
            paginator.update_state(response, rows)
            paginator.update_request(request)
            yield rows


def pages_by_hand(file: OrderFile, orders: int) -> Iterator[list[dict[str, Any]]]:
    """Yield pages up to the first empty one, as a simple loop over `requests` reads them."""
    page = 1
    with requests.Session() as session:
        session.mount("https://", FileAdapter(FileService(file, orders)))
        while rows := session.get(f"{URL}/orders", json={"page": page}).json()["data"]:
            yield rows
            page += 1
