"""The offline service: recorded responses, served over HTTP from this machine.

A cassette (VCR's YAML) contains the lists of one account. The sandbox serves their rows with
filters and paging, and its clock stands at the newest `Date` of the recording. So it can respond to
requests that were not recorded: a first run requests periods of payment, and a second run requests
rows newer than the cursor of the first. No other machine is called.

Recorded shows have their recorded seats and barcodes. Other shows, and lists that the cassette does
not contain, get 404.
"""

import json
from datetime import datetime
from email.utils import parsedate_to_datetime
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import yaml

from sandbox.recorded import PAGES
from sandbox.search.order_chunks import TIMESTAMP_COLUMNS, RowsChunk
from sandbox.search.paged_search import Chunk, PagedSearch, Table
from sandbox.search.query import Column, infer_column, to_units
from sandbox.search.tables import ListTable, OrdersTable
from sandbox.server.http import Server
from sandbox.server.rest_api import BASE_PATH, Response
from sandbox.world.clock import Clock
from sandbox.world.order_payloads import Row


class CassetteError(Exception):
    """A file that cannot be read, or does not contain a recorded account."""


class RecordedAccount(Clock):
    """The organiser of a cassette, at the time of the recording.

    Args:
        responses: (path below the API's base path, payload), in the order of the recording.
        recorded_at: Time of the last response.
    """

    def __init__(self, responses: list[tuple[str, Any]], recorded_at: datetime) -> None:
        super().__init__(recorded_at)
        self.search = PagedSearch()
        self._unpaged: dict[str, Any] = {}
        lists: dict[str, dict[int, Row]] = {name: {} for name in PAGES}
        self.recorded: set[str] = set()
        """Paths that the cassette contains a response for."""
        for path, payload in responses:
            self.recorded.add(path)
            if path in lists:
                lists[path].update({row["id"]: row for row in payload["data"]})
            else:
                self._unpaged[path] = payload["data"] if isinstance(payload, dict) else payload
        self.tables: dict[str, Table] = {
            name: _RecordedTable(name, PAGES[name][1], [rows[id_] for id_ in sorted(rows)])
            for name, rows in lists.items()
        }

    def color_themes(self) -> list[Row]:
        return list(self._unpaged["color-themes"])

    def seats(self, show_id: int) -> list[Row] | None:
        seats = self._unpaged.get(f"shows/{show_id}/seats")
        return list(seats.values() if isinstance(seats, dict) else seats or ()) or None

    def barcodes(self, show_id: int) -> list[Row] | None:
        return self._unpaged.get(f"shows/{show_id}/barcodes")


class _RecordedTable(ListTable):
    """A list whose timestamp columns are known even if they are null in all rows."""

    def __init__(self, name: str, per_page: int, rows: list[Row]) -> None:
        columns = {*OrdersTable.names, *(rows[0] if rows else ())}
        super().__init__(name, per_page, columns, partial(_constant, rows))

    def chunk(self, number: int, now: int) -> Chunk:
        rows = self._rows_at(now)

        def column(name: str) -> Column:
            values = [row.get(name) for row in rows]
            if name not in TIMESTAMP_COLUMNS:
                return infer_column(values)
            timestamps = [to_units(value, "timestamp", 1) for value in values]
            return Column("timestamp", np.array(timestamps, dtype=np.int64))

        return RowsChunk(super().chunk(number, now).keys, column)


def _constant(rows: list[Row], _now: int) -> list[Row]:
    return rows


class OfflineService(Server):
    """The HTTP service of a cassette; lists that were not recorded get 404."""

    def __init__(self, account: RecordedAccount, token: str) -> None:
        super().__init__(account, token)
        self._recorded = account.recorded

    def respond(self, method: str, path: str, authorization: str, body: Any) -> Response:
        name = path.removeprefix(BASE_PATH + "/")
        if name in (*PAGES, "color-themes") and name not in self._recorded:
            return Response(404)
        return super().respond(method, path, authorization, body)


@cache
def read_cassette(path: Path) -> RecordedAccount:
    """Return the account that a cassette contains.

    Raises:
        CassetteError: There is no such file, or it does not contain a recorded account.
    """
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        recorded = yaml.load(path.read_text(), Loader=loader)  # noqa: S506 - both are safe
        responses, dates = [], []
        for exchange in recorded["interactions"]:
            response = exchange["response"]
            uri_path = urlsplit(exchange["request"]["uri"]).path
            if response["status"]["code"] != 200 or not uri_path.startswith(BASE_PATH + "/"):
                continue
            dates.append(parsedate_to_datetime(response["headers"]["Date"][0]))
            payload = json.loads(response["body"]["string"])
            responses.append((uri_path.removeprefix(BASE_PATH + "/"), payload))
        account = RecordedAccount(responses, max(dates))
    except OSError as error:
        raise CassetteError(f"{path}: {error.strerror}.") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise CassetteError(
            f"{path}: not a cassette of the service's responses (VCR's YAML)."
        ) from None
    if not {"orders", "events"} <= account.recorded:
        raise CassetteError(
            f"{path}: the cassette contains no complete account, since `/orders` or `/events` is"
            " missing."
        )
    return account
