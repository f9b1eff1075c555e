"""The data of the page, read from the marts: columns of integers, and lists of texts they refer to.

Money is in hundredths of its currency (kopecks), days are counted from 1970-01-01 in the reporting
time zone, timestamps are Unix seconds in UTC. With integers, the sums in the browser are exact.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from .errors import DashboardError
from .options import PageOptions

DAYS_OF_HISTORY = 800
"""Two years, and the days before that they are compared with. Older sales are in the marts only."""
SHOWS_WITH_PACE = 400
"""The next shows on sale. The pace matters weeks before a show, not years."""
PACE_HORIZON = 180
"""As in `fact_qtickets_sales_pace`, where day 180 includes all earlier sales."""

QUERIES = Path(__file__).resolve().parent / "sql"
REQUIRED_TABLES = ("fact_qtickets_sales_daily", "v_qtickets_freshness", "meta_job_runs")
FACTS = ("sales", "refunds", "sources", "promo_uses", "plan", "attendance")

ARROW = {"output_format_arrow_low_cardinality_as_dictionary": 1}
UNIT_SEPARATOR = "\x1f"
"""Between the parts of UTM parameters and promos, as in `sources.sql` and `promo_uses.sql`."""

Columns = Mapping[str, Sequence[Any]]
ReadColumns = Callable[[str], Columns]


def read_page_data(client: Client, options: PageOptions) -> dict[str, Any]:
    """Return all data of the page, ready for JSON.

    Raises:
        DashboardError: The marts were never built.
        ClickHouseError: The driver's error, if a query fails.
    """
    _check_marts(client, options.database)
    now = f"toDateTime('{options.now}', 'UTC')" if options.now else "now('UTC')"
    today = f"toDate(toTimeZone({now}, '{options.time_zone}'))"
    parameters = {"now": now, "today": today, "since": f"{today} - {DAYS_OF_HISTORY}"}
    settings = {"database": options.database}

    def query(name: str) -> str:
        sql = (QUERIES / f"{name}.sql").read_text(encoding="utf-8")
        return sql.format(**parameters, shows_with_pace=SHOWS_WITH_PACE)

    def read(name: str) -> Columns:
        result = client.query(query(name), settings=settings, column_oriented=True)
        # A result without rows has no columns; the page treats a missing column as empty.
        return dict(zip(result.column_names, result.result_columns, strict=True))

    def read_fact(name: str) -> pa.Table:
        return client.query_arrow(query(name), settings=settings | ARROW)

    dictionaries = _Dictionaries()
    data: dict[str, Any] = {
        "about": _about(read, options),
        "freshness": read("freshness"),
        "runs": read("runs"),
        "events": dictionaries.encode_events(read("events")),
    }
    for name in FACTS:
        data[name] = dictionaries.encode_fact(read_fact(name))
    data["pace"] = _pace(read, dictionaries)
    return data | dictionaries.texts()


def _check_marts(client: Client, database: str) -> None:
    found = client.query(
        "SELECT count() FROM system.tables"
        " WHERE database = {database:String} AND name IN {names:Array(String)}",
        parameters={"database": database, "names": list(REQUIRED_TABLES)},
    ).result_rows
    if found[0][0] < len(REQUIRED_TABLES):
        raise DashboardError(
            f"There are no marts in database {database} yet, so there is nothing to show."
            " Run first: python pipelines/qtickets.py"
        )


class _Dictionaries:
    """Dictionary encoding: repeated texts become indexes into lists of distinct texts."""

    _COLUMNS = ("event", "city", "currency", "utm", "promo")

    def __init__(self) -> None:
        self._indexes: dict[str, dict[str, int]] = {column: {} for column in self._COLUMNS}

    def index(self, column: str, text: str) -> int:
        indexes = self._indexes[column]
        return indexes.setdefault(text, len(indexes))

    def encode(self, columns: Columns) -> Columns:
        """Return the columns with the texts of dictionary columns encoded."""
        return {
            name: [self.index(name, text) for text in column]
            if name in self._indexes
            else list(column)
            for name, column in columns.items()
        }

    def encode_events(self, columns: Columns) -> Columns:
        """Return the columns of events in the order of their indexes, so without the event id."""
        return {key: value for key, value in self.encode(columns).items() if key != "event"}

    def encode_fact(self, table: pa.Table) -> Columns:
        """Return the columns of a fact as integers, sorted by the encoded columns, then by day.

        This order compresses best. A fact may have hundreds of thousands of rows, so that Arrow
        encodes them and not `encode`.
        """
        if not table.num_rows:
            return {}
        table = table.unify_dictionaries().combine_chunks()
        for position, name in enumerate(table.column_names):
            if name in self._indexes:
                indexes = self._encode_arrow(name, table.column(name).chunk(0))
                table = table.set_column(position, name, indexes)
        keys = [name for name in (*self._COLUMNS, "day") if name in table.column_names]
        table = table.sort_by([(name, "ascending") for name in keys])
        return {name: table.column(name).to_pylist() for name in table.column_names}

    def _encode_arrow(self, column: str, texts: pa.Array) -> pa.Array:
        encoded = texts if isinstance(texts, pa.DictionaryArray) else texts.dictionary_encode()
        dictionary = encoded.dictionary.to_pylist()
        # Arrow's dictionary may have texts that no row uses. Sorted, so that equal data make equal
        # pages.
        used = {dictionary[index] for index in encoded.indices.unique().to_pylist()}
        indexes = {text: self.index(column, text) for text in sorted(used)}
        mapping = [indexes.get(text, 0) for text in dictionary]
        return pa.array(mapping, pa.int64()).take(encoded.indices)

    def texts(self) -> dict[str, list[Any]]:
        """Return the lists of texts.

        UTM parameters are [source, medium, campaign], promos are [code, discount name].
        """
        texts = {column: list(indexes) for column, indexes in self._indexes.items()}
        return {
            "event_ids": texts["event"],
            "cities": texts["city"],
            "currencies": texts["currency"],
            "utm": [utm.split(UNIT_SEPARATOR) for utm in texts["utm"]],
            "promos": [promo.split(UNIT_SEPARATOR) for promo in texts["promo"]],
        }


def _about(read: ReadColumns, options: PageOptions) -> dict[str, Any]:
    row = {name: column[0] for name, column in read("about").items()}
    return {
        **row,
        # The mode of the run that loaded the sales; the current token may be another one.
        "mode": row["mode"] or options.mode,
        "generated_at": int(datetime.now(timezone.utc).timestamp()),
        "organiser": options.organiser,
        "time_zone": options.time_zone,
        # With a fixed moment, the age of the page and of the data says nothing.
        "now_is_fixed": bool(options.now),
    }


def _pace(read: ReadColumns, dictionaries: _Dictionaries) -> dict[str, Any]:
    """Return the shows on sale with their curves, and the mean curves of comparable past shows.

    A curve has the cumulative number of tickets for each day, from the first day with a sale
    (`from`, in days before the show) to the latest day.
    """
    shows = read("pace_shows")
    if not shows:
        return {"shows": {}, "typical": []}
    curves, first_days = [], []
    for curve in shows["curve"]:
        first = next((index for index, tickets in enumerate(curve) if tickets), len(curve) - 1)
        curves.append(list(curve[first:]))
        first_days.append(PACE_HORIZON - first)
    means = {
        (bool(of_event), key): [round(tickets, 1) for tickets in curve]
        for of_event, key, curve in zip(*read("pace_typical").values(), strict=True)
    }
    used: dict[tuple[bool, str], int] = {}
    typical = []
    for event, city, compared_with in zip(
        shows["event"], shows["city"], shows["compared_with"], strict=True
    ):
        key = (True, event) if compared_with == "event" else (False, city)
        is_known = compared_with != "none" and key in means
        typical.append(used.setdefault(key, len(used)) if is_known else None)
    encoded = dictionaries.encode({name: shows[name] for name in shows if name != "curve"})
    return {
        "shows": {**encoded, "curve": curves, "from": first_days, "typical": typical},
        "typical": [means[key] for key in used],
    }


def as_json(data: dict[str, Any]) -> bytes:
    """Return compact JSON."""
    return orjson.dumps(data)
