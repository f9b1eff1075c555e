"""The HTTP interface of `serve`: webhooks, health, metrics, and the page with its data."""

import asyncio
import gzip
import time
from threading import Lock
from typing import Any
from urllib.parse import urlencode

import orjson
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import (
    HTMLResponse,
    JSONResponse,
    PlainTextResponse,
    RedirectResponse,
    Response,
)
from starlette.routing import Route

from dashboard import DashboardError, PageOptions, content_policy, read_page_data, render
from dashboard.live import read_live_data
from pipelines.configuration.environment import Settings
from pipelines.errors import RunError
from pipelines.service.access import COOKIE, has_token, may_read
from pipelines.service.spool import Spool
from pipelines.service.status import Status, metrics, problems
from pipelines.service.webhooks import Receiver
from pipelines.warehouse.server import Warehouse

WEBHOOK_PATH = "/webhooks/qtickets"
COOKIE_SECONDS = 90 * 24 * 3600
OLDEST_ANSWER = 60.0
"""Seconds after which the marts are read again even if the process has not changed them."""
_PRIVATE = {
    "Cache-Control": "no-store",
    "X-Content-Type-Options": "nosniff",
    "X-Frame-Options": "DENY",
    "Referrer-Policy": "no-referrer",
}


class PageReader:
    """Reads the marts for the page; every answer is read once for all browsers."""

    def __init__(self, settings: Settings, warehouse: Warehouse, status: Status) -> None:
        self._warehouse, self._status = warehouse, status
        self._options = PageOptions(
            database=warehouse.marts_db,
            time_zone=settings.report_tz,
            now=settings.report_now,
            organiser=settings.org_name,
            mode=settings.mode,
        )
        self._lock = Lock()
        self._answers: dict[str, tuple[int, float, Any]] = {}

    def data(self) -> Any:
        """Return all data of the page."""
        return self._read("data", read_page_data)

    def live(self) -> Any:
        """Return the last sales and the seats left."""
        return self._read("live", read_live_data)

    def _read(self, name: str, read: Any) -> Any:
        with self._lock:
            version, at, answer = self._answers.get(name, (-1, 0.0, None))
            now, current = time.monotonic(), self._status.version
            if version != current or now - at > OLDEST_ANSWER:
                with self._warehouse.connect(self._warehouse.transformer) as client:
                    answer = read(client, self._options)
                self._answers[name] = (current, now, answer)
            return answer


def make_application(
    settings: Settings,
    status: Status,
    spool: Spool,
    receiver: Receiver | None,
    reader: PageReader,
) -> Starlette:
    """Return the application.

    Args:
        settings: The settings of the process.
        status: What the process does.
        spool: The spool of webhooks.
        receiver: Answers webhooks; None: there is no secret.
        reader: Reads the marts.
    """
    page_token = settings.qtickets_page_token
    token = page_token.get_secret_value() if page_token else None

    def refused(request: Request) -> Response | None:
        """Return the answer to a request that may not read sales."""
        if may_read(request, token):
            return None
        text = (
            "Open /?token=… with the token of QTICKETS_PAGE_TOKEN."
            if token
            else "Only this machine may read this. Set QTICKETS_PAGE_TOKEN to open it to others."
        )
        return PlainTextResponse(text + "\n", 403, _PRIVATE)

    async def webhook(request: Request) -> Response:
        if receiver is None:
            text = "No webhooks are received here: QTICKETS_WEBHOOK_SECRET is not set.\n"
            return PlainTextResponse(text, 503)
        return await receiver.receive(request)

    async def health(_: Request) -> Response:
        return JSONResponse({"status": "ok", "doing": status.doing or "waiting"})

    async def ready(_: Request) -> Response:
        found = await asyncio.to_thread(problems, settings, status, spool, receiver)
        return JSONResponse(
            {"status": "not ready" if found else "ready", "problems": found}, 503 if found else 200
        )

    async def prometheus(request: Request) -> Response:
        if answer := refused(request):
            return answer
        text = await asyncio.to_thread(metrics, settings, status, spool, receiver)
        return PlainTextResponse(text, media_type="text/plain; version=0.0.4")

    async def page(request: Request) -> Response:
        if token and "token" in request.query_params and has_token(request, token):
            return _with_cookie(request, token)
        if answer := refused(request):
            return answer
        try:
            data = await asyncio.to_thread(reader.data)
        except (RunError, DashboardError):
            return HTMLResponse(_WAITING, 503, _PRIVATE | {"Refresh": "5", "Retry-After": "5"})
        text = await asyncio.to_thread(render, data | _served(status), served=True)
        policy = {"Content-Security-Policy": content_policy(served=True)}
        return HTMLResponse(text, headers=_PRIVATE | policy)

    async def data(request: Request) -> Response:
        if answer := refused(request):
            return answer
        try:
            found = await asyncio.to_thread(reader.data)
        except (RunError, DashboardError) as error:
            return PlainTextResponse(f"{error}\n", 503, _PRIVATE)
        content = orjson.dumps(found | _served(status))
        packed = await asyncio.to_thread(gzip.compress, content, 4)
        headers = _PRIVATE | {"Content-Encoding": "gzip"}
        return Response(packed, headers=headers, media_type="application/json")

    async def live(request: Request) -> Response:
        if answer := refused(request):
            return answer
        try:
            found = await asyncio.to_thread(reader.live)
        except (RunError, DashboardError) as error:
            return PlainTextResponse(f"{error}\n", 503, _PRIVATE)
        content = orjson.dumps(found | _served(status), default=str)
        return Response(content, headers=_PRIVATE, media_type="application/json")

    return Starlette(
        routes=[
            Route(WEBHOOK_PATH, webhook, methods=["POST"]),
            Route("/health", health),
            Route("/ready", ready),
            Route("/metrics", prometheus),
            Route("/", page),
            Route("/data", data),
            Route("/live", live),
        ]
    )


def _served(status: Status) -> dict[str, Any]:
    """Return what the page needs to refresh itself."""
    return {
        "live": {
            "version": f"{status.started_at:.0f}-{status.version}",
            "now": int(time.time()),
            "read_at": int(status.read_at) or None,
            "failed": bool(status.last_run and status.last_run.problem),
        }
    }


def _with_cookie(request: Request, token: str) -> Response:
    """Return a redirect to the page without the token in its address, which a cookie replaces."""
    rest = [item for item in request.query_params.multi_items() if item[0] != "token"]
    answer = RedirectResponse("/" + (f"?{urlencode(rest)}" if rest else ""), 303, _PRIVATE)
    is_secure = request.headers.get("x-forwarded-proto") == "https"
    answer.set_cookie(
        COOKIE, token, COOKIE_SECONDS, httponly=True, samesite="strict", secure=is_secure
    )
    return answer


_WAITING = """<!doctype html>
<html lang="ru"><meta charset="utf-8"><title>QTickets</title>
<p>Первая загрузка ещё не закончена; страница откроется сама.</p>
<p lang="en">The first run has not ended yet; the page opens by itself.</p>
</html>
"""
