"""Build the marts from the raw tables: `dbt build` in this process."""

import logging
from dataclasses import dataclass, field
from datetime import datetime
from typing import Any

from pipelines.configuration.environment import DBT_PROJECT, Settings
from pipelines.configuration.library_environment import environment
from pipelines.errors import ClickHouseError, MartsError, disk_full
from pipelines.transform.project_state import state_folder
from pipelines.warehouse.error_messages import is_about_the_server
from pipelines.warehouse.server import Warehouse


@dataclass
class MartsReport:
    """What `dbt build` did.

    Attributes:
        models: Number of models built.
        tests: Number of tests that passed or warned.
        warnings: Messages of the tests that warned, which does not stop a build.
    """

    models: int = 0
    tests: int = 0
    warnings: list[str] = field(default_factory=list)


def build_marts(
    settings: Settings, warehouse: Warehouse, *flags: str, changed_since: datetime | None = None
) -> MartsReport:
    """Build and test the models.

    Args:
        settings: The settings of the run.
        warehouse: The server to build on.
        flags: Flags for `dbt build`, instead of those for a partial rebuild.
        changed_since: Rebuild only rows affected by orders fetched after this, UTC; None: all rows.

    Raises:
        MartsError: Models or tests failed; the message names them. Models that depend on them are
            unchanged.
        ClickHouseError: The server cannot be reached, or the user lacks a grant.
        ConfigurationError: The disk is full.
    """
    # The import takes about three seconds, which a run that fails earlier does not need.
    from dbt.cli.main import dbtRunner

    # If dbt cannot write its log, logging would print tracebacks. The result has the error.
    logging.raiseExceptions = False
    # A partial rebuild: docs/partial_rebuilds.md.
    if changed_since and not flags:
        flags = ("--selector", "changed_rows")
    with environment(dbt_environment(settings, warehouse) | changed_since_variable(changed_since)):
        result = dbtRunner().invoke(
            [
                "--quiet",
                "--no-use-colors",
                "--no-version-check",
                # The JSON manifest is for other tools and takes a second. `dbt docs` writes one.
                "--no-write-json",
                # Logging every statement would take a tenth of a build; ClickHouse logs them.
                "--log-level-file",
                "info",
                "build",
                "--project-dir",
                str(DBT_PROJECT),
                "--profiles-dir",
                str(DBT_PROJECT),
                *flags,
            ]
        )
    log = settings.qtickets_home / "dbt" / "logs" / "dbt.log"
    if isinstance(result.exception, KeyboardInterrupt):
        raise result.exception
    if result.exception is not None:
        if full := disk_full(result.exception, settings.qtickets_home / "dbt"):
            raise full
        text = " ".join(str(result.exception).split())
        _raise_unless_model_failed(text, warehouse)
        raise MartsError(f"dbt build did not start: {text[:400]}. See its log: {log}")
    return _report(result.result, str(log), warehouse)


def _raise_unless_model_failed(message: str, warehouse: Warehouse) -> None:
    """Raise a ClickHouseError if not a model failed but the connection, the login or the server."""
    if is_about_the_server(message):
        raise ClickHouseError(
            "Building the marts failed. " + warehouse.error_message(message, warehouse.transformer)
        )


def dbt_environment(settings: Settings, warehouse: Warehouse) -> dict[str, str]:
    """Return the environment variables that the dbt project and its profile read."""
    return {
        **model_variables(settings),
        "CLICKHOUSE_HOST": warehouse.host,
        "CLICKHOUSE_PORT": str(warehouse.port),
        "CLICKHOUSE_USER": warehouse.transformer.user,
        "CLICKHOUSE_PASSWORD": warehouse.transformer.password,
        "CLICKHOUSE_TRANSFORM_USER": warehouse.transformer.user,
        "CLICKHOUSE_TRANSFORM_PASSWORD": warehouse.transformer.password,
        "CLICKHOUSE_SECURE": str(warehouse.secure).lower(),
        "CLICKHOUSE_VERIFY_SSL": str(warehouse.verify).lower(),
        "CLICKHOUSE_CLUSTER": warehouse.cluster or "",
        # dbt-clickhouse has no setting for a CA. OpenSSL reads this one.
        **({"SSL_CERT_FILE": str(warehouse.ca_cert)} if warehouse.ca_cert else {}),
        "CLICKHOUSE_DB": warehouse.marts_db,
        "DBT_TARGET_PATH": str(state_folder(settings.qtickets_home, DBT_PROJECT) / "target"),
        "DBT_LOG_PATH": str(settings.qtickets_home / "dbt" / "logs"),
    }


def model_variables(settings: Settings) -> dict[str, str]:
    """Return the environment variables on which the models' rows depend."""
    return {
        "REPORT_TZ": settings.report_tz,
        "REPORT_NOW": settings.report_now,
        "QTICKETS_LATE_HOURS": f"{settings.qtickets_late_hours:g}",
        "QTICKETS_STALE_HOURS": f"{settings.qtickets_stale_hours:g}",
    }


def changed_since_variable(since: datetime | None) -> dict[str, str]:
    """Return the environment variable that dbt_project/macros/changed_rows.sql reads."""
    return {"QTICKETS_CHANGED_SINCE": f"{since:%Y-%m-%d %H:%M:%S.%f}" if since else ""}


def _report(execution: Any, log: str, warehouse: Warehouse) -> MartsReport:
    report = MartsReport()
    failures = []
    for result in execution.results:
        kind, name, status = result.node.resource_type, result.node.name, str(result.status)
        if kind == "model" and status == "success":
            report.models += 1
        elif status == "pass":
            report.tests += 1
        elif status == "warn":
            report.tests += 1
            report.warnings.append(f"{name}: {result.message}")
        elif status in ("error", "fail"):
            _raise_unless_model_failed(result.message or "", warehouse)
            message = " ".join((result.message or "").split())
            failures.append(f"{kind} {name}: {message[:200]}")
    if failures:
        more = f" (and {len(failures) - 3} more)" if len(failures) > 3 else ""
        raise MartsError(f"dbt build failed: {'; '.join(failures[:3])}{more}. See its log: {log}")
    return report
