"""What reading the service showed besides its rows: requests made, and what was unexpected."""

import threading
from dataclasses import dataclass, field

from .api.dialect import Dialect

NEW_COLUMNS_PER_RUN = 50
"""Of each table: an answer of another shape must not make thousands of columns."""


@dataclass
class RequestCounts:
    """Requests, retries and their seconds so far; shared by all threads of a run."""

    requests: int = 0
    retries: int = 0
    seconds: float = 0.0
    _lock: threading.Lock = field(default_factory=threading.Lock, repr=False)

    def add(self, *, attempt: int, seconds: float) -> None:
        """Count one request; `attempt` above 1 makes it a retry."""
        with self._lock:
            self.requests += 1
            self.retries += attempt > 1
            self.seconds += seconds


@dataclass
class Findings:
    """What was unexpected in the answers; shown at the end of a run.

    Attributes:
        new_columns: `table.field` of unknown fields, loaded as text columns.
        withheld: `table.field` of unknown fields that may be personal, not loaded.
        too_many: `table.field` of unknown fields beyond NEW_COLUMNS_PER_RUN, not loaded.
        missing: `table.field` of known fields that a whole page lacked.
        changed_types: `table.field (type)` of known fields that came as another JSON type. Where
            the value still fits the column it is loaded; else the run fails.
        ignored: Filters that the service ignored or refused, by transport.
        instead: What is asked instead of such filters, and what it costs; said on the day on which
            it was found out.
        skipped: Datasets that the account may not read, or that failed, and why.
        doubtful_seats: By show, why its numbers of seats are unlikely.
        lost_events: Events that the last run listed and this one did not; their rows stay.
        unreadable_fields: `table.field` of values that became null; no number depends on them.
        bad_rows: By table, why rows were left out on which no number of sales depends.
        clock_ahead_seconds: How far the service's clock is ahead of this machine's; 0 if they agree
            within five minutes.
        warehouse_ahead_seconds: The same of the destination's clock, set by whoever knows it.
    """

    new_columns: set[str] = field(default_factory=set)
    withheld: set[str] = field(default_factory=set)
    too_many: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    changed_types: set[str] = field(default_factory=set)
    ignored: list[str] = field(default_factory=list)
    instead: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)
    doubtful_seats: dict[int, str] = field(default_factory=dict)
    lost_events: list[int] = field(default_factory=list)
    bad_rows: dict[str, list[str]] = field(default_factory=dict)
    unreadable_fields: set[str] = field(default_factory=set)
    clock_ahead_seconds: int = 0
    warehouse_ahead_seconds: int = 0

    def admits_column(self, table: str, label: str) -> bool:
        """Record an unknown field; return whether it becomes a column."""
        if label in self.new_columns:
            return True
        new = sum(known.startswith(f"{table}.") for known in self.new_columns)
        is_admitted = new < NEW_COLUMNS_PER_RUN
        (self.new_columns if is_admitted else self.too_many).add(label)
        return is_admitted


@dataclass
class Observations:
    """Collects the counts and findings of one run, over all of its sources.

    Attributes:
        counts: Requests and retries.
        findings: What was unexpected.
        filters_proven: Whether the service has proven that it understands filters of orders.
        dialect: What the service is known not to honour.
    """

    counts: RequestCounts = field(default_factory=RequestCounts)
    findings: Findings = field(default_factory=Findings)
    filters_proven: bool = False
    dialect: Dialect = field(default_factory=Dialect)
