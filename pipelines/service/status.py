"""What the resident process does, for `/health`, `/ready`, `/metrics` and the page.

The worker writes it and sends it to the process that answers HTTP. Attributes are replaced as a
whole, since several threads use them.
"""

import time
from dataclasses import dataclass, field
from typing import Any

from pipelines.configuration.environment import Settings
from pipelines.operations.prometheus import metric
from pipelines.service.spool import Spool, SpoolError
from pipelines.service.webhooks import Receiver

WAITS_TOO_LONG = 900.0
"""Seconds after which an order that a webhook named should have been read."""


@dataclass(frozen=True)
class LastRun:
    """The last scheduled run; times are Unix seconds."""

    ended_at: float
    seconds: float
    problem: str


@dataclass
class Status:
    """The state of the process; times are Unix seconds.

    Attributes:
        next_run: When the next scheduled run begins.
        doing: What the worker does: `run`, `drain` or nothing.
        version: Grows whenever the marts may have changed.
        read_at: Since when the numbers of the page are complete: the start of the last reading.
    """

    started_at: float = field(default_factory=time.time)
    next_run: float = 0
    doing: str = ""
    version: int = 0
    read_at: float = 0
    last_run: LastRun | None = None
    last_ok_at: float = 0
    runs: int = 0
    failed_runs: int = 0
    drains: int = 0
    drained_orders: int = 0
    drain_requests: int = 0
    drain_problem: str = ""
    last_drain_seconds: float = 0
    webhooks: dict[str, Any] | None = None


def problems(
    settings: Settings, status: Status, spool: Spool, receiver: Receiver | None
) -> list[str]:
    """Return why the process is not ready; each is a sentence. Nothing in it is secret."""
    found, now = [], time.time()
    if status.last_run is None:
        found.append("The first run has not ended.")
    elif status.last_run.problem:
        found.append("The last run failed.")
    elif now - status.last_ok_at > settings.qtickets_stale_hours * 3600:
        found.append("The data are stale.")
    if receiver and receiver.counts.problem:
        found.append("Webhooks cannot be written to the disk and are answered with 503.")
    try:
        oldest = spool.oldest_pending()
    except SpoolError:
        found.append("The spool of webhooks cannot be read.")
    else:
        if oldest is not None and now - oldest > WAITS_TOO_LONG:
            found.append("Orders that webhooks named have not been read for long.")
    return found


def metrics(settings: Settings, status: Status, spool: Spool, receiver: Receiver | None) -> str:
    """Return the metrics in the text format of Prometheus."""
    results = receiver.counts.results if receiver else {}
    last = status.last_run
    lines: list[str] = []

    def add(name: str, kind: str, text: str, values: dict[str, float]) -> None:
        lines.extend(metric(name, kind, text, values))

    try:
        pending, oldest = float(spool.pending_count()), spool.oldest_pending()
        last_hint = spool.last_received()
    except SpoolError:
        pending, oldest, last_hint = float("nan"), None, None
    wait = 0.0 if oldest is None else max(0.0, time.time() - oldest)
    is_ready = not problems(settings, status, spool, receiver)
    names = ("accepted", "forged", "invalid", "too_large", "unavailable")
    add("ready", "gauge", "1 if /ready answers 200.", {"": float(is_ready)})
    add(
        "webhooks_total",
        "counter",
        "Webhooks by result.",
        {f'{{result="{name}"}}': float(results.get(name, 0)) for name in names},
    )
    add("webhook_last_seconds", "gauge", "Time of the last hint.", {"": last_hint or 0})
    add("pending_orders", "gauge", "Orders that wait to be read again.", {"": pending})
    add("pending_oldest_seconds", "gauge", "How long the first of them waits.", {"": wait})
    add("drains_total", "counter", "Readings of hinted orders.", {"": float(status.drains)})
    add("drained_orders_total", "counter", "Orders read again.", {"": float(status.drained_orders)})
    add("drain_requests_total", "counter", "Requests for it.", {"": float(status.drain_requests)})
    add(
        "drain_failing",
        "gauge",
        "1 if the last one failed.",
        {"": float(bool(status.drain_problem))},
    )
    add("drain_seconds", "gauge", "Duration of the last one.", {"": status.last_drain_seconds})
    add("runs_total", "counter", "Scheduled runs.", {"": float(status.runs)})
    add("runs_failed_total", "counter", "Those that failed.", {"": float(status.failed_runs)})
    add("run_last_seconds", "gauge", "End of the last run.", {"": last.ended_at if last else 0})
    add("run_last_ok_seconds", "gauge", "End of the last good run.", {"": status.last_ok_at})
    add("run_duration_seconds", "gauge", "Duration of it.", {"": last.seconds if last else 0})
    missed = status.webhooks or {"changed": 0, "missed": 0}
    add("orders_changed", "gauge", "Orders that the last run found.", {"": missed["changed"]})
    add("orders_missed", "gauge", "Those no webhook named.", {"": missed["missed"]})
    return "\n".join(lines) + "\n"
