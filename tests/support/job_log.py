"""Killed runs in the job log."""

from datetime import datetime
from typing import Any

from local_clickhouse import LocalServer
from tests.support.clickhouse import DATABASE, Marts


def unfinished(server: LocalServer) -> dict[Any, datetime]:
    """Return the start time of each run that has a start in the job log but no end."""
    exists = Marts(server).rows(
        "SELECT count() AS tables FROM system.tables"
        f" WHERE database = '{DATABASE}' AND startsWith(name, 'meta_job_')"
    )
    if exists[0]["tables"] < 2:
        return {}
    rows = Marts(server).rows(
        f"SELECT run_id, started_at FROM {DATABASE}.meta_job_starts"
        f" WHERE run_id NOT IN (SELECT run_id FROM {DATABASE}.meta_job_runs)"
    )
    return {row["run_id"]: row["started_at"] for row in rows}


def check_recorded(server: LocalServer, killed: dict[Any, datetime]) -> None:
    """Check that each killed run is recorded as failed, and that every run has an end."""
    runs = {
        row["run_id"]: row
        for row in Marts(server).rows(
            f"SELECT run_id, started_at, status, message FROM {DATABASE}.meta_job_runs"
        )
    }
    for run_id, started_at in killed.items():
        assert runs[run_id]["status"] == "error"
        assert "killed" in runs[run_id]["message"]
        assert runs[run_id]["started_at"] == started_at
    assert unfinished(server) == {}
