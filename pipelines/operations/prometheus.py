"""The text format of Prometheus, and the findings of `check` in it."""

from collections.abc import Iterator, Mapping
from typing import Any

from pipelines.operations.checks.health import Health

STATUSES = ("ok", "warning", "error")


def metric(name: str, kind: str, text: str, values: Mapping[str, float]) -> list[str]:
    """Return the lines of one metric.

    Args:
        name: Without the prefix `qtickets_`.
        kind: `gauge` or `counter`.
        text: What it is, for people.
        values: By labels, as they are written: `{result="ok"}`, or "" for none.
    """
    return [
        f"# HELP qtickets_{name} {text}",
        f"# TYPE qtickets_{name} {kind}",
        *(f"qtickets_{name}{labels} {value:.15g}" for labels, value in values.items()),
    ]


def health_metrics(health: Health) -> str:
    """Return the findings for node_exporter's textfile collector."""
    statuses = {
        _labels(check=check.name, status=status): float(check.status == status)
        for check in health.checks
        for status in STATUSES
    }
    values = {
        _labels(check=check.name, value=name): number
        for check in health.checks
        for name, number in _numbers(check.values)
    }
    checked_at = health.checked_at.timestamp()
    healthy = float(health.status != "error")
    lines = [
        *metric("check_healthy", "gauge", "1 if `check` exits with 0.", {"": healthy}),
        *metric("check_timestamp_seconds", "gauge", "Time of the check.", {"": checked_at}),
        *metric("check_status", "gauge", "1 for the status of each check.", statuses),
        *metric("check_value", "gauge", "Numbers that a check found.", values),
    ]
    return "\n".join(lines) + "\n"


def _numbers(values: Mapping[str, Any], prefix: str = "") -> Iterator[tuple[str, float]]:
    """Yield the numbers among values, also those of nested objects."""
    for name, value in values.items():
        if isinstance(value, bool | int | float):
            yield f"{prefix}{name}", float(value)
        elif isinstance(value, dict):
            yield from _numbers(value, f"{prefix}{name}_")
        elif isinstance(value, list):
            yield f"{prefix}{name}_count", float(len(value))


def _labels(**labels: str) -> str:
    escaped = (
        f'{name}="{value}"'.replace("\\", r"\\").replace("\n", r"\n")
        for name, value in labels.items()
    )
    return "{" + ",".join(escaped) + "}"
