"""`python -m sandbox`: the stand-in in the foreground, until Ctrl-C or SIGTERM."""

import signal
from pathlib import Path
from threading import Event
from typing import Annotated

import typer

from sandbox.recorded import RecordedWorld
from sandbox.server.http import DEFAULT_TOKEN, serve
from sandbox.world.world import World, demo_world


def main(
    *,
    orders: Annotated[int, typer.Option(help="Orders over the whole year.")] = 5000,
    seed: Annotated[int, typer.Option(help="Another seed is another organiser.")] = 1,
    port: Annotated[int, typer.Option(help="0 lets the system choose.")] = 8090,
    token: Annotated[str, typer.Option(help="The only valid token.")] = DEFAULT_TOKEN,
    start: Annotated[str, typer.Option(help="When the orders begin.")] = "2026-01-01",
    end: Annotated[str, typer.Option(help="When they end.")] = "2027-01-01",
    now: Annotated[str | None, typer.Option(help="A clock that stands; else the real one.")] = None,
    latency_ms: Annotated[float, typer.Option(help="What an answer takes at least.")] = 0,
    tenge_event: Annotated[bool, typer.Option(help="Sell one event in KZT.")] = False,
    demo: Annotated[bool, typer.Option(help="The demo's organiser, 2026 to 2036.")] = False,
    recorded: Annotated[Path | None, typer.Option(help="Serve a folder of pages.")] = None,
) -> None:
    """A stand-in for the QTickets API on 127.0.0.1.

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
    with serve(world, token, port, latency_ms) as server:
        body = '{"where": [{"column": "payed", "value": 1}], "orderBy": {"id": "desc"}, "page": 1}'
        typer.echo(f"QTickets stand-in: {server.url}\ntoken: {token}")
        typer.echo(f"clock: {world.now.isoformat()}{' (standing)' if now else ''}\n")
        typer.echo(
            f"curl -X GET {server.url}/orders -H 'Authorization: Bearer {token}' \\\n"
            f"  -H 'Content-Type: application/json' -d '{body}'"
        )
        stop.wait()


if __name__ == "__main__":
    typer.run(main)
