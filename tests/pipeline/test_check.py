"""`check` finds and names each problem, and writes nothing."""

import json
import os
import socket
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from typer.testing import Result

from sandbox import Fault
from tests.support.account import Account
from tests.support.paths import PROJECT


def checked(account: Account, **variables: str) -> tuple[dict[str, dict[str, Any]], Result]:
    """Return the answer of `check --format json` by the names of the checks, and the result."""
    result = account.command("check", "--format", "json", **variables)
    answer = json.loads(result.stdout)
    assert answer["status"] == "error" or result.exit_code == 0, result.output
    assert result.exit_code == (1 if answer["status"] == "error" else 0)
    return {check["name"]: check for check in answer["checks"]}, result


def stored(account: Account) -> list[dict[str, Any]]:
    """Return every part of every table of the project. Any write would change them."""
    return account.rows(
        "SELECT database, table, name, rows FROM system.parts"
        " WHERE active AND startsWith(database, 'zakaz') ORDER BY ALL"
    )


def test_after_a_run_all_checks_pass_and_nothing_is_written(account: Account) -> None:
    before = stored(account)

    found, _ = checked(account)

    assert {check["status"] for check in found.values()} == {"ok"}, found
    assert {"service", "clickhouse", "last_run", "quality", "marts", "home_disk"} <= set(found)
    fresh = {check["dataset"] for name, check in found.items() if name.startswith("freshness")}
    assert fresh == {"orders", "events", "inventory", "discounts", "promo_codes", "price_shades"}
    assert found["freshness orders"]["age_hours"] < 1
    assert before
    assert stored(account) == before
    lines = account.command("check").stdout
    assert "freshness orders" in lines
    assert {line.split()[1] for line in lines.replace("freshness ", "").splitlines()} == {"ok"}


def test_check_imports_neither_dlt_nor_dbt(account: Account) -> None:
    result = subprocess.run(
        [sys.executable, "-X", "importtime", PROJECT / "pipelines" / "qtickets.py", "check"],
        env=os.environ | account.environment,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )

    imported = {line.rpartition("|")[2].strip() for line in result.stderr.splitlines()}
    assert result.returncode == 0, result.stdout
    assert "pipelines.operations.check" in imported
    assert "qtickets_source.settings" in imported
    assert not {"dlt", "dbt", "qtickets_source.api.client", "pyarrow", "pandas"} & imported


@pytest.mark.parametrize(
    ("variables", "check", "words"),
    [
        ({"QTICKETS_TOKEN": "wrong"}, "service", "refused the token"),
        (
            {"QTICKETS_BASE_URL": "http://127.0.0.1:9/api/rest/v1"},
            "service",
            "http://127.0.0.1:9/api/rest/v1/orders cannot be reached",
        ),
        ({"QTICKETS_STALE_HOURS": "0.0000001"}, "freshness orders", "Stale"),
        ({"QTICKETS_MIN_FREE_GB": "99999999"}, "home_disk", "GiB free"),
        ({"JOB_NAME": "another_job"}, "last_run", "No run has ended yet"),
        ({"QTICKETS_TOKEN": "replace-me"}, "data", "hold live data"),
        (
            {
                "CLICKHOUSE_HOST": "127.0.0.1",
                "CLICKHOUSE_PORT": "9",
                "QTICKETS_PII_SALT": "a salt for tests",
            },
            "clickhouse",
            "ClickHouse at 127.0.0.1:9 cannot be reached",
        ),
    ],
)
def test_each_error_is_named_and_the_exit_code_is_1(
    account: Account, variables: dict[str, str], check: str, words: str
) -> None:
    found, result = checked(account, **variables)

    assert result.exit_code == 1
    assert found[check]["status"] == "error"
    assert words in found[check]["message"]
    assert account.environment["QTICKETS_TOKEN"] not in result.output


@contextmanager
def silent_port() -> Iterator[int]:
    """Listen on a port, accept connections, and never answer."""
    with socket.create_server(("127.0.0.1", 0)) as listener:
        yield listener.getsockname()[1]


