"""The HTTP edge: a threading server on 127.0.0.1 that answers as the service does.

Besides the service's own paths there are `/sandbox/clock`, `/sandbox/faults` and
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

from sandbox.recorded import RecordedWorld
from sandbox.server import answers as api
from sandbox.server import partners
from sandbox.server.answers import Answer
from sandbox.server.faults import (
    Fault,
    Faults,
    changed_body,
    changed_payload,
    from_json,
    refusal,
)
from sandbox.world.world import World

HTML_PAGE = (
    "<!DOCTYPE html>\n<html lang='ru'><head><meta charset='utf-8'><title>QTickets</title></head>"
    "<body><h1>{title}</h1>\n" + "<p>Страница не найдена или временно недоступна.</p>\n" * 150
    + "</body></html>"
)  # fmt: skip
"""An HTML page of about 12 KB, as the service's own 404."""

DEFAULT_TOKEN = "sandbox-token"  # noqa: S105 - opens nothing but this stand-in
Logged = tuple[str, str, Any, int]


class Server:
    """The running stand-in; a context manager that stops it."""

    def __init__(
        self,
        world: World | RecordedWorld,
        token: str = DEFAULT_TOKEN,
        port: int = 0,
        latency_ms: float = 0,
        faults: Iterable[Fault] = (),
    ) -> None:
        self.world, self.token, self.latency_ms = world, token, latency_ms
        self.faults = Faults(faults)
        self.requests: deque[Logged] = deque(maxlen=10_000)
        """(method, path with query string, JSON body, status) of the latest requests."""
        self.counters: Counter[str] = Counter()
        self.writes_received = 0
        """Requests of the REST API that weren't GET, all refused."""
        self.stopping = Event()
        self._http = _HTTPServer(("127.0.0.1", port), partial(_Handler, self))
        self.port = self._http.server_address[1]
        self.origin = f"http://127.0.0.1:{self.port}"
        self.url = self.origin + api.BASE_PATH
        self.partners_url = self.origin + partners.BASE_PATH
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

    # -- answers --------------------------------------------------------------------------------

    def answer(self, method: str, path: str, authorization: str, body: Any) -> Answer:
        """The answer to a request, faults aside."""
        authorized = authorization == f"Bearer {self.token}"
        if path.startswith("/sandbox/"):
            return self._control(method, path, body)
        if path.startswith(partners.BASE_PATH + "/"):
            if not authorized:
                return partners.wrong_key()
            return partners.answer(self.world, path.removeprefix(partners.BASE_PATH), body)
        if not path.startswith(api.BASE_PATH + "/"):
            return Answer(404)
        if not authorized:
            return api.forbidden()
        if method != "GET":
            return api.unhandled()
        return api.read(self.world, path.removeprefix(api.BASE_PATH), body)

    def _control(self, method: str, path: str, body: Any) -> Answer:
        try:
            match method, path:
                case "GET", "/sandbox/stats":
                    return Answer(200, {
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
                    self.faults.extend(from_json(body))
                case "DELETE", "/sandbox/faults":
                    self.faults.clear()
                case _:
                    return Answer(404)
        except (TypeError, ValueError) as error:
            return Answer(400, {"error": str(error), "status": 400})
        if path.endswith("clock"):
            return Answer(200, {"now": self.world.now.isoformat()})
        faults = [{"kind": fault.kind, "path": fault.path.pattern} for fault in self.faults]
        return Answer(200, {"faults": faults})

    def log(self, method: str, path: str, body: Any, status: int) -> None:
        """Keeps a request of the service's own paths; those of the sandbox aren't counted."""
        if path.startswith("/sandbox/"):
            return
        self.requests.append((method, path, body, status))
        self.counters[f"{method} {path.partition('?')[0]} {status}"] += 1
        if method != "GET" and path.startswith(api.BASE_PATH):
            self.writes_received += 1


class _HTTPServer(ThreadingHTTPServer):
    daemon_threads = True
    request_queue_size = 128

    def handle_error(self, request: Any, client_address: Any) -> None:
        """A client that hung up is no news."""


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
        ours = path.startswith("/sandbox/")
        striking = {} if ours else server.faults.striking(self.path)
        delay = 0 if ours else server.latency_ms + striking.get("latency_ms", {}).get("ms", 0)
        due = time.monotonic() + delay / 1000
        if "timeout" in striking:
            server.log(self.command, self.path, body, 0)
            server.stopping.wait(striking["timeout"].get("seconds", 3600))
            return self._hang_up(abruptly=False)
        if "reset" in striking:
            server.log(self.command, self.path, body, 0)
            return self._hang_up(abruptly=True)
        headers: dict[str, str] = {}
        if "status" in striking:
            answer, headers = _failure(striking["status"])
        elif refused := refusal(striking, body, query_string):
            answer, headers = _failure(refused)
        elif "html" in striking:
            answer = Answer(200)
        else:
            asked = changed_body(striking, body, query_string)
            authorization = self.headers.get("Authorization", "")
            answer = server.answer(self.command, path, authorization, asked)
            if striking and answer.status == 200:
                answer = Answer(200, changed_payload(striking, answer.payload, body))
        # What working it out took is part of the time that an answer takes.
        time.sleep(max(0, due - time.monotonic()))
        server.log(self.command, self.path, body, answer.status)
        self._send(answer, headers, striking.get("truncate"))

    do_GET = do_POST = do_PUT = do_PATCH = do_DELETE = handle_any

    def _send(
        self, answer: Answer, headers: dict[str, str], truncate: dict[str, Any] | None
    ) -> None:
        reason = HTTPStatus(answer.status).phrase
        if answer.payload is None:
            content, kind = (
                HTML_PAGE.format(title=f"{answer.status} {reason}").encode(),
                "text/html",
            )
        else:
            content, kind = orjson.dumps(answer.payload), "application/json"
        head = [f"HTTP/1.1 {answer.status} {reason}", "Server: sandbox", f"Content-Type: {kind}",
                f"Content-Length: {len(content)}",
                # The service's clock, which is the world's: clients go by it.
                f"Date: {formatdate(self.sandbox.world.moment, usegmt=True)}"]  # fmt: skip
        head += [f"{name}: {value}" for name, value in headers.items()]
        if truncate is not None:
            content = content[: truncate.get("keep", len(content) // 2)]
            self.close_connection = True
        self.wfile.write("\r\n".join([*head, "", ""]).encode() + content)

    def _hang_up(self, abruptly: bool) -> None:
        self.close_connection = True
        if abruptly:
            linger = struct.pack("ii", 1, 0)
            self.connection.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, linger)
            self.connection.close()

    def log_message(self, format: str, *args: Any) -> None:
        """The request log is `Server.requests`."""


def _json(raw: bytes) -> Any:
    """The body as JSON; one that isn't JSON counts as none, as in PHP."""
    try:
        return orjson.loads(raw) if raw else None
    except orjson.JSONDecodeError:
        return None


def _failure(params: dict[str, Any]) -> tuple[Answer, dict[str, str]]:
    status, retry_after = int(params.get("status", 503)), params.get("retry_after")
    headers = {} if retry_after is None else {"Retry-After": str(retry_after)}
    if params.get("body", "html") == "html":
        return Answer(status), headers
    error = {"error": "Unknown error", "status": status, "code": "UNKNOWN_ERROR", "info": []}
    return Answer(status, error), headers


serve = Server
"""`with serve(world, token="sandbox-token", port=0) as server:` runs the stand-in in threads."""
