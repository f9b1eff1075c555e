"""The receiver of webhooks: what is checked, in which order, and what is kept.

A webhook is a hint, never data. The receiver checks the size, then the signature over the raw
bytes, and keeps the order's id, the type of the event and the time. It answers 200 only after the
hint is on the disk. The service repeats a webhook that was not answered with 200, ten times in 50
minutes, so 503 loses nothing, and the scheduled runs find every sale in any case.
"""

import asyncio
import hashlib
import hmac
import logging
import re
import time
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field

import orjson
from starlette.requests import ClientDisconnect, Request
from starlette.responses import PlainTextResponse, Response

from pipelines.service.spool import LARGEST_ID, Hint, Spool, SpoolError

logger = logging.getLogger(__name__)

LARGEST_BODY = 1_000_000
"""Bytes. An order of 100 tickets has about 150 KB."""
MOST_WAITING = 256
"""Webhooks that may wait for the disk at the same time."""

_EVENT_TYPE = re.compile(r"[A-Za-z][A-Za-z0-9_.:-]{0,39}")


@dataclass
class ReceiverCounts:
    """What the receiver has done since the process started; for `/metrics` and `/ready`.

    Attributes:
        results: Number of webhooks by result: `accepted`, `forged`, `invalid`, `too_large`,
            `unavailable`.
        problem: Why the last hint could not be written; empty once one could.
    """

    results: Counter[str] = field(default_factory=Counter)
    problem: str = ""


class Receiver:
    """Answers webhooks.

    Args:
        spool: Where hints are written.
        secret: The secret that is set in the cabinet; None: webhooks are not signed.
        on_hint: Called after hints were written.
    """

    def __init__(self, spool: Spool, secret: str | None, on_hint: Callable[[], object]) -> None:
        self._spool, self._on_hint = spool, on_hint
        self._key = secret.encode() if secret else None
        self._waiting: list[tuple[Hint, asyncio.Future[None]]] = []
        self._writer: asyncio.Task[None] | None = None
        self.counts = ReceiverCounts()

    async def receive(self, request: Request) -> Response:
        """Answer one webhook."""
        try:
            body = await _limited_body(request)
        except ClientDisconnect:
            return self._answer(400, "invalid", "The request was not sent completely.")
        if body is None:
            return self._answer(413, "too_large", f"At most {LARGEST_BODY:,} bytes.")
        if self._key is not None and not is_signed(
            body, request.headers.get("x-signature", ""), self._key
        ):
            return self._answer(403, "forged", "X-Signature is not that of this body.")
        hint = read_hint(body, request.headers.get("x-event-type", ""))
        if hint is None:
            return self._answer(400, "invalid", "The body is not an order with an id.")
        if len(self._waiting) >= MOST_WAITING:
            return self._answer(503, "unavailable", "Too many webhooks at once.")
        try:
            await self._commit(hint)
        except SpoolError as error:
            if str(error) != self.counts.problem:
                logger.error("Webhooks are answered with 503: %s", error)
            self.counts.problem = str(error)
            return self._answer(503, "unavailable", "The hint could not be written.")
        self.counts.problem = ""
        return self._answer(200, "accepted", "OK")

    def _answer(self, status: int, result: str, text: str) -> Response:
        self.counts.results[result] += 1
        return PlainTextResponse(text + "\n", status)

    async def _commit(self, hint: Hint) -> None:
        """Wait until the hint is on the disk; hints that come together are one commit."""
        loop = asyncio.get_running_loop()
        written = loop.create_future()
        self._waiting.append((hint, written))
        if self._writer is None or self._writer.done():
            self._writer = loop.create_task(self._write_waiting())
        await written

    async def _write_waiting(self) -> None:
        while self._waiting:
            batch, self._waiting = self._waiting, []
            error: Exception | None = None
            try:
                hints = [hint for hint, _ in batch]
                await asyncio.to_thread(self._spool.add, hints, time.time())
            except Exception as raised:
                error = raised
            for _, written in batch:
                if written.done():
                    continue  # The client has gone.
                if error:
                    written.set_exception(error)
                else:
                    written.set_result(None)
            if error is None:
                self._on_hint()


def is_signed(body: bytes, signature: str, key: bytes) -> bool:
    """Return whether a signature is the hexadecimal HMAC-SHA1 of the body; in constant time."""
    # The vendor prescribes SHA-1. As HMAC it has no known weakness.
    expected = hmac.new(key, body, hashlib.sha1).hexdigest()
    return hmac.compare_digest(expected.encode(), signature.strip().lower().encode())


def read_hint(body: bytes, event_type: str) -> Hint | None:
    """Return the hint in the body of a webhook; None if it is not an order with an id."""
    try:
        order = orjson.loads(body)
    except orjson.JSONDecodeError:
        return None
    id_ = order.get("id") if isinstance(order, dict) else None
    if isinstance(id_, str) and re.fullmatch(r"[0-9]{1,16}", id_):
        id_ = int(id_)
    if not isinstance(id_, int) or isinstance(id_, bool) or not 0 < id_ < LARGEST_ID:
        return None
    # The header is not signed. Nothing depends on it, so an unusual one is not kept.
    return Hint(id_, event_type if _EVENT_TYPE.fullmatch(event_type) else "other")


async def _limited_body(request: Request) -> bytes | None:
    """Return the body; None, without reading further, if it is too large."""
    length = request.headers.get("content-length", "0")
    if not length.isdigit() or int(length) > LARGEST_BODY:
        return None
    body = bytearray()
    async for chunk in request.stream():
        body += chunk
        if len(body) > LARGEST_BODY:
            return None
    return bytes(body)
