"""The service that a run reads: the live one, a cassette, or the sandbox if there is no token."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import timezone
from pathlib import Path
from typing import TYPE_CHECKING

from pipelines.configuration.environment import CASSETTE, Settings
from pipelines.errors import ConfigurationError

if TYPE_CHECKING:
    from sandbox.cassette import RecordedAccount

DEMO_TOKEN = "sandbox-token"  # noqa: S105 - only the sandbox's made-up account accepts it


@dataclass(frozen=True)
class Service:
    """Address and token of a QTickets API."""

    base_url: str
    token: str = field(repr=False)


@contextmanager
def open_service(settings: Settings) -> Iterator[Service]:
    """Open the service to read from, for the duration of a run.

    Raises:
        ConfigurationError: The sandbox is not installed, or the cassette cannot be read.
    """
    if settings.is_demo:
        try:
            from sandbox import demo_world, serve
        except ModuleNotFoundError as error:
            raise ConfigurationError(
                f"QTICKETS_TOKEN is not set, and the demo needs {error.name}, which is not"
                " installed here: set the token, or install all of requirements.txt."
            ) from error

        with serve(demo_world(), token=DEMO_TOKEN) as server:
            yield Service(server.url, DEMO_TOKEN)
    elif settings.qtickets_offline:
        from sandbox.cassette import OfflineService

        account = _recorded_account(settings.qtickets_offline)
        with OfflineService(account, DEMO_TOKEN) as server:
            yield Service(server.url, DEMO_TOKEN)
    else:
        assert settings.qtickets_token is not None
        yield Service(settings.qtickets_base_url, settings.qtickets_token.get_secret_value())


def at_recording(settings: Settings) -> Settings:
    """Return the settings with `REPORT_NOW` at the recording, so that "today" has its sales.

    Raises:
        ConfigurationError: The cassette cannot be read.
    """
    assert settings.qtickets_offline is not None
    moment = _recorded_account(settings.qtickets_offline).now.astimezone(timezone.utc)
    if settings.report_now:
        return settings
    return settings.model_copy(update={"report_now": f"{moment:%Y-%m-%d %H:%M:%S}"})


def _recorded_account(path: Path) -> "RecordedAccount":
    from sandbox.cassette import CassetteError, read_cassette

    try:
        return read_cassette(path)
    except CassetteError as error:
        default = f" The cassette of the project is {CASSETTE}." if path.exists() else ""
        raise ConfigurationError(f"--offline {error}{default}") from None
