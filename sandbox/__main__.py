"""`python -m sandbox`: the simulator in the foreground, until Ctrl-C or SIGTERM."""

import random
import signal
from contextlib import ExitStack
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from sandbox.generated import World, demo_world
from sandbox.recorded import RecordedWorld
from sandbox.server.http import DEFAULT_TOKEN, serve
from sandbox.server.webhooks import Webhooks


def main(
    *,
    orders: Annotated[int, typer.Option(help="Number of orders from start to end.")] = 5000,
    seed: Annotated[int, typer.Option(help="Another seed generates another organiser.")] = 1,
    port: Annotated[int, typer.Option(help="0: any free port.")] = 8091,
    token: Annotated[str, typer.Option(help="The only valid token.")] = DEFAULT_TOKEN,
    start: Annotated[str, typer.Option(help="Date of the first orders.")] = "2026-01-01",
    end: Annotated[str, typer.Option(help="The orders end before this date.")] = "2027-01-01",
    now: Annotated[
        str | None, typer.Option(help="Fixed time of the clock. Default: the real time.")
    ] = None,
    latency_ms: Annotated[float, typer.Option(help="Minimum time of a response.")] = 0,
    tenge_event: Annotated[bool, typer.Option(help="Sell one event in KZT.")] = False,
    demo: Annotated[bool, typer.Option(help="The organiser of the demo, 2026 to 2036.")] = False,
    recorded: Annotated[Path | None, typer.Option(help="Serve a folder of captured pages.")] = None,
    sell_every: Annotated[
        float | None, typer.Option(help="Sell an order about every so many seconds.")
    ] = None,
    webhooks: Annotated[str | None, typer.Option(help="Address that receives webhooks.")] = None,
    webhook_secret: Annotated[str, typer.Option(help="Secret of their signatures.")] = "",
    webhook_loss: Annotated[float, typer.Option(help="Share of them that is lost.")] = 0,
    webhook_doubled: Annotated[float, typer.Option(help="Share of them that is sent twice.")] = 0,
    webhook_disorder: Annotated[
        float, typer.Option(help="Each is late by a random time up to so many seconds.")
    ] = 0,
) -> None:
    """Simulate the QTickets API on 127.0.0.1.

    Example: python -m sandbox --orders 100000 --seed 1 --now 2026-07-01T12:00:00+03:00
    """
    world: World | RecordedWorld
    if recorded:
        world = RecordedWorld(recorded, now)
    elif demo:
        world = demo_world(now)
    else:
        world = World(orders, seed, start=start, end=end, now=now, tenge_event=tenge_event)
    stop = Event()
    for name in (signal.SIGTERM, signal.SIGINT):
        signal.signal(name, lambda *_: stop.set())
    with ExitStack() as stack:
        server = stack.enter_context(serve(world, token, port, latency_ms))
        if webhooks and isinstance(world, World):
            sender = Webhooks(
                webhooks,
                webhook_secret,
                loss=webhook_loss,
                doubled=webhook_doubled,
                disorder_seconds=webhook_disorder,
            )
            world.listeners.append(stack.enter_context(sender).send)
        body = '{"where": [{"column": "payed", "value": 1}], "orderBy": {"id": "desc"}, "page": 1}'
        typer.echo(f"QTickets simulator: {server.url}\ntoken: {token}")
        typer.echo(f"clock: {world.now.isoformat()}{' (fixed)' if now else ''}\n")
        typer.echo(
            f"curl -X GET {server.url}/orders -H 'Authorization: Bearer {token}' \\\n"
            f"  -H 'Content-Type: application/json' -d '{body}'"
        )
        draw = random.Random(seed)
        while not stop.wait(draw.uniform(0.5, 1.5) * sell_every if sell_every else None):
            if isinstance(world, World):
                world.sell(tickets=draw.randint(1, 4))


if __name__ == "__main__":
    typer.run(main)
