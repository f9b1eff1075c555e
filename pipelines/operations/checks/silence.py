"""Check of sales: have those of a show, or of the whole account, stopped where many were expected?

The marts hold, for the last sale of each show, the time at which a silence becomes unusual. They
are not rebuilt while nothing is sold, so that time is compared with the last reading here.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timezone

from clickhouse_connect.driver.client import Client

from pipelines.operations.checks.health import Check
from pipelines.operations.checks.runs import JobRun
from pipelines.operations.checks.times import ago, iso
from pipelines.warehouse.server import Warehouse

TABLE = "int_qtickets_sales_gaps"
TABLES = (TABLE, "fact_qtickets_tickets", "dim_shows")
ACCOUNT = 0
"""The `show_id` of the whole account."""


@dataclass(frozen=True)
class Silence:
    """The time since the last sale of a show, or of the account.

    Attributes:
        show_id: `ACCOUNT` for the whole account.
        name: Name and start of the show.
        since: Its last sale, UTC.
        is_unusual: Whether it has lasted longer than usual.
        missed: Sales that were to be expected until then.
    """

    show_id: int
    name: str
    since: datetime
    is_unusual: bool
    missed: float


def read_silences(warehouse: Warehouse, client: Client, read_at: datetime) -> list[Silence]:
    """Return the silences of the account and of the shows that are watched and on sale.

    Args:
        warehouse: Where the marts are.
        client: Reads them.
        read_at: Start of the last run that read all sales, UTC.
    """
    db = warehouse.marts_db
    rows = client.query(
        "SELECT gaps.show_id, shows.event_name, shows.start_local, toTimeZone(gaps.sale_ts, 'UTC'),"  # noqa: S608
        # A sale that is loaded, but not in the table yet, ends the silence.
        " gaps.alarm_ts <= {read_at:DateTime('UTC')} AND newest.sale_ts < gaps.sale_ts + 600,"
        " gaps.alarm_missed"
        f" FROM `{db}`.`{TABLE}` AS gaps"
        f" LEFT JOIN `{db}`.dim_shows AS shows ON gaps.show_id = shows.show_id"
        " LEFT JOIN (SELECT arrayJoin([show_id, 0]) AS show_id, max(sale_ts) AS sale_ts"
        f" FROM `{db}`.fact_qtickets_tickets WHERE NOT is_box_office AND NOT is_free"
        " AND sales_date >= toDate({read_at:DateTime('UTC')}) - 90"
        " GROUP BY show_id) AS newest ON gaps.show_id = newest.show_id"
        " WHERE gaps.next_sale_ts IS NULL AND gaps.sale_end_ts > {read_at:DateTime('UTC')}"
        " ORDER BY gaps.show_id",
        parameters={"read_at": read_at},
    ).result_rows
    return [
        Silence(
            int(show_id),
            f"{name}, {start}",
            since.replace(tzinfo=timezone.utc),
            bool(is_unusual),
            float(missed),
        )
        for show_id, name, start, since, is_unusual, missed in rows
    ]


def check_silence(silences: list[Silence], read_at: datetime | None) -> Iterator[Check]:
    """Yield whether sales are watched, and an error for each silence that is unusual.

    If the whole account is silent, its shows are not listed: the cause is the same.

    Args:
        silences: As of `read_silences`; none if they are not watched.
        read_at: As of `last_reading`.
    """
    if not silences or read_at is None:
        yield Check(
            "silence",
            "ok",
            "Not watched: no show on sale has had enough sales in at least two weeks.",
            {"watched_shows": 0},
        )
        return
    unusual = [silence for silence in silences if silence.is_unusual]
    shows = sum(silence.show_id != ACCOUNT for silence in silences)
    values = {"watched_shows": shows, "read_at": iso(read_at)}
    if not unusual:
        yield Check("silence", "ok", f"Sales of {shows} watched shows come as usual.", values)
        return
    if unusual[0].show_id == ACCOUNT:
        yield _finding("silence", "The account", unusual[0], read_at)
        return
    yield Check(
        "silence", "ok", f"{len(unusual)} of {shows} watched shows are silent, see below.", values
    )
    for silence in unusual:
        yield _finding(f"silence show {silence.show_id}", silence.name, silence, read_at)


def _finding(name: str, what: str, silence: Silence, read_at: datetime) -> Check:
    message = (
        f"{what}: no sale since {iso(silence.since)} ({ago(silence.since, read_at)} at the last"
        f" reading), although more than {silence.missed:.0f} were to be expected. Try to buy a"
        " ticket on the site; the runbook says what to look at."
    )
    values = {
        "show_id": silence.show_id or None,
        "since": iso(silence.since),
        "read_at": iso(read_at),
        "sales_expected": round(silence.missed, 1),
    }
    return Check(name, "error", message, values)


def last_reading(runs: list[JobRun]) -> datetime | None:
    """Return the start of the last run that read all orders: later sales may be unknown."""
    return next((run.started_at for run in runs if run.has_read("orders")), None)
