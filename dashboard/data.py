"""What the page shows, read from the marts: columns of integers and dictionaries of texts.

Money is in hundredths of its currency (kopecks), days are days since 1970-01-01 in the reporting
time zone, moments are seconds since 1970 in UTC. Integers, so that the page adds without an error.
"""

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import orjson
import pyarrow as pa
from clickhouse_connect.driver.client import Client

from pipelines.configuration.environment import Settings
from pipelines.errors import ConfigurationError
from pipelines.warehouse.server import Warehouse

DAYS_OF_HISTORY = 800
"""Two years and what they are compared with; older sales stay in the marts."""
SHOWS_WITH_PACE = 400
"""The next shows on sale; pace is looked at weeks before a show, not years."""
PACE_HORIZON = 180
"""As in `fact_qtickets_sales_pace`: day 180 holds all that was sold earlier."""

QUERIES = Path(__file__).resolve().parent / "sql"
FACTS = ("sales", "refunds", "sources", "promos_used", "plan", "attendance")

ARROW = {"output_format_arrow_low_cardinality_as_dictionary": 1}
UNIT_SEPARATOR = "\x1f"
"""Between the parts of a mark or a promo, as in `sources.sql`."""

Columns = Mapping[str, Sequence[Any]]
Read = Callable[[str], Columns]


def read_account(settings: Settings, warehouse: Warehouse) -> dict[str, Any]:
    """Everything that the page shows, as JSON takes it.

    Raises:
        ConfigurationError: The marts were never built.
        ClickHouseError: The server cannot be reached, or refuses to be read.
    """
    with warehouse.connect(warehouse.transformer) as client:
        _check_marts(client, warehouse)
        # REPORT_NOW moves the marts to another moment; the page goes with them.
        now = f"toDateTime('{settings.report_now}', 'UTC')" if settings.report_now else "now('UTC')"
        today = f"toDate(toTimeZone({now}, '{settings.report_tz}'))"

        moments = {"now": now, "today": today, "since": f"{today} - {DAYS_OF_HISTORY}"}
        settings_of_query = {"database": warehouse.marts_db}

        def query(name: str) -> str:
            sql = (QUERIES / f"{name}.sql").read_text(encoding="utf-8")
            return sql.format(**moments, shows_with_pace=SHOWS_WITH_PACE)

        def read(name: str) -> Columns:
            result = client.query(query(name), settings=settings_of_query, column_oriented=True)
            # No rows come without names, and the page takes a missing column for an empty one.
            return dict(zip(result.column_names, result.result_columns, strict=True))

        def read_fact(name: str) -> pa.Table:
            return client.query_arrow(query(name), settings=settings_of_query | ARROW)

        dictionaries = _Dictionaries()
        account: dict[str, Any] = {
            "about": _about(read, settings),
            "freshness": read("freshness"),
            "runs": read("runs"),
            "events": dictionaries.events(read("events")),
        }
        for name in FACTS:
            account[name] = dictionaries.coded_fact(read_fact(name))
        account["pace"] = _pace(read, dictionaries)
    return account | dictionaries.texts()


def _check_marts(client: Client, warehouse: Warehouse) -> None:
    found = client.query(
        "SELECT count() FROM system.tables WHERE database = {db:String}"
        " AND name IN ('fact_qtickets_sales_daily', 'v_qtickets_freshness', 'meta_job_runs')",
        parameters={"db": warehouse.marts_db},
    ).result_rows
    if found[0][0] < 3:
        raise ConfigurationError(
            f"There are no marts in database {warehouse.marts_db} yet, so there is nothing to show."
            " Run first: python pipelines/qtickets.py"
        )


