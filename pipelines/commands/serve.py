"""`serve`: the resident process."""

from pipelines.commands.command import command
from pipelines.commands.options import Options
from pipelines.errors import ConfigurationError, ExitCode


@command(
    ExitCode.SERVICE,
    ExitCode.CLICKHOUSE,
    examples={
        "serve": "runs every 30 minutes, the page at http://127.0.0.1:8090/, webhooks",
    },
)
def serve(options: Options) -> None:
    """Stay: make runs on schedule, receive webhooks, and serve the page, which refreshes itself.

    An order that a webhook names is on the dashboard seconds later. A webhook is only a hint: the
    order is read again from QTickets, and each run finds what webhooks missed. Webhooks are
    received if QTICKETS_WEBHOOK_SECRET is set. The page opens on this machine, or with
    QTICKETS_PAGE_TOKEN. Without a token of QTickets it is a demo in which tickets are sold.
    SIGTERM and Ctrl-C end it.
    """
    settings = options.read_settings(writes=True, alerts=True)
    if settings.qtickets_offline:
        raise ConfigurationError("QTICKETS_OFFLINE: `serve` needs a service, not a recording.")
    settings = options.announce(settings)
    # Imported late: uvicorn, ClickHouse's driver and pyarrow take a second.
    from pipelines.service.process import serve_forever
    from pipelines.service.worker import LogOptions

    logs = LogOptions(options.verbose, options.json_logs, options.quiet)
    serve_forever(settings, options.console, logs)
