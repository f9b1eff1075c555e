"""Recorded answers, served over HTTP on this machine instead of the live service.

A cassette (VCR's YAML) holds the lists of one account. The sandbox serves their rows, filtered and
paged, at a clock that stands at the recording's newest `Date`. So every request has an answer, not
only those that were recorded: a first run asks for windows of payment, and a second one for what is
newer than the first's cursor, which is nothing. Nothing outside this machine is called.

Seats and barcodes are those of the recorded shows; other shows have none (404), as have lists
that the cassette does not hold.
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

from sandbox import RecordedWorld, Server
from sandbox.recorded import PAGES
from sandbox.search.query import Column, column_of, in_units
from sandbox.search.search import Chunk, Search
from sandbox.search.tables import MOMENTS, ListTable, OrdersTable, RowsChunk
from sandbox.server.answers import BASE_PATH, Answer
from sandbox.world.world import Clock

Row = dict[str, Any]


class CassetteError(Exception):
    """A file that cannot be read, or is not a recording of an account."""


class RecordedAccount(RecordedWorld):
    """The organiser of a cassette, at the moment of its recording.

    Args:
        answers: Payload by path below the API's base, in the order of the recording.
        moment: When the last of them was given.
    """

    def __init__(self, answers: list[tuple[str, Any]], moment: datetime) -> None:
        Clock.__init__(self, moment)
        self.search = Search()
        self.singles: dict[str, Any] = {}
        lists: dict[str, dict[int, Row]] = {name: {} for name in PAGES}
        self.recorded: set[str] = set()
        """Paths that the cassette has an answer for."""
        for path, payload in answers:
            self.recorded.add(path)
            if path in lists:
                lists[path].update({row["id"]: row for row in payload["data"]})
            else:
                self.singles[path] = payload["data"] if isinstance(payload, dict) else payload
        self.tables = {
            name: _Rows(name, PAGES[name][1], [rows[id_] for id_ in sorted(rows)])
            for name, rows in lists.items()
        }

    def color_themes(self) -> list[Row]:
        return list(self.singles["color-themes"])

    def seats(self, show_id: int) -> list[Row] | None:
        seats = self.singles.get(f"shows/{show_id}/seats")
        return list(seats.values() if isinstance(seats, dict) else seats or ()) or None

    def barcodes(self, show_id: int) -> list[Row] | None:
        return self.singles.get(f"shows/{show_id}/barcodes")


class _Rows(ListTable):
    """A list that knows its timestamps even where no row has one."""

    def __init__(self, name: str, per_page: int, rows: list[Row]) -> None:
        columns = {*OrdersTable.names, *(rows[0] if rows else ())}
        super().__init__(name, per_page, columns, partial(_always, rows))

    def chunk(self, number: int, now: int) -> Chunk:
        rows = self._rows_at(now)

        def column(name: str) -> Column:
            values = [row.get(name) for row in rows]
            if name not in MOMENTS:
                return column_of(values)
            moments = [in_units(value, "moment", 1) for value in values]
            return Column("moment", np.array(moments, dtype=np.int64))

        return RowsChunk(super().chunk(number, now).keys, column)


def _always(rows: list[Row], _now: int) -> list[Row]:
    return rows


class OfflineService(Server):
    """The HTTP service of a cassette; what was not recorded is not there."""

    def answer(self, method: str, path: str, authorization: str, body: Any) -> Answer:
        assert isinstance(self.world, RecordedAccount)
        name = path.removeprefix(BASE_PATH + "/")
        if name in (*PAGES, "color-themes") and name not in self.world.recorded:
            return Answer(404)
        return super().answer(method, path, authorization, body)


@cache
def read_cassette(path: Path) -> RecordedAccount:
    """Return the account that a cassette holds.

    Raises:
        CassetteError: There is no such file, or it is not a recording of an account.
    """
    try:
        loader = getattr(yaml, "CSafeLoader", yaml.SafeLoader)
        recorded = yaml.load(path.read_text(), Loader=loader)  # noqa: S506 - both are safe
        answers, dates = [], []
        for exchange in recorded["interactions"]:
            response = exchange["response"]
            where = urlsplit(exchange["request"]["uri"]).path
            if response["status"]["code"] != 200 or not where.startswith(BASE_PATH + "/"):
                continue
            dates.append(parsedate_to_datetime(response["headers"]["Date"][0]))
            payload = json.loads(response["body"]["string"])
            answers.append((where.removeprefix(BASE_PATH + "/"), payload))
        account = RecordedAccount(answers, max(dates))
    except OSError as error:
        raise CassetteError(f"{path}: {error.strerror}.") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise CassetteError(
            f"{path}: not a cassette of the service's answers (VCR's YAML)."
        ) from None
    if not {"orders", "events"} <= account.recorded:
        raise CassetteError(
            f"{path}: the cassette holds no complete account, since `/orders` or `/events` is"
            " missing."
        )
    return account
