"""Checks of free disk space: of QTICKETS_HOME, and of a ClickHouse server."""

import shutil
from pathlib import Path

from clickhouse_connect.driver.client import Client

from pipelines.configuration.environment import Settings
from pipelines.operations.checks.health import Check, Status

_GIB = 2**30


def check_home_disk(settings: Settings) -> Check:
    """Check the disk of QTICKETS_HOME, which also holds the data of the embedded ClickHouse."""
    folder = settings.qtickets_home
    while not folder.exists():
        folder = folder.parent
    usage = shutil.disk_usage(folder)
    return judge_disk("home_disk", folder, usage.free, usage.total, settings.qtickets_min_free_gb)


def check_server_disks(settings: Settings, client: Client) -> list[Check]:
    """Check the disks of a ClickHouse server; the embedded one has none but that of QTICKETS_HOME.

    Object storage is left out: it reports the largest number as its size.
    """
    if not settings.clickhouse_host:
        return []
    rows = client.query("SELECT path, free_space, total_space FROM system.disks").result_rows
    return [
        judge_disk("server_disk", Path(path), int(free), int(total), settings.qtickets_min_free_gb)
        for path, free, total in rows
        if 0 < total < 2**63
    ]


def judge_disk(name: str, path: Path, free: int, total: int, min_free_gb: float) -> Check:
    """Return the finding for a disk: an error below `min_free_gb`, a warning below its double."""
    status: Status = "ok"
    if free < min_free_gb * _GIB:
        status = "error"
    elif free < 2 * min_free_gb * _GIB:
        status = "warning"
    values = {
        "path": str(path),
        "free_bytes": free,
        "total_bytes": total,
        "min_free_gb": min_free_gb,
    }
    message = f"{free / _GIB:,.1f} of {total / _GIB:,.1f} GiB free at {path}"
    return Check(name, status, f"{message} (at least {min_free_gb:g}).", values)
