"""uvicorn in a thread of its own: the main thread makes the runs, and gets the signals."""

import logging
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Thread

import uvicorn
from starlette.types import ASGIApp

from pipelines.errors import ConfigurationError

START_SECONDS = 30
STOP_SECONDS = 5
MOST_CONNECTIONS = 500


@contextmanager
def serve_http(app: ASGIApp, listen: str) -> Iterator[str]:
    """Serve an application for the duration of a block; yield its address.

    Raises:
        ConfigurationError: The address cannot be used.
    """
    host, _, port = listen.rpartition(":")
    listener = _listening_socket(host.strip("[]"), int(port))
    config = uvicorn.Config(
        app,
        log_level=logging.WARNING,
        log_config=None,
        # Addresses of visitors are personal data, and a token may be in the query string.
        access_log=False,
        server_header=False,
        # `X-Forwarded-For` shows that a proxy is in between, and is never believed.
        proxy_headers=False,
        limit_concurrency=MOST_CONNECTIONS,
        timeout_keep_alive=15,
        timeout_graceful_shutdown=STOP_SECONDS,
        lifespan="off",
        ws="none",
    )
    server = uvicorn.Server(config)
    thread = Thread(target=server.run, args=([listener],), name="http", daemon=True)
    thread.start()
    try:
        deadline = time.monotonic() + START_SECONDS
        while not server.started and thread.is_alive() and time.monotonic() < deadline:
            time.sleep(0.01)
        if not server.started:
            raise ConfigurationError(f"QTICKETS_LISTEN={listen}: the server does not start.")
        bound = listener.getsockname()
        name = f"[{bound[0]}]" if ":" in bound[0] else bound[0]
        yield f"http://{name}:{bound[1]}"
    finally:
        server.should_exit = True
        thread.join(STOP_SECONDS + 1)
        listener.close()


def _listening_socket(host: str, port: int) -> socket.socket:
    try:
        family, kind, protocol, _, address = socket.getaddrinfo(
            host, port, type=socket.SOCK_STREAM, flags=socket.AI_PASSIVE
        )[0]
        listener = socket.socket(family, kind, protocol)
        try:
            listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            listener.bind(address)
            listener.listen(512)
        except OSError:
            listener.close()
            raise
    except OSError as error:
        raise ConfigurationError(
            f"QTICKETS_LISTEN={host}:{port} cannot be used: {error.strerror or error}. Another"
            " `serve` may be running; stop it, or choose another port."
        ) from error
    listener.setblocking(False)
    return listener
