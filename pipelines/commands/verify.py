"""`verify`: the steps of an operator after a deployment, with a report."""

import typer

from pipelines.commands.command import command
from pipelines.commands.offline import Offline, OfflineCommand, overrides
from pipelines.commands.options import Options
from pipelines.errors import ExitCode


@command(
    ExitCode.SERVICE,
    ExitCode.CLICKHOUSE,
    ExitCode.MARTS,
    ExitCode.BUSY,
    cls=OfflineCommand,
    examples={
        "verify": "after a deployment or an upgrade, with the configuration of the runs",
        "verify --offline": "the same on recorded answers, without network",
    },
)
def verify(options: Options, *, offline: Offline = None) -> None:
    """Run config, bootstrap, dry run, run, run again and check; write a report.

    It stops at the first step that fails, with that step's exit code. The report is in
    QTICKETS_HOME/reports.
    """
    settings = options.read_settings(**overrides(offline))
    from pipelines.operations.verify import verify, write_report

    verification, exit_code = verify(settings, options.env_file, options.console)
    options.console.print(f"The report: {write_report(verification)}")
    raise typer.Exit(exit_code)
