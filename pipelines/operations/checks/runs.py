"""Checks of the job log: the last run, the age of each dataset, unusual findings of runs."""

import json
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import takewhile
from typing import Any

from clickhouse_connect.driver.client import Client

from pipelines.configuration.environment import DATASETS, Settings
from pipelines.operations.checks.health import Check, Status
from pipelines.operations.checks.times import ago, iso
from pipelines.warehouse.job_log import live_job
from pipelines.warehouse.server import Warehouse

_LATEST_RUNS = 300
_SHOWN_FINDINGS = 3
_UNNOTICED_ORDERS = 5
CLOCKS_AGREE_WITHIN = timedelta(minutes=5)


@dataclass(frozen=True)
class JobRun:
    """A row of `meta_job_runs`, its times in UTC."""

    started_at: datetime
    finished_at: datetime
    status: str
    rows: int
    message: str
    metrics: dict[str, Any]

    def has_read(self, dataset: str) -> bool:
        """Return whether the run read all new rows of a dataset."""
        datasets: list[str] | None = self.metrics.get("datasets")
        skipped = self.metrics.get("skipped_datasets") or ()
        is_included = datasets is None or dataset in datasets
        return self.status == "ok" and is_included and dataset not in skipped


@dataclass(frozen=True)
class JobLog:
    """The latest runs of a job.

    Attributes:
        runs: The latest runs that have ended, newest first.
        unfinished_since: Start of a run that has not ended: it is in progress, or was killed.
        live_since: The same of a reading of `serve` between two runs.
    """

    runs: list[JobRun]
    unfinished_since: datetime | None
    live_since: datetime | None = None


def read_job_log(settings: Settings, warehouse: Warehouse, client: Client) -> JobLog:
    """Read the latest runs of the configured job."""
    db = warehouse.marts_db
    runs = client.query(
        "SELECT started_at, finished_at, status, rows_processed, message, metrics"  # noqa: S608
        f" FROM `{db}`.meta_job_runs"
        " WHERE job = {job:String} ORDER BY started_at DESC LIMIT {limit:UInt32}",
        parameters={"job": settings.job_name, "limit": _LATEST_RUNS},
        query_tz="UTC",
    ).result_rows
    unfinished = client.query(
        f"SELECT job, max(started_at) FROM `{db}`.meta_job_starts"  # noqa: S608
        f" WHERE job IN {{jobs:Array(String)}}"
        f" AND run_id NOT IN (SELECT run_id FROM `{db}`.meta_job_runs) GROUP BY job",
        parameters={"jobs": [settings.job_name, live_job(settings.job_name)]},
        query_tz="UTC",
    ).result_rows
    since = {str(job): _utc(started_at) for job, started_at in unfinished}
    return JobLog(
        [
            JobRun(
                _utc(started),
                _utc(finished),
                status,
                int(rows),
                message,
                json.loads(metrics or "{}"),
            )
            for started, finished, status, rows, message, metrics in runs
        ],
        since.get(settings.job_name),
        since.get(live_job(settings.job_name)),
    )


def without_future_runs(log: JobLog, now: datetime) -> tuple[JobLog, list[Check]]:
    """Return the log without runs that are recorded in the future, and an error if there are any.

    One run on a machine whose clock is days ahead would make all data look fresh for days.
    """
    latest = now + CLOCKS_AGREE_WITHIN
    future = [run for run in log.runs if run.started_at > latest]
    unfinished = log.unfinished_since
    if not future and not (unfinished and unfinished > latest):
        return log, []
    newest = max([run.started_at for run in future] + ([unfinished] if unfinished else []))
    message = (
        f"Runs are recorded in the future, the last one at {iso(newest)}: the clock of the machine"
        " that made them was ahead, or that of this machine is behind. They are left out of the"
        " other checks. Correct the clock; the runbook says how to delete the records."
    )
    past = JobLog(
        [run for run in log.runs if run.started_at <= latest],
        None if unfinished and unfinished > latest else unfinished,
        log.live_since,
    )
    return past, [Check("clock", "error", message, {"newest": iso(newest)})]


def check_last_run(log: JobLog, now: datetime) -> Check:
    """Return an error if no run has ended, or the last one failed."""
    values: dict[str, Any] = {}
    unfinished = ""
    if log.unfinished_since:
        values["unfinished_since"] = iso(log.unfinished_since)
        unfinished = f" A run that started {ago(log.unfinished_since, now)} has not ended."
    if not log.runs:
        return Check("last_run", "error", f"No run has ended yet.{unfinished}", values)
    last = log.runs[0]
    values |= {
        "started_at": iso(last.started_at),
        "finished_at": iso(last.finished_at),
        "run_status": last.status,
        "rows": last.rows,
    }
    failed = next((run for run in log.runs if run.status != "ok"), None)
    if failed:
        values["last_error"] = {"at": iso(failed.finished_at), "message": failed.message}
    if last.status != "ok":
        return Check(
            "last_run",
            "error",
            f"Failed {ago(last.finished_at, now)}: {last.message}{unfinished}",
            values,
        )
    seconds = (last.finished_at - last.started_at).total_seconds()
    last_error = f" Last error {ago(failed.finished_at, now)}: {failed.message}" if failed else ""
    return Check(
        "last_run",
        "ok",
        f"Done {ago(last.finished_at, now)}, {last.rows:,} rows in {seconds:.0f} s."
        f"{unfinished}{last_error}",
        values,
    )


