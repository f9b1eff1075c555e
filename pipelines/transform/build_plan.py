"""The build plan: are the marts built in full, partially, or not at all?

A run without new rows builds nothing if a build would give the same marts: the last run ended well,
and neither the dbt project, its settings, the reporting date, the raw tables nor the marts have
changed since it built or confirmed them. `MAX_AGE` bounds the rest: shows that end during the day.

A large account is rebuilt partially, under the same conditions except that rows are new, and in
full once per reporting date. Partial rebuilds are described in docs/partial_rebuilds.md.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta, timezone
from typing import Any
from zoneinfo import ZoneInfo

from pipelines.configuration.environment import Settings
from pipelines.transform.fingerprints import build_fingerprint, data_fingerprint
from pipelines.warehouse.job_log import JobRecord
from pipelines.warehouse.server import Warehouse

MAX_AGE = timedelta(minutes=45)

# Ticket versions in the raw tables. A full build of that many takes about ten seconds; a partial
# build needs some more statements and is not faster for fewer.
PARTIAL_BUILD_FROM_TICKETS = 3_000_000
# Another machine that loads the same tables may write rows later than it fetched them.
OVERLAP = timedelta(hours=6)
# With a larger share of changed orders there is little to keep.
MAX_CHANGED_SHARE = 0.1


@dataclass(frozen=True)
class MartsState:
    """What the marts were built from, as stored in `meta_job_runs.metrics`.

    Attributes:
        built_at: End of the last successful `dbt build`, UTC.
        full_build_on: Reporting date of the last full build.
        raw_until: Newest `_fetched_at` of orders and tickets before the build, UTC.
        build_fingerprint: Fingerprint of the dbt project, its settings and the tables.
        data_fingerprint: Fingerprint of the raw rows and the reporting date.
        warnings: Warnings of the data tests; they hold as long as the marts are unchanged.
    """

    built_at: datetime
    full_build_on: date
    raw_until: datetime
    build_fingerprint: str
    data_fingerprint: str
    warnings: list[str]

    def as_metrics(self) -> dict[str, Any]:
        """Return the state as JSON."""
        return asdict(self) | {
            "built_at": self.built_at.isoformat(timespec="seconds"),
            "full_build_on": self.full_build_on.isoformat(),
            "raw_until": self.raw_until.isoformat(),
        }

    @classmethod
    def from_metrics(cls, metrics: Mapping[str, Any] | None) -> "MartsState | None":
        """Return the state that `as_metrics` stored; None if there is none, or of another form.

        Other versions of the project store other fields.
        """
        if not metrics or set(metrics) != {field.name for field in fields(cls)}:
            return None
        times = {
            "built_at": datetime.fromisoformat(metrics["built_at"]),
            "full_build_on": date.fromisoformat(metrics["full_build_on"]),
            "raw_until": datetime.fromisoformat(metrics["raw_until"]),
        }
        return cls(**{**metrics, **times})


@dataclass(frozen=True)
class BuildFacts:
    """What a plan depends on besides the state of the last build.

    Attributes:
        orders: Order versions in the raw tables.
        changed_orders: Those of them fetched after `changed_since` of the last state.
        tickets: Ticket versions in the raw tables.
        raw_until: Newest `_fetched_at` of both, UTC.
        today: The reporting date.
        build_fingerprint: As in `MartsState`.
    """

    orders: int
    changed_orders: int
    tickets: int
    raw_until: datetime
    today: date
    build_fingerprint: str


@dataclass(frozen=True)
class Plan:
    """What to build, and what the state after the build needs.

    Attributes:
        changed_since: Orders fetched after this are rebuilt, UTC; None: a full build.
        raw_until, full_build_on: As in `MartsState`.
    """

    changed_since: datetime | None
    raw_until: datetime
    full_build_on: date


def choose_plan(last: MartsState | None, facts: BuildFacts, *, full: bool = False) -> Plan:
    """Return a partial plan if the rows of the last build may be kept, a full one if in doubt.

    Args:
        last: State of the last build; None if the marts may be anything.
        facts: What is true now.
        full: A full build is asked for.
    """
    if (
        not full
        and last
        and facts.tickets >= PARTIAL_BUILD_FROM_TICKETS
        and facts.today == last.full_build_on
        and facts.changed_orders <= MAX_CHANGED_SHARE * facts.orders
        and facts.build_fingerprint == last.build_fingerprint
    ):
        return Plan(changed_since(last), facts.raw_until, last.full_build_on)
    return Plan(None, facts.raw_until, facts.today)


def changed_since(last: MartsState | None) -> datetime:
    """Return the time after which a fetched order counts as changed, UTC."""
    return last.raw_until - OVERLAP if last else datetime.fromtimestamp(0, timezone.utc)


def is_current(
    state: MartsState, now: datetime, *, build_fingerprint: str, data_fingerprint: str
) -> bool:
    """Return whether a build now would give the marts that the state describes."""
    return (
        timedelta() <= now - state.built_at < MAX_AGE
        and state.build_fingerprint == build_fingerprint
        and state.data_fingerprint == data_fingerprint
    )


def plan_build(settings: Settings, warehouse: Warehouse, *, full: bool = False) -> Plan:
    """Return the plan for a build now."""
    last = _last_state(settings, warehouse)
    return choose_plan(last, _read_facts(settings, warehouse, changed_since(last)), full=full)


def current_state(settings: Settings, warehouse: Warehouse) -> MartsState | None:
    """Return the state of the last build if a build now would give the same marts, else None.

    Valid only in a run that has loaded no rows.
    """
    last = _last_state(settings, warehouse)
    if last is None:
        return None
    is_unchanged = is_current(
        last,
        datetime.now(timezone.utc),
        build_fingerprint=build_fingerprint(settings, warehouse),
        data_fingerprint=data_fingerprint(settings, warehouse, _today(settings)),
    )
    return last if is_unchanged else None


def marts_state(record: JobRecord, plan: Plan, warnings: list[str]) -> MartsState | None:
    """Return the state after a build, for the job record and the next run.

    None if another run was active during the build, on any machine: it may have replaced tables
    with others that it had begun before.
    """
    settings, warehouse = record.settings, record.warehouse
    if _other_runs_since_start(record):
        return None
    return MartsState(
        built_at=datetime.now(timezone.utc).replace(microsecond=0),
        full_build_on=plan.full_build_on,
        raw_until=plan.raw_until,
        build_fingerprint=build_fingerprint(settings, warehouse),
        data_fingerprint=data_fingerprint(settings, warehouse, _today(settings)),
        warnings=warnings,
    )


def _read_facts(settings: Settings, warehouse: Warehouse, since: datetime) -> BuildFacts:
    raw = f"`{settings.raw_db}`"
    with warehouse.connect(warehouse.transformer) as client:
        orders, changed, tickets, newest = client.query(
            f"SELECT count(), countIf(_fetched_at > {_sql_time(since)}),"  # noqa: S608
            f" (SELECT count() FROM {raw}.tickets),"
            f" greatest(max(_fetched_at), (SELECT max(_fetched_at) FROM {raw}.tickets))"
            f" FROM {raw}.orders",
            query_tz="UTC",
        ).result_rows[0]
    return BuildFacts(
        orders=orders,
        changed_orders=changed,
        tickets=tickets,
        raw_until=newest.replace(tzinfo=timezone.utc),
        today=_today(settings),
        build_fingerprint=build_fingerprint(settings, warehouse),
    )


def _other_runs_since_start(record: JobRecord) -> bool:
    """Return whether another run started or ended since this one started."""
    db = f"`{record.warehouse.marts_db}`"
    with record.warehouse.connect(record.warehouse.transformer) as client:
        others = client.query(
            f"SELECT count() FROM (SELECT run_id, started_at AS at FROM {db}.meta_job_starts"  # noqa: S608
            f" UNION ALL SELECT run_id, finished_at FROM {db}.meta_job_runs)"
            f" WHERE at > {_sql_time(record.started_at)} AND run_id != {{own:String}}",
            parameters={"own": str(record.run_id)},
        ).result_rows[0][0]
    return bool(others)


def _last_state(settings: Settings, warehouse: Warehouse) -> MartsState | None:
    """Return the state that the newest run of any job on these databases has stored.

    None if that run failed, or stored none.
    """
    with warehouse.connect(warehouse.transformer) as client:
        rows = client.query(
            f"SELECT status, metrics FROM `{settings.clickhouse_db}`.meta_job_runs"  # noqa: S608
            " ORDER BY finished_at DESC LIMIT 1"
        ).result_rows
    if not rows or rows[0][0] != "ok":
        return None
    return MartsState.from_metrics(json.loads(rows[0][1]).get("marts"))


def _today(settings: Settings) -> date:
    return datetime.now(ZoneInfo(settings.report_tz)).date()


def _sql_time(time: datetime) -> str:
    """Return a time (UTC) as an expression in ClickHouse's SQL."""
    return f"toDateTime64('{time:%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"
