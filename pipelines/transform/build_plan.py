"""How much of the marts needs building: a quiet half-hour changes nothing in them.

`dbt build` costs seconds of processor time whatever it finds. It is spared when nothing can have
changed: this run loaded no row, the run before ended well and built or confirmed the marts, and
since that build neither the project, its settings, the reporting date, the raw data nor the marts
themselves have moved. What depends on the hour alone (shows that end) follows within
`CONFIRMED_FOR`.

Of a large account only what changed orders concern is built anew, on the same conditions but for
the raw data; and everything once a reporting date.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from datetime import date, datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from pipelines.configuration.environment import DBT_PROJECT, Settings
from pipelines.transform.dbt_build import model_variables
from pipelines.warehouse.job_log import JobRecord
from pipelines.warehouse.server import Warehouse
from qtickets_source.rows.schema import TABLE_NAMES

CONFIRMED_FOR = timedelta(minutes=45)

# Raw versions of tickets from which on an account is large. A whole build of as many takes about
# ten seconds, and building only what changed costs some statements more.
PARTIAL_BUILD_FROM_TICKETS = 3_000_000
# Another machine that loads into the same tables may write rows somewhat later than it has read
# them.
OVERLAP = timedelta(hours=6)
# When a larger share of the orders changed, there is little to take over.
MAX_CHANGED_SHARE = 0.1

# The end of a part's name: first and last block, level, and the number of its last mutation if any.
_MUTATION = r"_\d+_\d+_\d+_(\d+)$"

_IGNORED_PARTS = {"target", "logs", "dbt_packages", "__pycache__"}


@dataclass(frozen=True)
class MartsState:
    """What the marts were built from, as `meta_job_runs.metrics` keeps it.

    Attributes:
        built_at: When `dbt build` last ended well, UTC.
        whole_on: The reporting date on which it last built everything.
        raw_until: The newest `_fetched_at` of orders and tickets before it began, UTC.
        basis: Fingerprint of what its result depends on besides the raw data and the day, and of
            the marts' own tables.
        seen: Fingerprint of the raw data and the day.
        warnings: What its tests warned of; still true as long as the marts stand.
    """

    built_at: datetime
    whole_on: date
    raw_until: datetime
    basis: str
    seen: str
    warnings: list[str]

    def as_metrics(self) -> dict[str, Any]:
        moments = {
            "built_at": self.built_at.isoformat(timespec="seconds"),
            "whole_on": self.whole_on.isoformat(),
            "raw_until": self.raw_until.isoformat(),
        }
        return asdict(self) | moments

    @classmethod
    def from_metrics(cls, metrics: Mapping[str, Any]) -> "MartsState":
        """What `as_metrics` gave."""
        moments = {
            "built_at": datetime.fromisoformat(metrics["built_at"]),
            "whole_on": date.fromisoformat(metrics["whole_on"]),
            "raw_until": datetime.fromisoformat(metrics["raw_until"]),
        }
        return cls(**{**metrics, **moments})


@dataclass(frozen=True)
class Plan:
    """How much is to be built, and what is known before: needed for the state afterwards.

    Attributes:
        changed_since: As of `build_marts`.
        raw_until, whole_on: As of `MartsState`.
    """

    changed_since: datetime | None
    raw_until: datetime
    whole_on: date


def plan_build(settings: Settings, warehouse: Warehouse, *, full: bool = False) -> Plan:
    """What a build has to do now; everything if asked for, or in any doubt."""
    last = _last_run(settings, warehouse)
    since = last.raw_until - OVERLAP if last else datetime.fromtimestamp(0, timezone.utc)
    raw = f"`{settings.raw_db}`"
    with warehouse.connect(warehouse.transformer) as client:
        orders, changed, tickets, newest = client.query(
            f"SELECT count(), countIf(_fetched_at > {_moment(since)}),"  # noqa: S608
            f" (SELECT count() FROM {raw}.tickets),"
            f" greatest(max(_fetched_at), (SELECT max(_fetched_at) FROM {raw}.tickets))"
            f" FROM {raw}.orders",
            query_tz="UTC",
        ).result_rows[0]
    raw_until, today = newest.replace(tzinfo=timezone.utc), _today(settings)
    if (
        not full
        and last
        and tickets >= PARTIAL_BUILD_FROM_TICKETS
        and last.whole_on == today
        and changed <= MAX_CHANGED_SHARE * orders
        and last.basis == _basis(settings, warehouse)
    ):
        return Plan(since, raw_until, last.whole_on)
    return Plan(None, raw_until, today)


def marts_state(record: JobRecord, plan: Plan, warnings: list[str]) -> MartsState | None:
    """The state of marts that were built just now, as planned, by a run.

    None if another run was under way, on another machine: it may have swapped in tables that it
    began earlier.
    """
    settings, warehouse = record.settings, record.warehouse
    if _others_since(record):
        return None
    return MartsState(
        built_at=datetime.now(timezone.utc).replace(microsecond=0),
        whole_on=plan.whole_on,
        raw_until=plan.raw_until,
        basis=_basis(settings, warehouse),
        seen=_seen(settings, warehouse),
        warnings=warnings,
    )


def still_valid(settings: Settings, warehouse: Warehouse) -> MartsState | None:
    """The state of the last build, if building again would give the same marts; else None.

    Only to be asked by a run that loaded no rows.
    """
    last = _last_run(settings, warehouse)
    now = datetime.now(timezone.utc)
    if last is None or not timedelta() <= now - last.built_at < CONFIRMED_FOR:
        return None
    is_same = last.seen == _seen(settings, warehouse) and last.basis == _basis(settings, warehouse)
    return last if is_same else None


def _others_since(record: JobRecord) -> bool:
    """Whether a run other than this one began or ended since it began."""
    db = f"`{record.warehouse.marts_db}`"
    with record.warehouse.connect(record.warehouse.transformer) as client:
        others = client.query(
            f"SELECT count() FROM (SELECT run_id, started_at AS at FROM {db}.meta_job_starts"  # noqa: S608
            f" UNION ALL SELECT run_id, finished_at FROM {db}.meta_job_runs)"
            f" WHERE at > {_moment(record.started_at)} AND run_id != {{own:String}}",
            parameters={"own": str(record.run_id)},
        ).result_rows[0][0]
    return bool(others)


def _last_run(settings: Settings, warehouse: Warehouse) -> MartsState | None:
    """What the newest run of any job on these databases says of the marts, if it ended well."""
    with warehouse.connect(warehouse.transformer) as client:
        rows = client.query(
            f"SELECT status, metrics FROM `{settings.clickhouse_db}`.meta_job_runs"  # noqa: S608
            " ORDER BY finished_at DESC LIMIT 1"
        ).result_rows
    if not rows or rows[0][0] != "ok":
        return None
    state = json.loads(rows[0][1]).get("marts")
    # An older version of this project wrote another state.
    if not state or set(state) != {field.name for field in fields(MartsState)}:
        return None
    return MartsState.from_metrics(state)


def _basis(settings: Settings, warehouse: Warehouse) -> str:
    with warehouse.connect(warehouse.transformer) as client:
        # A table that was built by anybody else has another uuid; one that was filled or changed,
        # another newest block or mutation. Merges leave both as they are. Raw tables grow; another
        # uuid is another table, from a backup.
        tables = client.query(
            "SELECT name, toString(uuid), changes FROM system.tables AS tables LEFT JOIN ("
            " SELECT database, table, (uniqExact(partition_id), max(max_block_number),"
            " max(toUInt64OrZero(extract(name, {mutation:String})))) AS changes"
            " FROM system.parts WHERE active AND database = {marts:String} GROUP BY ALL"
            ") AS parts ON tables.database = parts.database AND tables.name = parts.table"
            " WHERE tables.database IN ({marts:String}, {raw:String})"
            " AND NOT startsWith(name, 'meta_') AND NOT startsWith(name, '_dlt')"
            " AND NOT is_temporary ORDER BY tables.database, name",
            parameters={
                "marts": settings.clickhouse_db,
                "raw": settings.raw_db,
                "mutation": _MUTATION,
            },
        ).result_rows
    return _fingerprint(
        _project_digest(DBT_PROJECT), sorted(model_variables(settings).items()), tables
    )


def _seen(settings: Settings, warehouse: Warehouse) -> str:
    newest = " UNION ALL ".join(
        f"SELECT '{table}' AS name, max(_fetched_at) FROM `{settings.raw_db}`.{table}"  # noqa: S608
        for table in TABLE_NAMES
    )
    with warehouse.connect(warehouse.transformer) as client:
        raw = client.query(f"SELECT * FROM ({newest}) ORDER BY name").result_rows  # noqa: S608
    return _fingerprint(raw, _today(settings))


def _today(settings: Settings) -> date:
    return datetime.now(ZoneInfo(settings.report_tz)).date()


def _moment(moment: datetime) -> str:
    """A moment (UTC) in ClickHouse's SQL."""
    return f"toDateTime64('{moment:%Y-%m-%d %H:%M:%S.%f}', 6, 'UTC')"


def _fingerprint(*content: object) -> str:
    return sha256(repr(content).encode()).hexdigest()[:32]


def _project_digest(folder: Path) -> str:
    digest = sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _IGNORED_PARTS & set(path.relative_to(folder).parts):
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
