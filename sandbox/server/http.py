"""The HTTP server: a threading server on 127.0.0.1.

It serves the REST API, the Partners API, and `/sandbox/clock`, `/sandbox/faults` and
`/sandbox/stats`, which need no token.
"""

import socket
import struct
import time
from collections import Counter, deque
from collections.abc import Iterable
from email.utils import formatdate
from functools import partial
from http import HTTPStatus
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Event, Thread
from types import TracebackType
from typing import Any, Self

import orjson

from sandbox.server import partners_api, rest_api
from sandbox.server.faults import (
    Fault,
    Faults,
    faulty_payload,
    faulty_request,
    parse_faults,
    refusal,
)
from sandbox.server.rest_api import Organiser, Response

HTML_PAGE = (
    "<!DOCTYPE html>\n<html lang='ru'><head><meta charset='utf-8'><title>QTickets</title></head>"
    "<body><h1>{title}</h1>\n" + "<p>Страница не найдена или временно недоступна.</p>\n" * 150
    + "</body></html>"
)  # fmt: skip
"""An HTML page of about 12 KB, the size of the service's 404 page."""

DEFAULT_TOKEN = "sandbox-token"  # noqa: S105 - valid only for this simulator
LoggedRequest = tuple[str, str, Any, int]
"""(method, path with query string, JSON body, status); status 0 if there was no response."""


