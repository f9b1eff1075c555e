"""A transport adapter whose answers are bounded in time and size.

requests' timeout is for each read from the socket, so an answer of a byte a second would never time
out, and it unpacks a compressed body whatever its size.
"""

import socket
import threading
from contextlib import suppress
from typing import Any

import requests
from requests.adapters import HTTPAdapter
from urllib3 import HTTPConnectionPool, HTTPSConnectionPool

MAX_ANSWER_MB = 64
"""The largest answer, unpacked. A page of ten events with seat schemes has 1.3 MB."""

_CHUNK_BYTES = 65_536


class AnswerTimeout(requests.Timeout):
    """The answer was not complete within its time."""


class AnswerTooLarge(requests.RequestException):
    """The answer is larger than MAX_ANSWER_MB."""


class _Deadline:
    """Shuts the connection of one request down when its time is over.

    Args:
        seconds: From the beginning of the request to the end of the answer.
    """

    def __init__(self, seconds: float) -> None:
        self.seconds = seconds
        self.is_over = False
        self.connection: Any = None
        self._timer = threading.Timer(seconds, self._shut_down)
        self._timer.daemon = True

    def __enter__(self) -> "_Deadline":
        self._timer.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._timer.cancel()

    def _shut_down(self) -> None:
        self.is_over = True
        open_socket = getattr(self.connection, "sock", None)
        if open_socket:
            # The thread that reads from it then sees the end of the connection.
            with suppress(OSError):
                open_socket.shutdown(socket.SHUT_RDWR)


_current = threading.local()


class _HTTPConnectionPool(HTTPConnectionPool):
    def _make_request(self, conn: Any, *given: Any, **more: Any) -> Any:
        _current.deadline.connection = conn
        return super()._make_request(conn, *given, **more)


class _HTTPSConnectionPool(HTTPSConnectionPool):
    def _make_request(self, conn: Any, *given: Any, **more: Any) -> Any:
        _current.deadline.connection = conn
        return super()._make_request(conn, *given, **more)


_POOLS = {"http": _HTTPConnectionPool, "https": _HTTPSConnectionPool}


class BoundedAdapter(HTTPAdapter):
    """An `HTTPAdapter` that reads the body itself, within a total time and size.

    The body is read before response hooks are called, so a hook that raises an error leaves no
    connection out of the pool.

    Args:
        seconds: Time of one request, from its beginning to the end of its answer.
        more: As for `HTTPAdapter`.
    """

    def __init__(self, *, seconds: float, **more: Any) -> None:
        self._seconds = seconds
        super().__init__(**more)

    def init_poolmanager(self, *given: Any, **more: Any) -> None:
        super().init_poolmanager(*given, **more)
        self.poolmanager.pool_classes_by_scheme = _POOLS

    def proxy_manager_for(self, proxy: Any, **more: Any) -> Any:
        manager = super().proxy_manager_for(proxy, **more)
        manager.pool_classes_by_scheme = _POOLS
        return manager

    def send(
        self, request: requests.PreparedRequest, *given: Any, **more: Any
    ) -> requests.Response:
        """Send a request and read its answer.

        Raises:
            AnswerTimeout: The answer was not complete in time.
            AnswerTooLarge: The answer is too large; the rest of it was not read.
        """
        with _Deadline(self._seconds) as deadline:
            _current.deadline = deadline
            try:
                response = super().send(request, *given, **more)
                self._read(response)
            except requests.RequestException as error:
                # The timeout of a read is as long, and either of the two may come first.
                if deadline.is_over or isinstance(error, requests.ReadTimeout):
                    raise self._timeout() from error
                raise
        # Without a length the end of the connection looks like the end of the answer.
        if deadline.is_over:
            raise self._timeout()
        return response

    def _timeout(self) -> AnswerTimeout:
        return AnswerTimeout(f"no complete answer within {self._seconds:g} s")

    @staticmethod
    def _read(response: requests.Response) -> None:
        chunks, size = [], 0
        try:
            for chunk in response.iter_content(_CHUNK_BYTES):
                chunks.append(chunk)
                size += len(chunk)
                if size > MAX_ANSWER_MB * 1_000_000:
                    raise AnswerTooLarge(f"more than {MAX_ANSWER_MB} MB")
        except BaseException:
            response.close()
            raise
        response._content = b"".join(chunks)
        response._content_consumed = True  # type: ignore[attr-defined]
