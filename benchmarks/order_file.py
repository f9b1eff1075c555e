"""A file of any number of orders as the service sends them, with distinct ids, times and buyers.

They are made from a thousand orders of the sandbox, which have the fields of the live service. So a
million orders take a minute instead of an hour.
"""

import json
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from itertools import cycle, islice
from pathlib import Path
from typing import Any

import numpy as np

from sandbox import World

SEED = 11
FIRST_ID = 1_000_000
FIRST_PAID = datetime(2025, 1, 1, tzinfo=timezone.utc)
SECONDS_BETWEEN = 40
"""Gives about 65,000 orders a month."""

CHANGED_AFTER_PAYMENT = timedelta(seconds=4)

TICKETS_PER_ID = 100
VENDOR_TZ = timezone(timedelta(hours=3))


@dataclass(frozen=True)
class OrderFile:
    """Orders by id and time of payment, one a line: `{…},`.

    Attributes:
        path: The file, about 3.5 KB an order.
        starts: Offset of each order in bytes, and of the end of the last one.
        tickets: Number of tickets of each order.
    """

    path: Path
    starts: np.ndarray[Any, np.dtype[np.int64]]
    tickets: np.ndarray[Any, np.dtype[np.int64]]

    @property
    def orders(self) -> int:
        return len(self.starts) - 1

    def tickets_of(self, orders: int) -> int:
        """Return the number of tickets of the first `orders` orders."""
        return int(self.tickets[:orders].sum())

    def read_through(self, orders: int) -> None:
        """Read the first `orders` orders, so that the system caches them if it can."""
        left = int(self.starts[orders])
        with self.path.open("rb") as file:
            while left > 0:
                left -= len(file.read(min(left, 1 << 24)))


def paid_at(number: int) -> datetime:
    """Return the time of payment of an order by its number (from 0)."""
    return FIRST_PAID + timedelta(seconds=number * SECONDS_BETWEEN)


def number_paid_at(time: datetime) -> int:
    """Return the number of the first order paid at `time` or later."""
    return max(0, -(-int((time - FIRST_PAID).total_seconds()) // SECONDS_BETWEEN))


def order_file(folder: Path, orders: int) -> OrderFile:
    """Return the file of `orders` orders; write it if it does not exist yet."""
    path = folder / f"orders-{orders}-seed-{SEED}.jsonl"
    index = path.with_suffix(".npz")
    if not index.exists():
        folder.mkdir(parents=True, exist_ok=True)
        _write(path, index, orders)
    kept = np.load(index)
    return OrderFile(path, kept["starts"], kept["tickets"])


def _write(path: Path, index: Path, orders: int) -> None:
    templates = [_template(order) for order in _sandbox_orders()]
    starts, tickets, position = [0], [], 0
    with path.open("wb") as file:
        for number, (template, count) in enumerate(islice(cycle(templates), orders)):
            paid = paid_at(number).astimezone(VENDOR_TZ)
            order_id = FIRST_ID + number
            values: dict[bytes, Any] = {
                b"id": order_id,
                # Three orders of ten are by a returning buyer.
                b"client": FIRST_ID + number * 7 // 10,
                b"made": (paid - timedelta(minutes=1)).isoformat().encode(),
                b"paid": paid.isoformat().encode(),
                b"changed": (paid + CHANGED_AFTER_PAYMENT).isoformat().encode(),
            }
            for place in range(count):
                values[b"t%d" % place] = order_id * TICKETS_PER_ID + place
            position += file.write(template % values)
            starts.append(position)
            tickets.append(count)
    np.savez(index, starts=np.array(starts), tickets=np.array(tickets))


def _sandbox_orders() -> list[dict[str, Any]]:
    end = FIRST_PAID
    world = World(orders=1300, seed=SEED, start=end - timedelta(days=365), end=end, now=end)
    return [order for order in world.orders() if order["payed"]][:1000]


def _template(order: dict[str, Any]) -> tuple[bytes, int]:
    """Return (a line with placeholders for ids and times, number of tickets)."""
    own = {
        **order,
        "id": "<%(id)d>",
        "client_id": "<%(client)d>",
        "payed_at": "%(paid)s",
        "created_at": "%(made)s",
        "updated_at": "%(changed)s",
        "baskets": [
            {
                **ticket,
                "id": f"<%(t{place})d>",
                "barcode": f"87%(t{place})010d",
                "created_at": "%(made)s",
                "updated_at": "%(changed)s",
            }
            for place, ticket in enumerate(order["baskets"])
        ],
    }
    text = json.dumps(own, ensure_ascii=False, separators=(",", ":"))
    # Ids are numbers, so remove their quotes.
    return text.replace('"<', "").replace('>"', "").encode() + b",\n", len(order["baskets"])
