"""`--offline [CASSETTE]`: recorded answers instead of the network.

A cassette (VCR's YAML) holds an account's lists as they were answered once. Their rows are served
over HTTP on this machine by the sandbox's search, at a clock that stands at the recording's newest
`Date`. So every request finds its answer, not only those that were recorded: a first run asks for
windows of payment, a second one for what is newer than the first's cursor, and learns that there
is nothing. Nothing outside of the machine is called, and no token is needed.

Seats and barcodes are those of the recorded shows; other shows have none (404), as have lists
that the cassette does not hold.
"""

import json
from datetime import datetime, timezone
from email.utils import parsedate_to_datetime
from functools import cache, partial
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

import numpy as np
import yaml

from sandbox import RecordedWorld, Server
from sandbox.api import BASE_PATH, Answer
from sandbox.query import Column, column_of, in_units
from sandbox.recorded import PAGES
from sandbox.search import Chunk, Search
from sandbox.tables import MOMENTS, ListTable, OrdersTable, RowsChunk
from sandbox.world import Clock

from .errors import ConfigurationError
from .settings import CASSETTE, Settings

Row = dict[str, Any]


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
    """The account that a cassette holds.

    Raises:
        ConfigurationError: There is no such file, or it is no recording of an account.
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
        raise ConfigurationError(f"--offline {path}: {error.strerror}.") from None
    except (yaml.YAMLError, KeyError, TypeError, ValueError, IndexError, AttributeError):
        raise ConfigurationError(
            f"--offline {path}: not a cassette of the service's answers (VCR's YAML)."
            f" The one that comes with the project is {CASSETTE}."
        ) from None
    if not {"orders", "events"} <= account.recorded:
        raise ConfigurationError(
            f"--offline {path}: the cassette holds no whole account, since `/orders` or `/events`"
            f" is missing. The one that comes with the project is {CASSETTE}."
        )
    return account


def at_the_recordings_moment(settings: Settings) -> Settings:
    """The settings with `REPORT_NOW` at the recording, so that "today" has the recorded sales.

    Raises:
        ConfigurationError: As `read_cassette`.
    """
    assert settings.qtickets_offline is not None
    moment = read_cassette(settings.qtickets_offline).now.astimezone(timezone.utc)
    if settings.report_now:
        return settings
    return settings.model_copy(update={"report_now": f"{moment:%Y-%m-%d %H:%M:%S}"})