def test_a_service_and_a_clickhouse_that_never_answer_are_errors_in_time(
    account: Account, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.operations.check.SECONDS", 1)
    with silent_port() as service, silent_port() as clickhouse:
        found, result = checked(
            account,
            QTICKETS_BASE_URL=f"http://127.0.0.1:{service}/api/rest/v1",
            CLICKHOUSE_HOST="127.0.0.1",
            CLICKHOUSE_PORT=str(clickhouse),
            QTICKETS_PII_SALT="a salt for tests",
        )

    assert result.exit_code == 1
    for name in ("service", "clickhouse"):
        assert found[name]["status"] == "error"
        assert "gave no complete answer within 1 s" in found[name]["message"]
    assert found["home_disk"]["status"] == "ok"


def test_a_run_recorded_in_the_future_is_an_error_and_makes_nothing_fresh(account: Account) -> None:
    tables = {"meta_job_runs": "started_at, finished_at", "meta_job_starts": "started_at"}
    for table, moments in tables.items():
        later = ", ".join(
            f"{moment} + INTERVAL 3 DAY AS {moment}" for moment in moments.split(", ")
        )
        account.rows(
            f"INSERT INTO zakaz.{table} SELECT * REPLACE ({later}) FROM zakaz.{table}"
            " WHERE run_id = (SELECT argMax(run_id, started_at) FROM zakaz.meta_job_runs)"
        )
    try:
        found, _ = checked(account, QTICKETS_STALE_HOURS="0.0000001")
    finally:
        for table in tables:
            account.rows(f"DELETE FROM zakaz.{table} WHERE started_at > now()")

    assert found["clock"]["status"] == "error"
    assert "recorded in the future" in found["clock"]["message"]
    assert found["freshness orders"]["status"] == "error"
    assert "clock" not in checked(account)[0]


def test_late_data_are_a_warning(account: Account) -> None:
    found, result = checked(account, QTICKETS_LATE_HOURS="0.0000001")

    assert result.exit_code == 0
    assert found["freshness events"]["status"] == "warning"


def test_invalid_answers_are_an_error_of_the_service(account: Account) -> None:
    for fault in (
        Fault("/orders", kind="html"),
        Fault("/orders", kind="status", status=502),
        Fault("/orders", kind="no_data"),
    ):
        account.service.faults.append(fault)
        try:
            found, _ = checked(account)
        finally:
            account.service.faults.clear()
        assert found["service"]["status"] == "error", fault


def test_a_failed_run_is_an_error_until_the_next_good_one(account: Account) -> None:
    account.service.faults.append(Fault("/orders", kind="status", status=502))
    try:
        assert account.command().exit_code == 3
    finally:
        account.service.faults.clear()
    failed, _ = checked(account)
    assert account.command("--skip-marts").exit_code == 0
    repaired, _ = checked(account)

    assert failed["last_run"]["status"] == "error"
    assert "HTTP 502" in failed["last_run"]["message"]
    assert failed["freshness orders"]["status"] == "ok", (
        "a failed run does not change the age of the data"
    )
    assert repaired["last_run"]["status"] == "ok"
    assert "HTTP 502" in repaired["last_run"]["last_error"]["message"]


def test_a_dataset_that_was_skipped_is_not_fresh(account: Account) -> None:
    account.service.faults.append(Fault("/promo-codes", kind="status", status=403, body="json"))
    before, _ = checked(account)
    # `read_at` is in full seconds: the run must start in a later one.
    last_read_at = datetime.fromisoformat(before["freshness orders"]["read_at"])
    while datetime.now(timezone.utc) < last_read_at + timedelta(seconds=1):
        time.sleep(0.05)
    try:
        assert account.command("--skip-marts").exit_code == 0
    finally:
        account.service.faults.clear()

    found, _ = checked(account)

    assert found["freshness promo_codes"]["read_at"] == before["freshness promo_codes"]["read_at"]
    assert found["freshness orders"]["read_at"] > before["freshness orders"]["read_at"]
    assert found["quality"]["status"] == "warning"
    assert "promo_codes" in found["quality"]["message"]
    assert account.command("--skip-marts").exit_code == 0


def test_marts_that_differ_from_the_raw_tables_are_found_with_the_difference(
    account: Account,
) -> None:
    fact = "zakaz.fact_qtickets_sales_daily"
    account.rows(f"CREATE TABLE zakaz.kept AS {fact}")
    account.rows(f"INSERT INTO zakaz.kept SELECT * FROM {fact}")
    one = account.rows(f"SELECT * FROM {fact} WHERE revenue > 0 LIMIT 1")[0]
    account.rows(f"INSERT INTO {fact} SELECT * FROM {fact} WHERE revenue > 0 LIMIT 1")
    try:
        found, _ = checked(account)
    finally:
        account.rows(f"EXCHANGE TABLES {fact} AND zakaz.kept")
        account.rows("DROP TABLE zakaz.kept SYNC")
    repaired, _ = checked(account)

    assert found["marts"]["status"] == "error"
    sums = found["marts"]["sums"]
    from decimal import Decimal

    assert set(sums) == {"raw", "fact_qtickets_sales_daily"}
    daily, raw = sums["fact_qtickets_sales_daily"]["RUB"], sums["raw"]["RUB"]
    assert Decimal(daily["revenue"]) - Decimal(raw["revenue"]) == one["revenue"]
    assert repaired["marts"]["status"] == "ok"


def test_before_the_first_run_no_files_are_created(account: Account, tmp_path: Path) -> None:
    found, result = checked(account, QTICKETS_HOME=str(tmp_path / "home"))

    assert result.exit_code == 1
    assert "Nothing was loaded yet" in found["clickhouse"]["message"]
    assert list(tmp_path.iterdir()) == []


def test_a_second_subcommand_is_refused(account: Account) -> None:
    result = account.command("check", "bootstrap")

    assert result.exit_code == 2
    assert "unexpected extra argument" in result.stderr


def test_the_findings_are_metrics_of_prometheus_too(account: Account) -> None:
    health = json.loads(account.command("check", "--format", "json").output)

    result = account.command("check", "--format", "prometheus")

    lines = result.output.splitlines()
    metrics = dict(line.rsplit(" ", 1) for line in lines if not line.startswith("#"))
    assert metrics["qtickets_check_healthy"] == str(int(health["status"] != "error"))
    for found in health["checks"]:
        status = f'qtickets_check_status{{check="{found["name"]}",status="{found["status"]}"}}'
        assert metrics[status] == "1"
    names = {line.partition("{")[0].partition(" ")[0] for line in metrics}
    assert names == {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert float(metrics["qtickets_check_timestamp_seconds"]) > 1.7e9


def test_an_invalid_configuration_is_a_finding_for_programs_too(account: Account) -> None:
    invalid = {"QTICKETS_STALE_HOURS": "soon"}

    as_json = account.command("check", "--format", "json", **invalid)
    as_metrics = account.command("check", "--format", "prometheus", **invalid)

    found = json.loads(as_json.stdout)
    assert (as_json.exit_code, found["status"], found["mode"]) == (2, "error", None)
    [finding] = found["checks"]
    assert finding["name"] == "configuration"
    assert "QTICKETS_STALE_HOURS" in finding["message"]
    assert "QTICKETS_STALE_HOURS" in as_json.stderr
    assert as_metrics.exit_code == 2
    assert "qtickets_check_healthy 0" in as_metrics.stdout.splitlines()
