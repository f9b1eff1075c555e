"""Output of `check`: a table for people, JSON or metrics for machines."""

import json

from rich.console import Console
from rich.markup import escape

from pipelines.operations.checks.health import Health
from pipelines.operations.prometheus import health_metrics

_COLOURS = {"ok": "green", "warning": "yellow", "error": "bold red"}


def print_health(health: Health, console: Console, output: str = "table") -> None:
    """Print one line for each finding, or all of them as one JSON object or as metrics."""
    if console.quiet:
        return
    if output == "prometheus":
        print(health_metrics(health), end="")
        return
    if output == "json":
        print(json.dumps(health.as_json(), ensure_ascii=False, indent=2))
        return
    width = max(len(check.name) for check in health.checks)
    for check in health.checks:
        status = f"[{_COLOURS[check.status]}]{check.status:<7}[/]"
        console.print(f"{check.name:<{width}}  {status}  {escape(check.message)}")
