"""Whether the marts need building at all: a quiet half-hour changes nothing in them.

`dbt build` costs seconds of processor time whatever it finds. It is spared only when nothing can
have changed: this run loaded no row, the run before ended well and built or confirmed the marts,
and since that build neither the project, its settings, the reporting date, the raw data nor the
marts themselves have moved. What depends on the hour alone (shows that end) follows within
`CONFIRMED_FOR`.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from hashlib import sha256
from pathlib import Path
from typing import Any
from zoneinfo import ZoneInfo

from .load import RAW_TABLES
from .marts import model_variables
from .settings import DBT_PROJECT, Settings
from .warehouse import Warehouse

CONFIRMED_FOR = timedelta(minutes=45)

_IGNORED_PARTS = {"target", "logs", "dbt_packages", "__pycache__"}


@dataclass(frozen=True)
class MartsState:
    """What the marts were built from, as `meta_job_runs.metrics` keeps it.

    Attributes:
        built_at: When `dbt build` last ended well, UTC.
        fingerprint: Of everything that its result depends on.
        warnings: What its tests warned of; still true as long as the marts stand.
    """

    built_at: datetime
    fingerprint: str
    warnings: list[str]

    def as_metrics(self) -> dict[str, Any]:
        return {
            "built_at": self.built_at.isoformat(timespec="seconds"),
            "fingerprint": self.fingerprint,
            "warnings": self.warnings,
        }


def marts_state(settings: Settings, warehouse: Warehouse, warnings: list[str]) -> MartsState:
    """The state of marts that were built just now."""
    now = datetime.now(timezone.utc).replace(microsecond=0)
    return MartsState(now, _fingerprint(settings, warehouse, now), warnings)


def still_valid(settings: Settings, warehouse: Warehouse) -> MartsState | None:
    """The state of the last build, if building again would give the same marts; else None.

    Only to be asked by a run that loaded no rows.
    """
    last = _last_run(settings, warehouse)
    now = datetime.now(timezone.utc)
    if last is None or not timedelta() <= now - last.built_at < CONFIRMED_FOR:
        return None
    return last if last.fingerprint == _fingerprint(settings, warehouse, now) else None


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
    if not state:
        return None
    return MartsState(
        datetime.fromisoformat(state["built_at"]), state["fingerprint"], state["warnings"]
    )


def _fingerprint(settings: Settings, warehouse: Warehouse, now: datetime) -> str:
    today = now.astimezone(ZoneInfo(settings.report_tz)).date()
    parts = [
        _project_digest(DBT_PROJECT),
        sorted(model_variables(settings).items()),
        today.isoformat(),
    ]
    with warehouse.connect(warehouse.transformer) as client:
        # A table that was built, filled or dropped by anybody else has another uuid or count.
        tables = client.query(
            "SELECT name, toString(uuid), total_rows FROM system.tables"
            " WHERE database = {db:String} AND NOT startsWith(name, 'meta_')"
            " AND NOT is_temporary ORDER BY name",
            parameters={"db": settings.clickhouse_db},
        ).result_rows
        newest = " UNION ALL ".join(
            f"SELECT '{table}' AS name, max(_fetched_at) FROM `{settings.raw_db}`.{table}"  # noqa: S608
            for table in RAW_TABLES
        )
        raw = client.query(f"SELECT * FROM ({newest}) ORDER BY name").result_rows  # noqa: S608
    return sha256(repr((parts, tables, raw)).encode()).hexdigest()[:32]


def _project_digest(folder: Path) -> str:
    digest = sha256()
    for path in sorted(folder.rglob("*")):
        if path.is_file() and not _IGNORED_PARTS & set(path.relative_to(folder).parts):
            digest.update(f"{path.relative_to(folder)}\0".encode() + path.read_bytes())
    return digest.hexdigest()
