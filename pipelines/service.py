"""Whom a run reads from: the live service, a cassette, or the sandbox when there is no token."""

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field

from .errors import ConfigurationError
from .settings import Settings

DEMO_TOKEN = "sandbox-token"  # noqa: S105 - opens nothing but the made-up world of the sandbox


@dataclass(frozen=True)
class Service:
    """Address and token of a QTickets API."""

    base_url: str
    token: str = field(repr=False)


@contextmanager
def open_service(settings: Settings) -> Iterator[Service]:
    """The service to read from, for as long as the run takes."""
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
        from .offline import OfflineService, read_cassette

        with OfflineService(read_cassette(settings.qtickets_offline), DEMO_TOKEN) as server:
            yield Service(server.url, DEMO_TOKEN)
    else:
        assert settings.qtickets_token is not None
        yield Service(settings.qtickets_base_url, settings.qtickets_token.get_secret_value())