def check_freshness(settings: Settings, runs: list[JobRun], now: datetime) -> Iterator[Check]:
    """Yield the age of each dataset: the time since the start of the last run that read it.

    From that start on rows may be missing.
    """
    late, stale = settings.qtickets_late_hours, settings.qtickets_stale_hours
    for dataset in DATASETS:
        if dataset in settings.skipped:
            continue
        read_at = next((run.started_at for run in runs if run.has_read(dataset)), None)
        hours = (now - read_at).total_seconds() / 3600 if read_at else None
        values = {
            "dataset": dataset,
            "read_at": read_at and iso(read_at),
            "age_hours": None if hours is None else round(hours, 2),
            "late_hours": late,
            "stale_hours": stale,
        }
        name = f"freshness {dataset}"
        if read_at is None or hours is None:
            yield Check(name, "error", "Not read by any of the latest runs.", values)
            continue
        status: Status = "error" if hours > stale else "warning" if hours > late else "ok"
        word = {"error": "Stale", "warning": "Late", "ok": "Fresh"}[status]
        limits = f"late after {late:g} h, stale after {stale:g} h"
        yield Check(name, status, f"{word}: read {ago(read_at, now)} ({limits}).", values)


def check_quality(runs: list[JobRun]) -> Check:
    """Return a warning if the last successful run found something that a person should look at."""
    metrics = next((run.metrics for run in runs if run.status == "ok"), {})
    found = {
        "test_warnings": metrics.get("test_warnings") or [],
        "skipped_datasets": metrics.get("skipped_datasets") or {},
        "ignored_filters": metrics.get("ignored_filters") or [],
        "withheld_fields": metrics.get("withheld_fields") or [],
        "missing_fields": metrics.get("missing_fields") or [],
        "doubtful_seats": metrics.get("doubtful_seats") or [],
        "lost_events": metrics.get("lost_events") or [],
        "bad_rows": metrics.get("bad_rows") or {},
        "unreadable_fields": metrics.get("unreadable_fields") or [],
    }
    unusual = [
        f"{name.replace('_', ' ')}: {_first(items)}" for name, items in found.items() if items
    ]
    if unusual:
        return Check("quality", "warning", "; ".join(unusual), found)
    return Check("quality", "ok", "The last successful run found nothing unusual.", found)


def check_reconciliation(runs: list[JobRun]) -> Check:
    """Return a warning if the last comparison with the service found what is not mended yet."""
    last = next((run for run in runs if run.metrics.get("reconciliation")), None)
    found: dict[str, Any] = last.metrics["reconciliation"] if last else {}
    values = {name: found.get(name) for name in ("missing", "changed", "not_found", "vanished")}
    if not last:
        return Check("reconciliation", "ok", "Not compared with QTickets yet.", values)
    values["compared_at"] = iso(last.finished_at)
    differing = [month["month"] for month in found["months"] if month["differs"]]
    if found["problem"]:
        message = f"The last comparison with QTickets was not made: {found['problem']}"
        return Check("reconciliation", "warning", message, values)
    if differing and not found["is_repaired"]:
        months = ", ".join(differing[:3])
        message = f"Paid orders differ from those of QTickets in {months}. Run reconcile."
        return Check("reconciliation", "warning", message, values)
    if found["not_found"] or found["vanished"]:
        message = (
            f"{len(found['not_found'])} orders are no longer listed by QTickets and still count,"
            f" {len(found['vanished'])} have left revenue for that."
        )
        return Check("reconciliation", "warning", message, values)
    message = f"{len(found['months'])} months equalled those of QTickets, or were mended."
    return Check("reconciliation", "ok", message, values)


def check_webhooks(runs: list[JobRun], now: datetime) -> Check:
    """Return a warning if orders changed for long, and no webhook named any of them."""
    counts = [run.metrics["webhooks"] for run in runs if run.metrics.get("webhooks")]
    if not counts:
        return Check("webhooks", "ok", "No webhooks are received: runs alone find every sale.")
    last = counts[0]
    values = {name: last[name] for name in ("changed", "missed", "last_at")}
    missed = f"Missed by webhooks: {last['missed']} of {last['changed']} orders of the last run."
    silent = list(takewhile(lambda count: count["missed"] == count["changed"], counts))
    unnoticed = sum(count["changed"] for count in silent)
    if unnoticed >= _UNNOTICED_ORDERS:
        since = (
            f"The last webhook came {ago(datetime.fromisoformat(last['last_at']), now)}"
            if last["last_at"]
            else "No webhook has come in the last days"
        )
        message = (
            f"{since}, and {unnoticed} orders changed that no webhook named. Sales are only as"
            " fresh as the last run. Check the webhook in the cabinet, its secret and the way to"
            " this machine: docs/live.md."
        )
        return Check("webhooks", "warning", message, values)
    return Check("webhooks", "ok", missed, values)


def check_left_out(runs: list[JobRun]) -> Check:
    """Return an error if the last successful run left out paid orders that cannot be read."""
    last = next((run for run in runs if run.status == "ok"), None)
    orders = last.metrics.get("quarantined_orders") or [] if last else []
    values = {"orders": len(orders), "ids": [order["id"] for order in orders[:20]]}
    if last and orders:
        return Check("left_out", "error", last.message, values)
    return Check("left_out", "ok", "All paid orders that were read are in the numbers.", values)


def _first(found: dict[str, str] | list[str]) -> str:
    items = [str(item) for item in found]
    more = len(items) - _SHOWN_FINDINGS
    return ", ".join(items[:_SHOWN_FINDINGS]) + (f" and {more} more" if more > 0 else "")


def _utc(time: datetime) -> datetime:
    return time.replace(tzinfo=timezone.utc)
