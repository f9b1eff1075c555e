"""What a probe showed: a table for the screen, and a file to share."""

import json
import platform
from importlib.metadata import version
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pipelines.configuration.environment import Settings
from pipelines.errors import ConfigurationError
from pipelines.loading.service import Service
from qtickets_source.api.client import open_client
from qtickets_source.observations import Observations
from qtickets_source.probe import ANSWER_SECONDS, Outcome, Probe, probe_service
from qtickets_source.settings import TRANSPORTS

TOPICS = (
    "service",
    "requests",
    "orders",
    "filters of orders",
    "times in filters",
    "lists",
    "datasets",
)
COLOURS: dict[Outcome, str] = {
    "honoured": "green",
    "readable": "green",
    "ignored": "yellow",
    "refused": "yellow",
    "misread": "bold red",
    "differs": "yellow",
    "unknown": "dim",
}


def probe(settings: Settings, service: Service, observed: Observations) -> Probe:
    """Ask the service what it honours; at most a minute, and by GET only.

    Raises:
        QTicketsError: The first page of orders cannot be read.
    """
    client = open_client(
        base_url=service.base_url,
        token=service.token,
        connections=settings.qtickets_connections,
        timeout_seconds=min(settings.qtickets_timeout_seconds, ANSWER_SECONDS),
        transports=TRANSPORTS,
        observed=observed,
    )
    return probe_service(client, observed)


def print_probe(probed: Probe, console: Console) -> None:
    """Print answers, choices and problems."""
    table = Table(box=None, pad_edge=False, padding=(0, 2, 0, 0))
    for name in ("question", "outcome", "what showed it"):
        table.add_column(name, overflow="fold")
    table.add_column("seconds", justify="right")
    topic = ""
    for answer in sorted(probed.answers, key=lambda answer: TOPICS.index(answer.topic)):
        if answer.topic != topic:
            table.add_row(f"[bold]{answer.topic}[/]")
            topic = answer.topic
        table.add_row(
            f"  {escape(answer.question)}",
            f"[{COLOURS[answer.outcome]}]{answer.outcome}[/]",
            escape(answer.detail),
            "" if answer.seconds is None else f"{answer.seconds:.1f}",
        )
    console.print(table)
    console.print("\n[bold]What a run will do[/]")
    for choice in probed.choices:
        console.print(f"- {escape(choice)}")
    for problem in probed.problems:
        console.print(f"[bold red]A run would stop:[/] {escape(problem)}")


def write_report(probed: Probe, path: Path) -> None:
    """Write the report as JSON: shapes of answers and no value of one.

    Raises:
        ConfigurationError: The file cannot be written.
    """
    report = {
        "python": platform.python_version(),
        "packages": {name: version(name) for name in ("dlt", "requests")},
        **probed.as_json(),
    }
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(json.dumps(report, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")
    except OSError as error:
        raise ConfigurationError(
            f"The report cannot be written to {path}: {error.strerror}. Name another file with"
            " --report."
        ) from error
