"""What the page shows, read from the marts: columns of integers and dictionaries of texts.

Money is in hundredths of its currency (kopecks), days are days since 1970-01-01 in the reporting
time zone, moments are seconds since 1970 in UTC. Integers, so that the page adds without an error.
"""

import json
from collections.abc import Callable, Hashable, Iterable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

from clickhouse_connect.driver.client import Client

from pipelines.errors import ConfigurationError
from pipelines.settings import Settings
from pipelines.warehouse import Warehouse

DAYS_OF_HISTORY = 800
"""Two years and what they are compared with; older sales stay in the marts."""
SHOWS_WITH_PACE = 400
"""The next shows on sale; pace is looked at weeks before a show, not years."""
PACE_HORIZON = 180
"""As in `fact_qtickets_sales_pace`: day 180 holds all that was sold earlier."""

QUERIES = Path(__file__).resolve().parent / "sql"
FACTS = ("sales", "refunds", "sources", "promos_used", "plan", "attendance")

Columns = dict[str, Sequence[Any]]
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

        def read(name: str) -> Columns:
            sql = (QUERIES / f"{name}.sql").read_text(encoding="utf-8")
            result = client.query(
                sql.format(
                    now=now,
                    today=today,
                    since=f"{today} - {DAYS_OF_HISTORY}",
                    shows_with_pace=SHOWS_WITH_PACE,
                ),
                settings={"database": warehouse.marts_db},
                column_oriented=True,
            )
            # No rows come without names, and the page takes a missing column for an empty one.
            return dict(zip(result.column_names, result.result_columns, strict=True))

        dictionaries = _Dictionaries()
        account: dict[str, Any] = {
            "about": _about(read, settings),
            "freshness": read("freshness"),
            "runs": read("runs"),
            "events": dictionaries.events(read("events")),
        }
        for name in FACTS:
            account[name] = dictionaries.coded(read(name))
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
        self._numbers: dict[str, dict[Hashable, int]] = {name: {} for name in self._NAMES}

    def number(self, name: str, text: Hashable) -> int:
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

    def events(self, columns: Columns) -> Columns:
        """Events in the order of their numbers."""
        return {key: value for key, value in self.coded(columns).items() if key != "event"}

    def texts(self) -> dict[str, list[Hashable]]:
        """The dictionaries. A mark is (source, medium, campaign), a promo (code, discount)."""
        plural = {"event": "event_ids", "city": "cities", "currency": "currencies"}
        return {
            plural.get(name, f"{name}s"): list(numbers) for name, numbers in self._numbers.items()
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
    return json.dumps(account, ensure_ascii=False, separators=(",", ":"), default=_plain).encode()


def _plain(value: Any) -> Any:
    if isinstance(value, Iterable):
        return list(value)
    raise TypeError(f"{type(value).__name__} in the data of the page")
