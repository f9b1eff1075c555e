"""`verify` checks an environment step by step, and a dry run writes nothing."""

import os
import subprocess
import sys
from pathlib import Path

from tests.support.account import Account
from tests.support.paths import PROJECT


def verified(account: Account, **variables: str) -> tuple[subprocess.CompletedProcess[str], str]:
    """Run `verify`; return its result and its report."""
    home = Path((account.environment | variables)["QTICKETS_HOME"])
    before = set(home.glob("reports/*.md"))
    result = subprocess.run(
        [sys.executable, "pipelines/qtickets.py", "verify"],
        env=os.environ | account.environment | variables,
        cwd=PROJECT,
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    [path] = set(home.glob("reports/*.md")) - before
    assert path.stat().st_mode & 0o777 == 0o600
    return result, path.read_text()


def test_every_step_is_made_and_reported_without_secrets(account: Account) -> None:
    marts = account.snapshot()

    result, report = verified(account, QTICKETS_ALERT_TELEGRAM_CHAT="")

    assert result.returncode == 0, result.stdout + result.stderr
    titles = [line for line in report.splitlines() if line.startswith("## ")]
    assert [title.split(". ")[-1] for title in titles] == [
        "Configuration: done",
        "Bootstrap: done",
        "Dry run: done",
        "Run: done",
        "Repetition: done",
        "Check: done",
        "## Rows",
    ]
    assert "**All is well.**" in report
    assert "no ClickHouse writes" in report
    assert "| dbt-core | 1.11" in report
    sold = account.rows("SELECT count() AS days FROM zakaz.fact_qtickets_sales_daily")[0]["days"]
    [row] = [line for line in report.splitlines() if "`zakaz.fact_qtickets_sales_daily`" in line]
    assert row.split("|")[2:-1] == [f" {sold:,} "] * 4
    passwords = [login.password for login in account.server.logins.values()]
    for secret in (account.environment["QTICKETS_TOKEN"], *passwords):
        assert secret not in report + result.stdout + result.stderr
    assert account.snapshot() == marts


def test_the_first_failure_ends_it_with_its_output_and_exit_code(
    account: Account, tmp_path: Path
) -> None:
    result, report = verified(
        account,
        QTICKETS_HOME=str(tmp_path / "home"),
        CLICKHOUSE_HOST=account.server.host,
        CLICKHOUSE_PORT=str(account.server.http_port),
        CLICKHOUSE_USER="loader",
        CLICKHOUSE_PASSWORD="a-wrong-password",
        QTICKETS_PII_SALT="a-random-salt-to-hide",
    )

    assert result.returncode == 4
    assert "refused the login of user loader" in result.stdout
    assert "refused the login of user loader" in report
    assert "**Failed.** Step 2, Bootstrap, failed." in report
    assert "Dry run" not in report
    for secret in ("a-wrong-password", "a-random-salt-to-hide"):
        assert secret not in report + result.stdout + result.stderr


def test_a_dry_run_on_loaded_databases_writes_no_row_and_no_state(account: Account) -> None:
    account.world.sell(tickets=2, price=100)
    home = Path(account.environment["QTICKETS_HOME"])

    def everything() -> list[object]:
        """Return the rows of every table, including dlt's state and the job log, and all files."""
        tables = [
            row["name"]
            for database in ("zakaz", "zakaz_raw")
            for row in account.rows(
                f"SELECT '{database}.' || name AS name FROM system.tables"
                f" WHERE database = '{database}' AND total_rows IS NOT NULL ORDER BY name"
            )
        ]
        hashes = account.rows(
            " UNION ALL ".join(
                # Rows are hashed as text, because the hash of a row with a null would be null.
                f"SELECT '{table}' AS name, count() AS rows,"
                " sum(cityHash64(toString(tuple(*)))) AS content"
                f" FROM {table}{' FINAL' if is_versioned(table) else ''}"
                for table in tables
            )
        )
        files = sorted(
            (str(path), path.stat().st_mtime_ns)
            for folder in ("dlt", "dbt")
            for path in (home / folder).rglob("*")
        )
        return [sorted(hashes, key=lambda row: str(row["name"])), files]

    def is_versioned(table: str) -> bool:
        return table.startswith("zakaz_raw.") and "dlt_" not in table

    before = everything()
    result = account.command("--dry-run")
    after = everything()
    assert account.command().exit_code == 0

    assert result.exit_code == 0, result.output
    assert "orders with" in result.stdout
    assert after == before
    assert everything() != before, "a real run changes the tables"
