"""Errors name their cause (protection, token, proxy, port) in one line without personal data."""

import socket
import ssl
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

import pytest
import trustme

from qtickets_source.api.client import open_client
from qtickets_source.errors import (
    AccessRefused,
    QTicketsError,
    RequestNotSent,
    ServiceUnavailable,
    UnexpectedAnswer,
)
from sandbox import Fault, Server, World, serve

TOKEN = "sandbox-token"


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with serve(World(orders=100, seed=3), TOKEN) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    running.requests.clear()
    yield running
    running.faults.clear()


def ask(url: str, retry_seconds: float = 1) -> object:
    client = open_client(base_url=url, token=TOKEN, timeout_seconds=2, retry_seconds=retry_seconds)
    return client.get("orders/1", {})


@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_blocking_page_of_the_protection_is_retried_and_not_blamed_on_the_token(
    server: Server, status: int
) -> None:
    server.faults.append(Fault("/orders", kind="status", status=status, body="html"))

    with pytest.raises(ServiceUnavailable, match="the service's protection blocks this address"):
        ask(server.url, retry_seconds=2)

    assert len(server.requests) > 1


@pytest.mark.parametrize("status", [401, 403])
def test_a_refusal_of_the_application_is_about_the_token_and_not_retried(
    server: Server, status: int
) -> None:
    server.faults.append(Fault("/orders", kind="status", status=status, body="json"))

    with pytest.raises(AccessRefused, match="QTICKETS_TOKEN"):
        ask(server.url)

    assert len(server.requests) == 1


def answering(body: bytes, status: bytes = b"422 Unprocessable Entity") -> bytes:
    head = b"HTTP/1.1 %s\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n"
    return head % (status, len(body)) + body


@contextmanager
def listening(answer: bytes, context: ssl.SSLContext | None = None) -> Iterator[int]:
    """Answer every connection with the same bytes, over TLS if a context is given.

    Yields:
        The port.
    """
    listener = socket.create_server(("127.0.0.1", 0))

    def accept() -> None:
        with suppress(OSError):
            while True:
                connection, _ = listener.accept()
                with suppress(OSError), connection:
                    wrapped = context.wrap_socket(connection, True) if context else connection
                    wrapped.recv(65536)
                    wrapped.sendall(answer)

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield listener.getsockname()[1]
    finally:
        listener.close()


def test_the_message_quotes_the_service_without_personal_data() -> None:
    said = (
        b'{"error": "Client \\"Anna Petrova\\" +7 916 123-45-67 anna@mail.ru has no order'
        b' https://qtickets.ru/o/abc", "status": 422, "code": "VALIDATION_ERROR"}'
    )

    with (
        listening(answering(said)) as port,
        pytest.raises(UnexpectedAnswer, match="HTTP 422") as raised,
    ):
        ask(f"http://127.0.0.1:{port}/api/rest/v1")

    assert "It says: VALIDATION_ERROR, Client … … … has no order …." in str(raised.value)


def test_a_socks_proxy_without_its_package_is_one_clear_line(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:9")

    with pytest.raises(RequestNotSent, match="PySocks is not installed"):
        ask("https://qtickets.invalid/api/rest/v1")


def test_requests_to_this_machine_bypass_the_proxy(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name in ("http_proxy", "https_proxy", "all_proxy"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    client = open_client(base_url=server.url, token=TOKEN, retry_seconds=1)

    assert next(client.walk("orders"))


def test_plain_http_to_a_tls_port_is_reported() -> None:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    trustme.CA().issue_cert("127.0.0.1").configure_cert(context)

    with listening(b"", context) as port, pytest.raises(QTicketsError) as raised:
        ask(f"http://127.0.0.1:{port}/api/rest/v1")

    assert "QTICKETS_BASE_URL" in str(raised.value)


def test_tls_to_a_plain_port_is_reported() -> None:
    with (
        listening(answering(b"{}", b"400 Bad Request")) as port,
        pytest.raises(ServiceUnavailable, match="this port does not speak TLS"),
    ):
        ask(f"https://127.0.0.1:{port}/api/rest/v1")


def test_a_port_with_another_protocol_is_reported() -> None:
    with (
        listening(b"SSH-2.0-OpenSSH_9.2\r\n") as port,
        pytest.raises(ServiceUnavailable, match="this port does not speak HTTP"),
    ):
        ask(f"http://127.0.0.1:{port}/api/rest/v1")
