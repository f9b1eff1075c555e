"""`config`: the settings in force."""

from pipelines.commands.command import command
from pipelines.commands.options import Format, Options, OutputFormat


@command(
    examples={
        "config": "every setting and its origin, as a table",
        "config --env-file /etc/qtickets/qtickets.env": "the same for another file",
    },
)
def config(options: Options, *, output: Format = OutputFormat.TABLE) -> None:
    """Show every setting and where it came from, secrets masked; then every problem.

    Nothing is connected to. The exit code is 2 if a setting is wrong.
    """
    from pipelines.configuration.config_report import show_config

    show_config(options.console, options.env_file, as_json=output is OutputFormat.JSON)
