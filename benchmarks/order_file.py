"""A file of orders as the service sends them: any number, each with its own ids, times and buyer.

They are made from a thousand orders of the sandbox, whose fields are the live service's, so a
million takes a minute instead of an hour.
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
"""So a month holds some 65,000 orders."""

TICKETS_PER_ID = 100
VENDOR_TZ = timezone(timedelta(hours=3))


@dataclass(frozen=True)
class OrderFile:
    """Orders by id and time of payment, one a line: `{…},`.

    Attributes:
        path: The file, some 3.5 KB an order.
        starts: Where each order begins, and where the last one ends: bytes from the beginning.
        tickets: How many tickets each order has.
    """

    path: Path
    starts: np.ndarray[Any, np.dtype[np.int64]]
    tickets: np.ndarray[Any, np.dtype[np.int64]]

    @property
    def orders(self) -> int:
        return len(self.starts) - 1

    def tickets_of(self, orders: int) -> int:
        """How many tickets the first so many orders have."""
        return int(self.tickets[:orders].sum())

    def read_through(self, orders: int) -> None:
        """Has the system keep the first so many orders in memory, where it can."""
        left = int(self.starts[orders])
        with self.path.open("rb") as file:
            while left > 0:
                left -= len(file.read(min(left, 1 << 24)))


def paid_at(number: int) -> datetime:
    """When the order with this number (from 0) was paid."""
    return FIRST_PAID + timedelta(seconds=number * SECONDS_BETWEEN)


def number_paid_at(moment: datetime) -> int:
    """The number of the first order that is paid at the moment or later."""
    return max(0, -(-int((moment - FIRST_PAID).total_seconds()) // SECONDS_BETWEEN))


def order_file(folder: Path, orders: int) -> OrderFile:
    """The file with so many orders, made if it is not there yet."""
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
                # Three orders in ten come from a buyer who was there before.
                b"client": FIRST_ID + number * 7 // 10,
                b"made": (paid - timedelta(minutes=1)).isoformat().encode(),
                b"paid": paid.isoformat().encode(),
                b"changed": (paid + timedelta(seconds=4)).isoformat().encode(),
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
    """(a line with places for what differs from order to order, tickets of the order)."""
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
    # Ids are numbers: their quotes go.
    return text.replace('"<', "").replace('>"', "").encode() + b",\n", len(order["baskets"])
