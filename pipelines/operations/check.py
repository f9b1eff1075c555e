"""`check`: whether what the dashboard shows can be trusted now, for a person, a timer, a probe.

It reads, and writes nothing. Neither dlt nor dbt is imported, so that a probe costs a second.
"""

import json
import shutil
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any, Literal

from clickhouse_connect.driver.client import Client

from pipelines.configuration.environment import DATASETS, Settings
from pipelines.errors import ClickHouseError, RunError
from pipelines.warehouse.server import Warehouse, open_warehouse

Status = Literal["ok", "warning", "error"]

SERVICE_SECONDS = 10
QUERY_SECONDS = 60
_RUNS_LOOKED_AT = 300
_GIB = 2**30


@dataclass(frozen=True)
class Check:
    """One thing that was looked at. `values` are the same facts for a machine, JSON's types."""

    name: str
    status: Status
    message: str
    values: dict[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Health:
    """All of them, in the order in which an operator asks."""

    checked_at: datetime
    mode: str
    checks: list[Check]

    @property
    def status(self) -> Status:
        """The worst of all."""
        found = {check.status for check in self.checks}
        return "error" if "error" in found else "warning" if "warning" in found else "ok"

    def as_json(self) -> dict[str, Any]:
        return {
            "status": self.status,
            "checked_at": self.checked_at.isoformat(timespec="seconds"),
            "mode": self.mode,
            "checks": [
                {
                    "name": check.name,
                    "status": check.status,
                    "message": check.message,
                    **check.values,
                }
                for check in self.checks
            ],
        }


@dataclass(frozen=True)
class Run:
    """A row of `meta_job_runs`, its times in UTC."""

    started_at: datetime
    finished_at: datetime
    status: str
    rows: int
    message: str
    metrics: dict[str, Any]

    def read(self, dataset: str) -> bool:
        """Whether it read what is new of a dataset, wholly."""
        asked: list[str] | None = self.metrics.get("datasets")
        refused = self.metrics.get("skipped_datasets") or ()
        return (
            self.status == "ok" and (asked is None or dataset in asked) and dataset not in refused
        )


def check(settings: Settings) -> Health:
    """Looks at everything; what cannot be looked at is an error of its own, never an exception."""
    now = datetime.now(timezone.utc)
    checks = [_service(settings)]
    if not settings.clickhouse_host and not (settings.qtickets_home / "clickhouse").exists():
        # Starting a server to learn that there is nothing would write its files.
        checks.append(
            Check("clickhouse", "error", "Nothing was loaded yet: no run has been made here.")
        )
    else:
        try:
            with open_warehouse(settings) as warehouse:
                checks.extend(_in_clickhouse(settings, warehouse, now))
        except RunError as error:
            checks.append(Check("clickhouse", "error", str(error)))
    checks.append(_folder_disk(settings))
    return Health(now, settings.mode, checks)


def _service(settings: Settings) -> Check:
    """One small GET, the shape of which every run sends: orders with the impossible id 0."""
    if settings.mode != "live":
        kind = {"demo": "Demo", "offline": "Offline"}[settings.mode]
        return Check("service", "ok", f"{kind}: the live service is not called.")
    # A quarter of a second, which only a live check needs.
    import requests

    assert settings.qtickets_token is not None
    url = f"{settings.qtickets_base_url}/orders"
    started = time.monotonic()
    try:
        answer = requests.get(
            url,
            headers={
                "Accept": "application/json",
                "Authorization": f"Bearer {settings.qtickets_token.get_secret_value()}",
            },
            json={"where": [{"column": "id", "operator": "=", "value": 0}], "page": 1},
            timeout=min(SERVICE_SECONDS, settings.qtickets_timeout_seconds),
            allow_redirects=False,
        )
    except requests.Timeout:
        return Check("service", "error", f"{url}: no answer within {SERVICE_SECONDS} s.")
    except (requests.RequestException, UnicodeError) as error:
        return Check(
            "service",
            "error",
            f"{url} cannot be reached ({type(error).__name__}). Check QTICKETS_BASE_URL and the"
            " network.",
        )
    values = {
        "http_status": answer.status_code,
        "milliseconds": round((time.monotonic() - started) * 1000),
    }
    if answer.status_code in (401, 403):
        return Check(
            "service",
            "error",
            f"{url} refused the token (HTTP {answer.status_code}). Check QTICKETS_TOKEN.",
            values,
        )
    try:
        is_list = answer.status_code == 200 and isinstance(answer.json().get("data"), list)
    except (ValueError, AttributeError):
        is_list = False
    if not is_list:
        return Check(
            "service",
            "error",
            f"{url} answered HTTP {answer.status_code} without a list of orders.",
            values,
        )
    return Check("service", "ok", f"{url} answers in {values['milliseconds']} ms.", values)


def _in_clickhouse(settings: Settings, warehouse: Warehouse, now: datetime) -> Iterator[Check]:
    with warehouse.connect(warehouse.transformer) as client:
        started = time.monotonic()
        version = str(client.command("SELECT version()"))
        took = round((time.monotonic() - started) * 1000)
        where = f"{warehouse.host}:{warehouse.port}"
        yield Check(
            "clickhouse",
            "ok",
            f"ClickHouse {version} at {where} answers in {took} ms.",
            {"version": version, "milliseconds": took},
        )

        def guarded(name: str, look: Callable[[], list[Check]]) -> list[Check]:
            """One thing that cannot be read, say for want of a grant, leaves the others."""
            try:
                with warehouse.explained(warehouse.transformer):
                    return look()
            except ClickHouseError as error:
                return [Check(name, "error", str(error))]

        yield from guarded("server_disk", lambda: _server_disks(settings, client))
        yield from guarded("data", lambda: _data(settings, warehouse, client, now))


def _data(settings: Settings, warehouse: Warehouse, client: Client, now: datetime) -> list[Check]:
    there = {
        (str(database), str(table))
        for database, table in client.query(
            "SELECT database, name FROM system.tables WHERE database IN {databases:Array(String)}",
            parameters={"databases": [warehouse.raw_db, warehouse.marts_db]},
        ).result_rows
    }
    if not {(warehouse.marts_db, name) for name in ("meta_job_runs", "meta_job_starts")} <= there:
        return [Check("last_run", "error", "No run was ever recorded in this ClickHouse.")]
    filled_by = warehouse.filled_by()
    if filled_by and filled_by != settings.mode:
        return [
            Check(
                "data",
                "error",
                f"The databases hold {filled_by} data, and the configuration is for"
                f" {settings.mode} data: is QTICKETS_TOKEN as it should be?",
                {"holds": filled_by},
            )
        ]
    facts = ("fact_qtickets_sales_daily", "fact_qtickets_sales_utm_daily")
    needed = {(warehouse.marts_db, name) for name in facts}
    needed |= {(warehouse.raw_db, name) for name in ("orders", "tickets")}
    # Before the runs are read: a run that begins meanwhile is then seen as under way.
    difference = _difference(warehouse, client, facts) if needed <= there else None
    runs = _runs(settings, warehouse, client)
    unfinished = _unfinished(settings, warehouse, client)
    return [
        _last_run(runs, unfinished, now),
        *_datasets(settings, runs, now),
        _quality(runs),
        _marts(difference, unfinished, now),
    ]


def _runs(settings: Settings, warehouse: Warehouse, client: Client) -> list[Run]:
    """The latest runs, newest first."""
    rows = client.query(
        "SELECT started_at, finished_at, status, rows_processed, message, metrics"  # noqa: S608
        f" FROM `{warehouse.marts_db}`.meta_job_runs"
        " WHERE job = {job:String} ORDER BY started_at DESC LIMIT {limit:UInt32}",
        parameters={"job": settings.job_name, "limit": _RUNS_LOOKED_AT},
        query_tz="UTC",
    ).result_rows
    return [
        Run(_utc(started), _utc(finished), status, int(count), message, json.loads(metrics or "{}"))
        for started, finished, status, count, message, metrics in rows
    ]


def _unfinished(settings: Settings, warehouse: Warehouse, client: Client) -> datetime | None:
    """When the run began that has not ended: it is under way, or was killed."""
    db = warehouse.marts_db
    rows = client.query(
        f"SELECT started_at FROM `{db}`.meta_job_starts WHERE job = {{job:String}}"  # noqa: S608
        f" AND run_id NOT IN (SELECT run_id FROM `{db}`.meta_job_runs)"
        " ORDER BY started_at DESC LIMIT 1",
        parameters={"job": settings.job_name},
        query_tz="UTC",
    ).result_rows
    return _utc(rows[0][0]) if rows else None


def _last_run(runs: list[Run], unfinished: datetime | None, now: datetime) -> Check:
    now_running = ""
    values: dict[str, Any] = {}
    if unfinished:
        values["unfinished_since"] = _iso(unfinished)
        now_running = f" One that began {_ago(unfinished, now)} has not ended."
    if not runs:
        return Check("last_run", "error", f"No run has ended yet.{now_running}", values)
    last = runs[0]
    values |= {
        "started_at": _iso(last.started_at),
        "finished_at": _iso(last.finished_at),
        "run_status": last.status,
        "rows": last.rows,
    }
    failed = next((run for run in runs if run.status != "ok"), None)
    if failed:
        values["last_error"] = {"at": _iso(failed.finished_at), "message": failed.message}
    if last.status != "ok":
        return Check(
            "last_run",
            "error",
            f"Failed {_ago(last.finished_at, now)}: {last.message}{now_running}",
            values,
        )
    seconds = (last.finished_at - last.started_at).total_seconds()
    before = f" Last error {_ago(failed.finished_at, now)}: {failed.message}" if failed else ""
    return Check(
        "last_run",
        "ok",
        f"Done {_ago(last.finished_at, now)}, {last.rows:,} rows in {seconds:.0f} s."
        f"{now_running}{before}",
        values,
    )


def _datasets(settings: Settings, runs: list[Run], now: datetime) -> Iterator[Check]:
    """The age of each: since when nothing of it can be missing, which is a run's beginning."""
    late, stale = settings.qtickets_late_hours, settings.qtickets_stale_hours
    for dataset in DATASETS:
        if dataset in settings.skipped:
            continue
        read_at = next((run.started_at for run in runs if run.read(dataset)), None)
        values = {
            "dataset": dataset,
            "read_at": read_at and _iso(read_at),
            "age_hours": read_at and round((now - read_at).total_seconds() / 3600, 2),
            "late_hours": late,
            "stale_hours": stale,
        }
        name = f"freshness {dataset}"
        if read_at is None:
            yield Check(name, "error", "Not read by any of the latest runs.", values)
            continue
        hours = (now - read_at).total_seconds() / 3600
        status: Status = "error" if hours > stale else "warning" if hours > late else "ok"
        word = {"error": "Stale", "warning": "Late", "ok": "Fresh"}[status]
        limits = f"late after {late:g} h, stale after {stale:g} h"
        yield Check(name, status, f"{word}: read {_ago(read_at, now)} ({limits}).", values)


def _quality(runs: list[Run]) -> Check:
    """What the last good run found odd, and what of it needs a person."""
    last = next((run.metrics for run in runs if run.status == "ok"), {})
    found = {
        "test_warnings": last.get("test_warnings") or [],
        "skipped_datasets": last.get("skipped_datasets") or {},
        "ignored_filters": last.get("ignored_filters") or [],
        "withheld_fields": last.get("withheld_fields") or [],
        "missing_fields": last.get("missing_fields") or [],
    }
    odd = [f"{name.replace('_', ' ')}: {_listed(what)}" for name, what in found.items() if what]
    if odd:
        return Check("quality", "warning", "; ".join(odd), found)
    return Check("quality", "ok", "The last good run found nothing odd.", found)


def _listed(found: dict[str, str] | list[str]) -> str:
    items = [str(item) for item in found]
    return ", ".join(items[:3]) + (f" and {len(items) - 3} more" if len(items) > 3 else "")


Sums = tuple[int, Decimal, Decimal]
"""Sold tickets, revenue, gross revenue."""


def _difference(
    warehouse: Warehouse, client: Client, facts: tuple[str, ...]
) -> dict[str, dict[str, Sums]]:
    """By table and currency: the sums of facts that are not those of raw, and raw's; or nothing."""
    sold = (
        "tickets.refunded_at IS NULL AND tickets.deleted_at IS NULL AND orders.deleted_at IS NULL"
    )
    raw_db = warehouse.raw_db
    raw = _sums(
        client,
        f"SELECT orders.currency_id, sumIf(quantity, {sold}), sumIf(price * quantity, {sold}),"  # noqa: S608
        f" sum(price * quantity) FROM `{raw_db}`.tickets AS tickets FINAL INNER JOIN ("
        f"SELECT id, _fetched_at, currency_id, deleted_at FROM `{raw_db}`.orders FINAL WHERE payed"
        ") AS orders ON tickets.order_id = orders.id AND tickets._fetched_at = orders._fetched_at"
        " GROUP BY orders.currency_id",
    )
    found = {
        fact: _sums(
            client,
            "SELECT currency, sum(tickets_sold), sum(revenue), sum(gross_revenue)"  # noqa: S608
            f" FROM `{warehouse.marts_db}`.`{fact}` GROUP BY currency",
        )
        for fact in facts
    }
    different = {fact: sums for fact, sums in found.items() if sums != raw}
    return {"raw": raw, **different} if different else {}


def _sums(client: Client, sql: str) -> dict[str, Sums]:
    rows = client.query(sql, settings={"max_execution_time": QUERY_SECONDS}).result_rows
    return {
        str(currency): (int(sold), Decimal(revenue), Decimal(gross))
        for currency, sold, revenue, gross in rows
    }


def _marts(
    difference: dict[str, dict[str, Sums]] | None, unfinished: datetime | None, now: datetime
) -> Check:
    if difference is None:
        return Check("marts", "error", "The marts were not built yet.")
    if not difference:
        return Check("marts", "ok", "Tickets and revenue of the facts are those of the raw tables.")
    values = {
        "sums": {
            table: {
                currency: {"tickets_sold": sold, "revenue": str(net), "gross_revenue": str(gross)}
                for currency, (sold, net, gross) in sums.items()
            }
            for table, sums in difference.items()
        }
    }
    if unfinished:
        return Check(
            "marts",
            "ok",
            f"Not compared with raw: a run began {_ago(unfinished, now)} and has not ended.",
            values,
        )
    said = "; ".join(
        f"{table}: "
        + (", ".join(f"{sold:,} tickets, {net:,} {code}" for code, (sold, net, _) in sums.items()))
        for table, sums in difference.items()
    )
    return Check(
        "marts",
        "error",
        f"Facts and raw tables differ ({said}). The next `run` without --skip-marts rebuilds them.",
        values,
    )


def _folder_disk(settings: Settings) -> Check:
    """The disk of QTICKETS_HOME: with the embedded ClickHouse that of the data as well."""
    folder = settings.qtickets_home
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    return _disk("home_disk", folder, usage.free, usage.total, settings)


def _server_disks(settings: Settings, client: Client) -> list[Check]:
    """The server's own disks; the embedded one's is that of QTICKETS_HOME."""
    if not settings.clickhouse_host:
        return []
    rows = client.query("SELECT path, free_space, total_space FROM system.disks").result_rows
    return [
        _disk("server_disk", Path(path), int(free), int(total), settings)
        # Object storage has no end, and says so with the largest number.
        for path, free, total in rows
        if 0 < total < 2**63
    ]


def _disk(name: str, path: Path, free: int, total: int, settings: Settings) -> Check:
    least = settings.qtickets_min_free_gb
    status: Status = "ok"
    if free < least * _GIB:
        status = "error"
    elif free < 2 * least * _GIB:
        status = "warning"
    values = {"path": str(path), "free_bytes": free, "total_bytes": total, "min_free_gb": least}
    message = f"{free / _GIB:,.1f} of {total / _GIB:,.1f} GiB free at {path}"
    return Check(name, status, f"{message} (at least {least:g}).", values)


def _utc(moment: datetime) -> datetime:
    return moment.replace(tzinfo=timezone.utc)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")


def _ago(moment: datetime, now: datetime) -> str:
    minutes = max(0, round((now - moment).total_seconds() / 60))
    if minutes < 120:
        return f"{minutes} min ago"
    return f"{minutes / 60:.0f} h ago" if minutes < 2880 else f"{minutes / 1440:.0f} days ago"
