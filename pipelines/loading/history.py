"""A backfill: orders paid in a period of the past, in parts that are committed one by one."""

import gc
import time
from collections import deque
from collections.abc import Iterator
from dataclasses import asdict, dataclass, replace
from datetime import datetime
from typing import Any

from pipelines.configuration.environment import Settings
from pipelines.loading.pipeline import (
    LoadReport,
    LoadSession,
    open_session,
    source_configuration,
)
from pipelines.loading.progress import TerminalProgress
from pipelines.loading.service import Service
from pipelines.warehouse.server import Warehouse
from qtickets_source import orders_extent, qtickets_backfill_source
from qtickets_source.state.periods import Window, months

# Each part costs one request and about a second, whatever its size. So a history of up to this many
# orders is one part. A longer one is loaded in parts of about `SECONDS_PER_PART`, which is also the
# most that an interruption loses.
ORDERS_PER_PART = 20_000
SECONDS_PER_PART = 20


MonthSums = dict[str, tuple[int, dict[str, str]]]
"""(tickets, money by currency as text) by month."""


@dataclass(frozen=True)
class BackfillJob:
    """A period that is being loaded; kept in the source's state until it is complete.

    Attributes:
        since: First moment of payment, UTC.
        until: First moment after the period; None: the present.
        is_first: Whether the cursor continues where the period ends.
        ends: Where an open period ended when its backfill began.
        done_until: What is loaded so far.
        sums_before: Tickets and money that were loaded when the job began, by month, if they are
            to be compared with what it loads.
    """

    since: datetime
    until: datetime | None = None
    is_first: bool = False
    ends: datetime | None = None
    done_until: datetime | None = None
    sums_before: MonthSums | None = None

    @property
    def rest(self) -> Window:
        """What is left to load."""
        return self.done_until or self.since, self.ends or self.until

    def is_for(self, period: Window) -> bool:
        """Return whether the job loads this period."""
        return (self.since, self.until) == period

    @classmethod
    def unfinished(cls, session: LoadSession, period: Window) -> "BackfillJob | None":
        """Return the job for a period that was interrupted; None if there is none."""
        state = session.state.get("backfill")
        job = cls(**state) if state else None
        return job if job and job.is_for(period) else None

    def as_state(self) -> dict[str, Any]:
        """Return the job as the state keeps it."""
        return {name: value for name, value in asdict(self).items() if value is not None}


def backfill(
    settings: Settings,
    service: Service,
    warehouse: Warehouse,
    progress: TerminalProgress,
    period: Window,
) -> LoadReport:
    """Load, or load again, orders paid in a period of the past, part by part.

    Raises:
        ServiceError, ClickHouseError: As `load`. Completed parts stay loaded; the same call, or
            the next run, continues after them.
    """
    with open_session(settings, service, warehouse, progress) as session:
        job = BackfillJob.unfinished(session, period) or BackfillJob(*period)
        load_history(session, job, progress)
    return session.report


def load_history(session: LoadSession, job: BackfillJob, progress: TerminalProgress) -> None:
    """Load the parts of a job that are not done, oldest first, each committed by itself."""
    observed = session.report.observed
    config = source_configuration(session.settings, session.service)
    since, until, orders = orders_extent(job.rest, config, observed)
    progress.expect("orders", orders)
    is_small = orders <= ORDERS_PER_PART
    for begin, end in [(since, until)] if is_small else parts_of_history(since, until):
        # Imported orders may be dated before the first order was created.
        start = min(begin, job.rest[0]) if begin == since else begin
        left = replace(job, ends=until, done_until=end) if end < until else None
        state_updates: dict[str, Any] = {"backfill": left.as_state() if left else None}
        if left is None and job.is_first:
            state_updates["cursor_from"] = until
        session.run(
            qtickets_backfill_source(
                start,
                end,
                state_updates,
                config,
                fetched_after=session.fetched_after,
                observed=observed,
            )
        )
        # dlt leaves unreachable cycles after each load; without this, memory grows with history.
        gc.collect()


def parts_of_history(since: datetime, until: datetime) -> Iterator[tuple[datetime, datetime]]:
    """Yield a period in parts of whole months, oldest first; the caller loads each before the next.

    The first part is a month. Each further one has as many months as fit into `SECONDS_PER_PART`
    at the pace of the last part, and at most twice as many, since busy years follow quiet ones.
    """
    left, size = deque(months(since, until)), 1
    while left:
        part = [left.popleft() for _ in range(min(size, len(left)))]
        began = time.monotonic()
        yield part[0][0], part[-1][1]
        pace = len(part) / (time.monotonic() - began)
        size = max(1, min(2 * len(part), int(SECONDS_PER_PART * pace)))
