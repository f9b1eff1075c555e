"""Everything that `serve` opens, in order, and closes again."""

import secrets
from contextlib import ExitStack

from rich.console import Console

from pipelines.configuration.environment import Settings
from pipelines.errors import ConfigurationError
from pipelines.loading.service import open_service
from pipelines.service.application import WEBHOOK_PATH, PageReader, make_application
from pipelines.service.demo import open_demo
from pipelines.service.http_server import serve_http
from pipelines.service.spool import Spool, SpoolError
from pipelines.service.status import Status
from pipelines.service.supervisor import Supervisor
from pipelines.service.webhooks import Receiver
from pipelines.service.worker import LogOptions, WorkerJob
from pipelines.warehouse.server import open_warehouse


def serve_forever(settings: Settings, console: Console, logs: LogOptions) -> None:
    """Serve until SIGTERM or Ctrl-C.

    Raises:
        ConfigurationError: The address is in use, or QTICKETS_HOME cannot be written.
        ClickHouseError: ClickHouse cannot be reached at the start.
    """
    secret, receives = _webhook_secret(settings)
    with ExitStack() as stack:
        path = settings.qtickets_home / "webhooks.db"
        try:
            spool = Spool(path)
        except SpoolError as error:
            raise ConfigurationError(f"QTICKETS_HOME: {error}.") from error
        stack.callback(spool.close)
        warehouse = stack.enter_context(open_warehouse(settings))
        status = Status()
        supervisors: list[Supervisor] = []

        def wake() -> None:
            for one in supervisors:
                one.wake()

        receiver = Receiver(spool, secret, wake) if receives else None
        reader = PageReader(settings, warehouse, status)
        app = make_application(settings, status, spool, receiver, reader)
        address = stack.enter_context(serve_http(app, settings.qtickets_listen))
        if settings.is_demo:
            service = stack.enter_context(open_demo(address + WEBHOOK_PATH, secret or ""))
        else:
            service = stack.enter_context(open_service(settings))
        _announce(settings, console, address, receives=receives)
        job = WorkerJob(settings, warehouse, service, path, status, logs, counts_webhooks=receives)
        supervisors.append(Supervisor(job, spool))
        supervisors[0].supervise()


def _webhook_secret(settings: Settings) -> tuple[str | None, bool]:
    """Return the secret, and whether webhooks are received."""
    if settings.qtickets_webhook_secret:
        if settings.qtickets_webhook_open:
            raise ConfigurationError(
                "QTICKETS_WEBHOOK_OPEN, QTICKETS_WEBHOOK_SECRET: one at a time. With a secret every"
                " webhook must be signed."
            )
        return settings.qtickets_webhook_secret.get_secret_value(), True
    if settings.is_demo:
        return secrets.token_hex(16), True
    return None, settings.qtickets_webhook_open


def _announce(settings: Settings, console: Console, address: str, *, receives: bool) -> None:
    console.print(f"The page: [bold]{address}/[/], every {settings.qtickets_every_minutes} min.")
    if settings.qtickets_webhook_open:
        console.print("[bold yellow]Webhooks are received without a signature.[/]")
    if receives:
        console.print(f"Webhooks: {address}{WEBHOOK_PATH}")
    else:
        console.print(
            "Webhooks are not received: QTICKETS_WEBHOOK_SECRET is not set (docs/live.md)."
        )
