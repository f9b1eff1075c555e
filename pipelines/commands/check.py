"""`check`: whether the data can be trusted now."""

from enum import StrEnum
from typing import Annotated

import typer

from pipelines.commands.command import command
from pipelines.commands.options import Options
from pipelines.errors import ConfigurationError


class HealthFormat(StrEnum):
    """For whom the findings are."""

    TABLE = "table"
    JSON = "json"
    PROMETHEUS = "prometheus"


@command(
    examples={
        "check": "what is wrong, as a table",
        "check --format json": "the same for a monitoring system",
        "check --format prometheus": "the same as metrics",
        "check --alert": "the same, and send alerts",
        "check --test-alert": "send a test alert to every configured address",
    },
)
def check(
    options: Options,
    *,
    output: Annotated[
        HealthFormat,
        typer.Option(
            "--format", help="For people, for programs, or for node_exporter's textfile collector."
        ),
    ] = HealthFormat.TABLE,
    alert: Annotated[
        bool,
        typer.Option("--alert", help="Alert what is wrong and what has recovered, each once."),
    ] = False,
    test_alert: Annotated[
        bool, typer.Option("--test-alert", help="Check nothing; send a test to every address.")
    ] = False,
) -> None:
    """Check service, ClickHouse, last run, age of the data, marts and disk.

    It takes about a second and changes nothing. The exit code is 1 if something is wrong.
    """
    if alert and test_alert:
        raise ConfigurationError("--alert, --test-alert: one at a time.")
    # Imports less than a run does, so that a probe takes a second.
    from pipelines.operations.check_report import print_health
    from pipelines.operations.checks.health import invalid_configuration

    try:
        settings = options.read_settings(alerts=alert or test_alert)
    except ConfigurationError as error:
        if output != HealthFormat.TABLE:
            print_health(invalid_configuration(error), options.console, output)
        raise
    if test_alert:
        from pipelines.operations.alerts import send_test

        sent = send_test(settings)
        if not sent:
            raise ConfigurationError(
                "--test-alert: no alerts are configured. Set QTICKETS_ALERT_WEBHOOK,"
                " QTICKETS_ALERT_TELEGRAM_TOKEN or QTICKETS_ALERT_URLS."
            )
        for name, delivered in sent.items():
            status = "delivered" if delivered else "[bold red]not delivered[/]"
            options.console.print(f"{name}: {status}")
        raise typer.Exit(int(not all(sent.values())))
    from pipelines.operations.check import check

    health = check(settings)
    print_health(health, options.console, output)
    if alert:
        from pipelines.operations.alerts import alert_health

        alert_health(settings, health)
    raise typer.Exit(int(health.status == "error"))
