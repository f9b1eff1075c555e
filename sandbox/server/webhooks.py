"""Webhooks of the service: signed POSTs about orders, with retries; lost or disordered on demand.

As documented: `X-Event-Type`, `X-Model-Name: Order`, `X-Signature` with the hexadecimal HMAC-SHA1
of the body. Delivered is status 200; otherwise the n-th of ten more tries comes after n³ seconds.
"""

import hashlib
import hmac
import http.client
import random
import time
from collections import Counter
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from heapq import heappop, heappush
from itertools import count
from threading import Condition, Thread
from types import TracebackType
from typing import Any, Self
from urllib.parse import urlsplit

import orjson

from sandbox.world.order_payloads import Row

TRIES = 10
_NOT_IN_TICKETS = ("checked_at", "refunded_at", "refunded_amount", "refunded_deduction_amount")


@dataclass(order=True)
class _Delivery:
    due: float
    number: int
    body: bytes = field(compare=False)
    headers: dict[str, str] = field(compare=False)
    retries: int = field(default=0, compare=False)


class Webhooks:
    """Sends webhooks; as a context manager it stops at the end.

    Args:
        url: The address that is registered in the cabinet.
        secret: The secret that is registered; "": no signature.
        loss: Share of the webhooks that are never sent.
        doubled: Share of the webhooks that are sent twice.
        disorder_seconds: Each webhook is delayed by a random time up to this one.
        retry_after: Seconds before the n-th further try.
        seed: Another seed loses others.
    """

    def __init__(
        self,
        url: str,
        secret: str = "",
        *,
        loss: float = 0,
        doubled: float = 0,
        disorder_seconds: float = 0,
        retry_after: Callable[[int], float] = lambda number: number**3,
        seed: int = 1,
    ) -> None:
        self.url, self.secret = url, secret
        self.loss, self.doubled, self.disorder_seconds = loss, doubled, disorder_seconds
        self.retry_after = retry_after
        self.counters: Counter[str] = Counter()
        """Webhooks `created`, `lost`, `doubled`, `delivered`, `tried_again` and `expired`."""
        self._draw = random.Random(seed)
        self._numbers = count()
        self._waiting: list[_Delivery] = []
        self._changed, self._under_way, self._is_stopping = Condition(), 0, False
        self._senders = ThreadPoolExecutor(8, thread_name_prefix="webhook")
        self._thread = Thread(target=self._run, daemon=True)
        self._thread.start()

    def send(self, event_type: str, order: Row) -> None:
        """Send a webhook about an order, unless it is one of those that are lost."""
        body = webhook_body(event_type, order)
        with self._changed:
            self.counters["created"] += 1
            if self._draw.random() < self.loss:
                self.counters["lost"] += 1
                return
            times = 1
            if self._draw.random() < self.doubled:
                self.counters["doubled"] += 1
                times = 2
            for _ in range(times):
                due = time.monotonic() + self._draw.random() * self.disorder_seconds
                headers = webhook_headers(event_type, body, self.secret)
                heappush(self._waiting, _Delivery(due, next(self._numbers), body, headers))
            self._changed.notify_all()

    def wait(self, seconds: float = 30) -> bool:
        """Wait until nothing is under way; return False if that takes longer."""
        with self._changed:
            return self._changed.wait_for(
                lambda: not self._waiting and not self._under_way, timeout=seconds
            )

    def stop(self) -> None:
        with self._changed:
            self._is_stopping = True
            self._changed.notify_all()
        self._senders.shutdown(wait=False, cancel_futures=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:  # fmt: skip
        self.stop()

    def _run(self) -> None:
        while True:
            with self._changed:
                if self._is_stopping:
                    return
                pause = self._waiting[0].due - time.monotonic() if self._waiting else None
                if pause is None or pause > 0:
                    self._changed.wait(pause)
                    continue
                delivery = heappop(self._waiting)
                self._under_way += 1
            try:
                self._senders.submit(self._deliver, delivery)
            except RuntimeError:
                return  # It is stopped.

    def _deliver(self, delivery: _Delivery) -> None:
        is_delivered = self._post(delivery) == 200
        with self._changed:
            if is_delivered:
                self.counters["delivered"] += 1
            elif delivery.retries == TRIES:
                self.counters["expired"] += 1
            else:
                delivery.retries += 1
                delivery.due = time.monotonic() + self.retry_after(delivery.retries)
                self.counters["tried_again"] += 1
                heappush(self._waiting, delivery)
            self._under_way -= 1
            self._changed.notify_all()

    def _post(self, delivery: _Delivery) -> int:
        parts = urlsplit(self.url)
        connection = http.client.HTTPConnection(parts.hostname or "", parts.port, timeout=10)
        try:
            connection.request("POST", parts.path or "/", delivery.body, delivery.headers)
            return connection.getresponse().status
        except (OSError, http.client.HTTPException):
            return 0
        finally:
            connection.close()


def webhook_body(event_type: str, order: Row) -> bytes:
    """Return the body of a webhook: the order, whose tickets lack scans and refunds."""
    tickets = [
        {name: value for name, value in ticket.items() if name not in _NOT_IN_TICKETS}
        for ticket in order["baskets"]
    ]
    more: dict[str, Any] = {}
    if event_type == "refunded":
        more["refunded_baskets"] = [
            ticket for ticket in order["baskets"] if ticket["refunded_at"] is not None
        ]
    if event_type == "checked":
        checked = [ticket for ticket in order["baskets"] if ticket["checked_at"] is not None]
        more["checked_basket"] = max(checked, key=lambda ticket: str(ticket["checked_at"]))
    return orjson.dumps({**order, "baskets": tickets, **more})


def webhook_headers(event_type: str, body: bytes, secret: str) -> dict[str, str]:
    """Return the headers of a webhook, with its signature if there is a secret."""
    headers = {
        "Content-Type": "application/json",
        "User-Agent": "Qtickets-Webhooks/2.0",
        "X-Event-Type": event_type,
        "X-Model-Name": "Order",
    }
    if secret:
        headers["X-Signature"] = hmac.new(secret.encode(), body, hashlib.sha1).hexdigest()
    return headers
