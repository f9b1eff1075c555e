"""No answer blocks a run: errors, slow or endless answers, answers that unpack into gigabytes."""

import gzip
import socket
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress

import pytest

from qtickets_source.api.client import open_client
from qtickets_source.api.filters import Condition
from qtickets_source.errors import (
    AccessRefused,
    NotFound,
    QTicketsError,
    ServiceUnavailable,
    UnexpectedAnswer,
    UnknownPath,
)
from sandbox import Fault, Server, World, serve

TOKEN = "sandbox-token"
EVERYTHING = Condition("payed_at", ">=", World(orders=1).now)


@pytest.fixture(scope="module")
def server() -> Iterator[Server]:
    with serve(World(orders=100, seed=3), TOKEN) as running:
        yield running


@pytest.fixture(autouse=True)
def _no_fault_left(server: Server) -> Iterator[None]:
    yield
    server.faults.clear()


@contextmanager
def raw_service(answer: Callable[[socket.socket], None]) -> Iterator[str]:
    """Serve every connection with `answer` in a separate thread; yield the base URL."""
    listener = socket.create_server(("127.0.0.1", 0))
    is_over = threading.Event()

    def serve_one(connection: socket.socket) -> None:
        with connection:
            connection.recv(65536)
            with suppress(OSError):  # The client may close the connection.
                answer(connection)

    def accept() -> None:
        while not is_over.is_set():
            try:
                connection, _ = listener.accept()
            except OSError:
                return
            threading.Thread(target=serve_one, args=(connection,), daemon=True).start()

    threading.Thread(target=accept, daemon=True).start()
    try:
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/api/rest/v1"
    finally:
        is_over.set()
        listener.close()


def trickle(head: bytes, byte: bytes) -> Callable[[socket.socket], None]:
    """Return an answer that sends a byte every tenth of a second, for a minute."""

    def answer(connection: socket.socket) -> None:
        connection.sendall(head)
        for _ in range(600):
            connection.sendall(byte)
            time.sleep(0.1)

    return answer


@pytest.mark.parametrize(
    ("status", "body", "error"),
    [
        (401, "json", AccessRefused),
        (403, "json", AccessRefused),
        (404, "json", NotFound),
        (404, "html", UnknownPath),
        (302, "html", UnexpectedAnswer),
        (418, "json", UnexpectedAnswer),
    ],
)
def test_error_answers_release_their_connection(
    server: Server, status: int, body: str, error: type[QTicketsError]
) -> None:
    client = open_client(base_url=server.url, token=TOKEN, connections=2, retry_seconds=1)
    server.faults.append(Fault("/orders", kind="status", status=status, body=body, times=9))
    done = threading.Event()

    def ask_nine_times() -> None:
        for _ in range(9):
            with pytest.raises(error):
                client.get("orders/1", {})
        done.set()

    threading.Thread(target=ask_nine_times, daemon=True).start()

    assert done.wait(30), "an error did not release its connection"


HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\n"


@pytest.mark.parametrize(
    ("head", "byte"),
    [
        (HEAD + b"Content-Length: 100000\r\n\r\n", b" "),
        (HEAD + b"Transfer-Encoding: chunked\r\n\r\n", b"1\r\n \r\n"),
        (b"HTTP/1.1 200 OK\r\nX-Header: ", b"a"),
    ],
    ids=["body", "chunks", "headers"],
)
def test_a_slow_answer_is_limited_in_total_time(head: bytes, byte: bytes) -> None:
    with raw_service(trickle(head, byte)) as url:
        client = open_client(base_url=url, token=TOKEN, timeout_seconds=1, retry_seconds=1)

        with pytest.raises(ServiceUnavailable, match="no complete answer within 1 s"):
            client.get("orders/1", {})


def test_a_small_answer_that_unpacks_into_gigabytes_is_refused_without_unpacking_it() -> None:
    packed = gzip.compress(b" " * 200_000_000, 9)
    head = HEAD + b"Content-Encoding: gzip\r\nContent-Length: %d\r\n\r\n" % len(packed)

    with raw_service(lambda connection: connection.sendall(head + packed)) as url:
        client = open_client(base_url=url, token=TOKEN, timeout_seconds=20, retry_seconds=1)
        with pytest.raises(UnexpectedAnswer, match="more than 64 MB"):
            client.get("orders/1", {})


@pytest.mark.parametrize("status", [520, 521, 522, 523, 524])
def test_the_errors_of_a_proxy_in_front_of_the_service_are_retried(
    server: Server, status: int
) -> None:
    server.faults.append(Fault("/orders", kind="status", status=status, times=1))
    client = open_client(base_url=server.url, token=TOKEN, retry_seconds=10)

    assert next(client.walk("orders"))


@pytest.mark.parametrize("is_chunked", [False, True])
def test_a_body_that_is_cut_off_is_retried(is_chunked: bool) -> None:
    whole = b'{"data": [{"id": 1}]}'
    answers = iter([whole[:9], whole])

    def answer(connection: socket.socket) -> None:
        body = next(answers)
        if is_chunked:
            # The body was cut before it was sent: the transfer is complete, but the JSON is not.
            connection.sendall(
                HEAD + b"Connection: close\r\nTransfer-Encoding: chunked\r\n\r\n"
                b"%x\r\n%s\r\n0\r\n\r\n" % (len(body), body)
            )
        else:
            connection.sendall(
                HEAD + b"Connection: close\r\nContent-Length: %d\r\n\r\n%s" % (len(whole), body)
            )

    with raw_service(answer) as url:
        client = open_client(base_url=url, token=TOKEN, timeout_seconds=5, retry_seconds=20)

        assert client.get("orders/1", {}) == [{"id": 1}]
