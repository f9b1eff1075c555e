"""Verification of a deployment: the steps that an operator makes by hand, with a report.

Each step is the command in its own process, with the environment of this one. The first step that
fails ends the verification, with its output and exit code.
"""

import os
import platform
import subprocess
import sys
import time
from dataclasses import dataclass, field
from datetime import datetime, timezone
from decimal import Decimal
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.markup import escape

from pipelines.configuration.environment import PROJECT, Settings
from pipelines.errors import ExitCode, RunError
from pipelines.operations.redaction import redact_secrets
from pipelines.warehouse.objects import row_counts
from pipelines.warehouse.server import Warehouse, open_warehouse

COMMAND = "pipelines/qtickets.py"
PACKAGES = ("dlt", "dbt-core", "dbt-clickhouse", "clickhouse-connect", "chdb-core", "pydantic")


@dataclass(frozen=True)
class Stored:
    """The content of the server.

    Attributes:
        rows: Number of rows by table.
        versions: A text for each table that any write would change.
        gross: Gross revenue by currency. It never shrinks.
    """

    rows: dict[str, int] = field(default_factory=dict)
    versions: dict[str, str] = field(default_factory=dict)
    gross: dict[str, Decimal] = field(default_factory=dict)


@dataclass(frozen=True)
class Step:
    """A step that was run: the command, its exit code and output."""

    title: str
    call: str
    exit_code: int
    seconds: float
    output: str


@dataclass
class Verification:
    """All steps so far, and the content of the server after them.

    Attributes:
        stored: The content of the server by the time at which it was read.
        failed: Why the verification failed, in one sentence; empty: it did not.
    """

    settings: Settings
    began_at: datetime
    steps: list[Step] = field(default_factory=list)
    stored: dict[str, Stored] = field(default_factory=dict)
    failed: str = ""


def verify(settings: Settings, env_file: Path | None, console: Console) -> tuple[Verification, int]:
    """Make every step, up to the first that fails.

    Args:
        settings: The settings of the steps.
        env_file: The file of variables that is passed to each step.
        console: Shows each step.

    Returns:
        The steps with their results, and the exit code.
    """
    verification = Verification(settings, datetime.now(timezone.utc))
    flags = ["--env-file", str(env_file)] if env_file else []
    variables: dict[str, str] = {}
    if settings.qtickets_offline:
        # By the variable, since most commands do not have the option.
        variables["QTICKETS_OFFLINE"] = str(settings.qtickets_offline)

    def call(title: str, *arguments: str) -> bool:
        command = [sys.executable, str(PROJECT / COMMAND), *arguments, *flags]
        given = [f"{name}={value}" for name, value in variables.items()]
        shown = " ".join([*given, "python", COMMAND, *arguments, *flags])
        console.print(f"{title}: [dim]{escape(shown)}[/]")
        started = time.monotonic()
        done = subprocess.run(  # noqa: S603
            command, env=os.environ | variables, capture_output=True, text=True, check=False
        )
        step = Step(
            title,
            shown,
            done.returncode,
            time.monotonic() - started,
            redact_secrets(done.stdout + done.stderr, settings).strip(),
        )
        verification.steps.append(step)
        if step.exit_code:
            verification.failed = f"Step {len(verification.steps)}, {title}, failed."
        return not step.exit_code

    def remember(when: str) -> Stored:
        with open_warehouse(settings) as warehouse:
            verification.stored[when] = stored(warehouse)
        return verification.stored[when]

    def must(holds: bool, sentence: str) -> bool:
        if not holds:
            verification.failed = sentence
        return holds

    try:
        is_well = (
            call("Configuration", "config")
            and call("Bootstrap", "bootstrap")
            and bool(before := remember("before"))
            and call("Dry run", "run", "--dry-run")
            and must(
                before.versions == remember("after the dry run").versions,
                "The dry run has changed data on the server.",
            )
            and call("Run", "run")
            and bool(first := remember("after the run"))
            and call("Repetition", "run")
            and must(
                _not_shrunk(first, remember("after the repetition")),
                "Gross revenue shrank when the run was repeated. It must never shrink.",
            )
            and call("Check", "check")
        )
    except RunError as error:
        verification.failed, is_well = str(error), False
        exit_code = int(error.exit_code)
    else:
        exit_code = verification.steps[-1].exit_code or int(not is_well)
    if is_well:
        console.print("[green]All is well.[/]")
        return verification, int(ExitCode.OK)
    if verification.steps[-1].exit_code:
        console.print(verification.steps[-1].output, markup=False)
    console.print(f"[bold red]Failed:[/] {verification.failed}")
    return verification, exit_code or int(ExitCode.BUG)


