"""Worlds of the sandbox, and changes in them."""

import random
from datetime import datetime, timedelta, timezone

from sandbox import World

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
# REPORT_NOW of runs on a world whose clock starts at `NOW` and advances.
EVENING = NOW + timedelta(hours=9)
SEED = 20260615


def small_world(seed: int = 11) -> World:
    """Return a world of 150 orders of 6 events, half a year around `NOW`."""
    return World(
        orders=150,
        seed=seed,
        start=NOW - timedelta(days=150),
        end=NOW + timedelta(days=30),
        now=NOW,
        events=6,
    )


def world_until(now: datetime, *, tenge_event: bool = False) -> World:
    """Return a world of 900 orders, from five months before `now` to two months after it."""
    return World(
        orders=900,
        seed=7,
        start=now - timedelta(days=150),
        end=now + timedelta(days=60),
        now=now,
        tenge_event=tenge_event,
    )


def report_now(world: World) -> str:
    """Return the current time of a world in the format of REPORT_NOW, in UTC."""
    return utc_text(world.now)


def utc_text(moment: datetime) -> str:
    """Return a moment in the format of REPORT_NOW, in UTC."""
    return f"{moment.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}"


def happen(world: World, number: int) -> None:
    """Let five minutes pass, with sales and changes of earlier orders chosen by `number`."""
    world.advance(hours=1 / 12)
    live = [
        order
        for order in world.orders()
        if order["payed"]
        and not order["deleted_at"]
        and all(ticket["price"] >= 50 and not ticket["refunded_at"] for ticket in order["baskets"])
    ]
    draw = random.Random(f"{SEED} {number}")
    full, partial, cancelled, exchanged = draw.sample(live, 4)
    world.refund(full["id"])
    world.refund(partial["id"], [partial["baskets"][0]["id"]], deduction=50)
    world.cancel(cancelled["id"])
    world.exchange(exchanged["id"])
    world.sell(tickets=2)
