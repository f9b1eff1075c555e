"""The report of a run, for the summary and the job log."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from pipelines.configuration.environment import Settings
from pipelines.loading.pipeline import LoadReport
from pipelines.transform.build_plan import MartsState
from pipelines.transform.dbt_build import MartsReport


@dataclass
class RunReport:
    """The report of a run.

    Attributes:
        load: What was loaded.
        marts: What was built and tested.
        marts_state: State of the marts for the next run; None if it is unknown.
        changes: Rows of each table of the marts, before and after the build.
        webhooks: What webhooks missed, as the job log keeps it; None without a receiver.
        datasets: Datasets of which all new rows were read.
        page: Path of the dashboard page.
        page_problem: Why the page was not written.
        seconds: Duration by step, in order.
    """

    load: LoadReport = field(default_factory=LoadReport)
    marts: MartsReport = field(default_factory=MartsReport)
    marts_state: MartsState | None = None
    changes: dict[str, tuple[int, int]] = field(default_factory=dict)
    webhooks: dict[str, Any] | None = None
    datasets: list[str] = field(default_factory=list)
    page: Path | None = None
    page_problem: str = ""
    seconds: dict[str, float] = field(default_factory=dict)

    @contextmanager
    def timed(self, step: str) -> Iterator[None]:
        """Add the duration of the block to the step."""
        started = time.monotonic()
        try:
            yield
        finally:
            self.seconds[step] = self.seconds.get(step, 0.0) + time.monotonic() - started

    @property
    def rows(self) -> int:
        """Number of fetched rows over all raw tables."""
        return sum(self.load.rows.values())

    def metrics(self, settings: Settings) -> dict[str, Any]:
        """Return the JSON object of `meta_job_runs.metrics`."""
        rows, observed = self.load.rows, self.load.observed
        counts, findings = observed.counts, observed.findings
        return {
            "mode": settings.mode,
            "org": settings.org_name,
            "events": rows.get("events", 0),
            "orders": rows.get("orders", 0),
            "sales_rows": rows.get("tickets", 0),
            "inventory_rows": rows.get("inventory", 0),
            "sales_daily_rows": self.changes.get("fact_qtickets_sales_daily", (0, 0))[1],
            "rows": rows,
            "datasets": self.datasets,
            **(
                {"reconciliation": self.load.reconciliation.as_metrics()}
                if self.load.reconciliation
                else {}
            ),
            **({"webhooks": self.webhooks} if self.webhooks else {}),
            "requests": counts.requests,
            "retries": counts.retries,
            "ignored_filters": findings.ignored,
            "asked_instead": findings.instead,
            "skipped_datasets": findings.skipped,
            "quarantined_orders": [
                {"id": id_, "reason": reason, "since": since.isoformat(timespec="seconds")}
                for id_, reason, since in self.load.quarantined
            ],
            "doubtful_seats": [
                f"show {show}: {reason}" for show, reason in findings.doubtful_seats.items()
            ][:100],
            "lost_events": findings.lost_events[:100],
            "bad_rows": {table: reasons[:20] for table, reasons in findings.bad_rows.items()},
            "unreadable_fields": sorted(findings.unreadable_fields),
            "new_columns": sorted(findings.new_columns),
            "withheld_fields": sorted(findings.withheld),
            "fields_left_out": sorted(findings.too_many)[:100],
            "missing_fields": sorted(findings.missing),
            "changed_types": sorted(findings.changed_types),
            "clock_ahead_seconds": findings.clock_ahead_seconds,
            "warehouse_ahead_seconds": findings.warehouse_ahead_seconds,
            "models": self.marts.models,
            "tests": self.marts.tests,
            "test_warnings": self.marts.warnings,
            "marts": self.marts_state.as_metrics() if self.marts_state else None,
            "seconds": {step: round(value, 3) for step, value in self.seconds.items()},
        }