def _not_shrunk(before: Stored, after: Stored) -> bool:
    """Return whether gross revenue is at least what it was, in each currency."""
    return all(
        after.gross.get(currency, Decimal(0)) >= amount for currency, amount in before.gross.items()
    )


def stored(warehouse: Warehouse) -> Stored:
    """Return the present content of the server."""
    rows: dict[str, int] = {}
    versions: dict[str, str] = {}
    gross: dict[str, Decimal] = {}
    for login, database in warehouse.databases:
        with warehouse.connect(login) as client:
            counts = row_counts(client, database)
            found = client.query(
                "SELECT name, toString(uuid), engine LIKE '%Replacing%' FROM system.tables"
                " WHERE database = {db:String} AND total_rows IS NOT NULL ORDER BY name",
                parameters={"db": database},
            ).result_rows
            for name, uuid, loses_versions in found:
                table, count = f"{database}.{name}", counts.get(name, 0)
                rows[table] = count
                versions[table] = f"{uuid} {count}"
                if loses_versions:
                    # Background merges lower the number of rows; only a load changes this.
                    newest = f"SELECT max(_fetched_at) FROM `{database}`.`{name}`"  # noqa: S608
                    versions[table] = f"{uuid} {client.command(newest)}"
            if f"{database}.fact_qtickets_sales_daily" in rows:
                sums = client.query(
                    "SELECT currency, sum(gross_revenue)"  # noqa: S608
                    f" FROM `{database}`.fact_qtickets_sales_daily GROUP BY currency"
                ).result_rows
                gross = {str(currency): amount for currency, amount in sums}
    return Stored(rows, versions, gross)


def write_report(verification: Verification) -> Path:
    """Write the report to QTICKETS_HOME/reports, readable only by its owner; return its path."""
    folder = verification.settings.qtickets_home / "reports"
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = folder / f"verify-{verification.began_at:%Y-%m-%dT%H-%M-%SZ}.md"
    path.touch(mode=0o600)
    path.write_text(report(verification))
    return path


def report(verification: Verification) -> str:
    """Return the report as Markdown."""
    settings, stored = verification.settings, verification.stored
    lines = [
        f"# Verification of {verification.began_at:%Y-%m-%d %H:%M} UTC",
        "",
        f"**Failed.** {verification.failed}" if verification.failed else "**All is well.**",
        "",
        "| | |",
        "| --- | --- |",
        f"| data | {settings.mode} |",
        f"| ClickHouse | {settings.clickhouse_host or 'embedded'},"
        f" databases `{settings.raw_db}` and `{settings.clickhouse_db}` |",
        f"| Python | {platform.python_version()} on {platform.system()} {platform.machine()} |",
        *(f"| {package} | {version(package)} |" for package in PACKAGES),
        "",
    ]
    for number, step in enumerate(verification.steps, 1):
        result = "done" if not step.exit_code else f"failed with exit code {step.exit_code}"
        lines += [
            f"## {number}. {step.title}: {result}",
            "",
            f"`{step.call}`, {step.seconds:.1f} s",
            "",
            "```text",
            step.output,
            "```",
            "",
        ]
    if stored:
        tables = sorted({table for state in stored.values() for table in state.rows})
        lines += ["## Rows", "", f"| table | {' | '.join(stored)} |"]
        lines += ["| --- |" + " ---: |" * len(stored)]
        for table in tables:
            counts = " | ".join(f"{state.rows.get(table, 0):,}" for state in stored.values())
            lines.append(f"| `{table}` | {counts} |")
        for when, state in stored.items():
            amounts = ", ".join(f"{amount} {code}" for code, amount in sorted(state.gross.items()))
            lines += ["", f"Gross revenue {when}: {amounts or 'none'}."]
        lines.append("")
    return redact_secrets("\n".join(lines), settings)
