"""`probe`: what the live service honours of what a run would ask."""

from pathlib import Path
from typing import Annotated

import typer

from pipelines.commands.command import command
from pipelines.commands.options import Options
from pipelines.errors import ExitCode, ServiceError


@command(
    ExitCode.SERVICE,
    examples={
        "probe": "the first command with a new token: can its account be loaded, and how fast",
        "probe --report probe.json": "name the report, which can be shared",
    },
)
def probe(
    options: Options,
    *,
    report: Annotated[
        Path | None,
        typer.Option(
            "--report",
            metavar="PATH",
            help="File of the report.",
            show_default="probe.json in QTICKETS_HOME",
        ),
    ] = None,
) -> None:
    """Ask QTickets, by GET only, what it honours: filters, orders, pages, fields, datasets.

    It takes less than a minute, loads nothing, and needs no ClickHouse. It prints the answers, what
    a run will do in view of them, and how long the whole history will take. The report has names
    and types of fields, and no person, link, code or token.
    """
    settings = options.announce(options.read_settings(), loads=False)
    from pipelines.loading.pipeline import translated_errors
    from pipelines.loading.service import open_service
    from pipelines.operations import probe_report
    from qtickets_source.observations import Observations

    with open_service(settings) as service, translated_errors(None, settings.qtickets_home):
        probed = probe_report.probe(settings, service, Observations())
    probe_report.print_probe(probed, options.console)
    options.console.print(f"[dim]{len(probed.answers)} answers in {probed.seconds:.0f} s[/]")
    if not settings.dry_run:
        path = report or settings.qtickets_home / "probe.json"
        probe_report.write_report(probed, path)
        options.console.print(f"The report, which holds no personal data: [bold]{path}[/]")
    if probed.problems:
        raise ServiceError(
            "a run would stop, since the service misreads what it is asked. Send the report to the"
            " maintainers of this project, or ask QTickets' support.",
            cause="Misunderstood",
        )