class Server:
    """A running server; as a context manager it stops at the end."""

    def __init__(
        self,
        world: Organiser,
        token: str = DEFAULT_TOKEN,
        port: int = 0,
        latency_ms: float = 0,
        faults: Iterable[Fault] = (),
    ) -> None:
        self.world, self.token, self.latency_ms = world, token, latency_ms
        self.faults = Faults(faults)
        self.requests: deque[LoggedRequest] = deque(maxlen=10_000)
        """The latest requests."""
        self.counters: Counter[str] = Counter()
        """Number of requests by `METHOD path status`."""
        self.writes_received = 0
        """Number of requests to the REST API that were not GET; all were refused."""
        self.stopping = Event()
        self._http = _HTTPServer(("127.0.0.1", port), partial(_Handler, self))
        self.port = self._http.server_address[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = self.origin + rest_api.BASE_PATH
        self.partners_url = self.origin + partners_api.BASE_PATH
        self._thread = Thread(target=self._http.serve_forever, args=(0.05,), daemon=True)
        self._thread.start()

    def stop(self) -> None:
        self.stopping.set()
        self._http.shutdown()
        self._http.server_close()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.stop()

    # -- responses ------------------------------------------------------------------------------

    def respond(self, method: str, path: str, authorization: str, body: Any) -> Response:
        """Return the response to a request, without faults."""
        authorized = authorization == f"Bearer {self.token}"
        if path.startswith("/sandbox/"):
            return self._control(method, path, body)
        if path.startswith(partners_api.BASE_PATH + "/"):
            if not authorized:
                return partners_api.wrong_key()
            return partners_api.read(self.world, path.removeprefix(partners_api.BASE_PATH), body)
        if not path.startswith(rest_api.BASE_PATH + "/"):
            return Response(404)
        if not authorized:
            return rest_api.forbidden()
        if method != "GET":
            return rest_api.unhandled()
        return rest_api.read(self.world, path.removeprefix(rest_api.BASE_PATH), body)

    def _control(self, method: str, path: str, body: Any) -> Response:
        try:
            match method, path:
                case "GET", "/sandbox/stats":
                    return Response(200, {
                        "requests": dict(self.counters), "writes_received": self.writes_received,
                        "chunks_scanned": self.world.search.chunks_scanned,
                    })  # fmt: skip
                case "GET", "/sandbox/clock":
                    pass
                case "POST", "/sandbox/clock":
                    if "now" in body:
                        self.world.now = body["now"]
                    if "advance_hours" in body:
                        self.world.advance(float(body["advance_hours"]))
                case "POST", "/sandbox/faults":
                    self.faults.extend(parse_faults(body))
                case "DELETE", "/sandbox/faults":
                    self.faults.clear()
                case _:
                    return Response(404)
        except (TypeError, ValueError) as error:
            return Response(400, {"error": str(error), "status": 400})
        if path.endswith("clock"):
            return Response(200, {"now": self.world.now.isoformat()})
        faults = [{"kind": fault.kind, "path": fault.path.pattern} for fault in self.faults]
        return Response(200, {"faults": faults})

    def log(self, method: str, path: str, body: Any, status: int) -> None:
        """Log and count a request to one of the APIs."""
        if path.startswith("/sandbox/"):
            return
        self.requests.append((method, path, body, status))
        self.counters[f"{method} {path.partition('?')[0]} {status}"] += 1
        if method != "GET" and path.startswith(rest_api.BASE_PATH):
            self.writes_received += 1


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """Ignore clients that closed the connection."""


class _Handler(BaseHTTPRequestHandler):
    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True

    def __init__(self, server: Server, *args: Any) -> None:
        self.sandbox = server
        super().__init__(*args)

    def handle_any(self) -> None:
        server, (path, _, query_string) = self.sandbox, self.path.partition("?")
        raw = self.rfile.read(int(self.headers.get("Content-Length") or 0))
        body = _json(raw)
        is_control = path.startswith("/sandbox/")
        active = {} if is_control else server.faults.apply_to(self.path)
        delay = 0 if is_control else server.latency_ms + active.get("latency_ms", {}).get("ms", 0)
        due = time.monotonic() + delay / 1000
        if "timeout" in active:
            server.log(self.command, self.path, body, 0)
            server.stopping.wait(active["timeout"].get("seconds", 3600))
            return self._close(reset=False)
        if "reset" in active:
            server.log(self.command, self.path, body, 0)
            return self._close(reset=True)
        headers: dict[str, str] = {}
        if "status" in active:
            response, headers = _failure(active["status"])
        elif refused := refusal(active, body, query_string):
            response, headers = _failure(refused)
        elif "html" in active:
            response = Response(200)
        else:
            asked = faulty_request(active, body, query_string)
            authorization = self.headers.get("Authorization", "")
            response = server.respond(self.command, path, authorization, asked)
            if "unfiltered_total" in active and isinstance(asked, dict):
                whole = {name: value for name, value in asked.items() if name != "where"}
                counted = server.respond(self.command, path, authorization, whole).payload
                active["unfiltered_total"] = (counted or {}).get("paging", {})
            if active and response.status == 200:
                response = Response(200, faulty_payload(active, response.payload, body))
        # The latency includes the time that computing the response took.
        time.sleep(max(0, due - time.monotonic()))
        server.log(self.command, self.path, body, response.status)
        self._clock_ahead = 3600 * active.get("date_ahead", {}).get("hours", 0)
        self._send(response, headers, active.get("truncate"))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def _send(
        self, response: Response, headers: dict[str, str], truncate: dict[str, Any] | None
    ) -> None:
        reason = HTTPStatus(response.status).phrase
        if response.payload is None:
            content, kind = (
                HTML_PAGE.format(title=f"{response.status} {reason}").encode(),
                "text/html",
            )
        else:
            content, kind = orjson.dumps(response.payload), "application/json"
        # The clock of the world: clients take the time of the service from it.
        date = formatdate(self.sandbox.world.timestamp + self._clock_ahead, usegmt=True)
        head = [f"HTTP/1.1 {response.status} {reason}", "Server: sandbox", f"Content-Type: {kind}",
                f"Content-Length: {len(content)}", f"Date: {date}"]  # fmt: skip
        head += [f"{name}: {value}" for name, value in headers.items()]
        if truncate is not None:
            content = content[: truncate.get("keep", len(content) // 2)]
            self.close_connection = True
        self.wfile.write("\r\n".join([*head, "", ""]).encode() + content)

    def _close(self, reset: bool) -> None:
        self.close_connection = True
        if reset:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:
        """Print nothing: the request log is `Server.requests`."""


def _json(raw: bytes) -> Any:
    """Return the body as JSON, or None if it is not JSON, as PHP does."""
    try:
        return orjson.loads(raw) if raw else None
    except orjson.JSONDecodeError:
        return None


def _failure(params: dict[str, Any]) -> tuple[Response, dict[str, str]]:
    status, retry_after = int(params.get("status", 503)), params.get("retry_after")
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if params.get("body", "html") == "html":
        return Response(status), headers
    error = {"error": "Unknown error", "status": status, "code": "UNKNOWN_ERROR", "info": []}
    return Response(status, error), headers


serve = Server
"""`with serve(world, token="sandbox-token", port=0) as server:` runs the server in threads."""