class _Dictionaries:
    """Texts that repeat in every row, each once: rows have their numbers instead."""

    _NAMES = ("event", "city", "currency", "mark", "promo")

    def __init__(self) -> None:
        self._numbers: dict[str, dict[str, int]] = {name: {} for name in self._NAMES}

    def number(self, name: str, text: str) -> int:
        numbers = self._numbers[name]
        return numbers.setdefault(text, len(numbers))

    def coded(self, columns: Columns) -> Columns:
        """The columns, with numbers where there is a dictionary."""
        return {
            name: [self.number(name, text) for text in column]
            if name in self._numbers
            else list(column)
            for name, column in columns.items()
        }

    def coded_fact(self, table: pa.Table) -> Columns:
        """A fact's columns as integers, in the order that packs best: by its texts, then by day.

        Hundreds of thousands of rows: Arrow does what `coded` does.
        """
        if not table.num_rows:
            return {}
        table = table.unify_dictionaries().combine_chunks()
        for place, name in enumerate(table.column_names):
            if name in self._numbers:
                codes = self._codes(name, table.column(name).chunk(0))
                table = table.set_column(place, name, codes)
        keys = [name for name in (*self._NAMES, "day") if name in table.column_names]
        table = table.sort_by([(name, "ascending") for name in keys])
        return {name: table.column(name).to_pylist() for name in table.column_names}

    def _codes(self, name: str, texts: pa.Array) -> pa.Array:
        coded = texts if isinstance(texts, pa.DictionaryArray) else texts.dictionary_encode()
        known = coded.dictionary.to_pylist()
        # Some texts of a dictionary may be in no row. In order: equal data make equal pages.
        used = {known[index] for index in coded.indices.unique().to_pylist()}
        new = {text: self.number(name, text) for text in sorted(used)}
        numbers = [new.get(text, 0) for text in known]
        return pa.array(numbers, pa.int64()).take(coded.indices)

    def events(self, columns: Columns) -> Columns:
        """Events in the order of their numbers."""
        return {key: value for key, value in self.coded(columns).items() if key != "event"}

    def texts(self) -> dict[str, list[Any]]:
        """The dictionaries. A mark is [source, medium, campaign], a promo [code, discount]."""
        found = {name: list(numbers) for name, numbers in self._numbers.items()}
        return {
            "event_ids": found["event"],
            "cities": found["city"],
            "currencies": found["currency"],
            "marks": [mark.split(UNIT_SEPARATOR) for mark in found["mark"]],
            "promos": [promo.split(UNIT_SEPARATOR) for promo in found["promo"]],
        }


def _about(read: Read, settings: Settings) -> dict[str, Any]:
    row = {name: column[0] for name, column in read("about").items()}
    return {
        **row,
        # Whose sales these are, whatever token is set now.
        "mode": row["mode"] or settings.mode,
        "made_at": int(datetime.now(timezone.utc).timestamp()),
        "organiser": settings.org_name,
        "time_zone": settings.report_tz,
        # As of another moment, the page is no older than it was made.
        "clock_is_real": not settings.report_now,
    }


def _pace(read: Read, dictionaries: _Dictionaries) -> dict[str, Any]:
    """Shows on sale with their curves, and the mean curves of the past shows they are held against.

    A curve is tickets sold so far, from its first day with a sale (`from`, days before the show)
    down to the last one, a number a day.
    """
    shows = read("pace_shows")
    if not shows:
        return {"shows": {}, "usual": []}
    curves, first_days = [], []
    for curve in shows["curve"]:
        first = next((index for index, tickets in enumerate(curve) if tickets), len(curve) - 1)
        curves.append(list(curve[first:]))
        first_days.append(PACE_HORIZON - first)
    means = {
        (bool(of_event), key): [round(tickets, 1) for tickets in curve]
        for of_event, key, curve in zip(*read("pace_usual").values(), strict=True)
    }
    wanted: dict[tuple[bool, str], int] = {}
    compared = []
    for event, city, kind in zip(
        shows["event"], shows["city"], shows["compared_with"], strict=True
    ):
        key = (True, event) if kind == "event" else (False, city)
        known = kind != "none" and key in means
        compared.append(wanted.setdefault(key, len(wanted)) if known else None)
    coded = dictionaries.coded({name: shows[name] for name in shows if name != "curve"})
    return {
        "shows": {**coded, "curve": curves, "from": first_days, "usual": compared},
        "usual": [means[key] for key in wanted],
    }


def as_json(account: dict[str, Any]) -> bytes:
    """Compact JSON."""
    return orjson.dumps(account)
