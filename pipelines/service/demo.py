"""The service of the demo: the sandbox, in which tickets are sold all the time, with webhooks."""

import random
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from threading import Event, Thread

from pipelines.errors import ConfigurationError
from pipelines.loading.service import DEMO_TOKEN, Service

SECONDS_BETWEEN_SALES = (2.0, 8.0)


@contextmanager
def open_demo(webhook_url: str, secret: str) -> Iterator[Service]:
    """Open the demo for the duration of a block; its sales begin with it.

    Raises:
        ConfigurationError: The sandbox is not installed.
    """
    try:
        from sandbox import Webhooks, demo_world, serve
    except ModuleNotFoundError as error:
        raise ConfigurationError(
            f"QTICKETS_TOKEN is not set, and the demo needs {error.name}, which is not installed"
            " here: set the token, or install all of requirements.txt."
        ) from error
    world, stop = demo_world(), Event()

    def sell() -> None:
        draw, sold = random.Random(), list[int]()  # noqa: S311 - made-up sales
        while not stop.wait(draw.uniform(*SECONDS_BETWEEN_SALES)):
            events = world.events()
            for event in draw.sample(events, len(events)):
                with suppress(ValueError):  # It is over, or not on sale yet.
                    sold.append(world.sell(event["id"], draw.choice((1, 2, 2, 2, 3, 4))))
                    break
            if len(sold) > 10 and draw.random() < 0.05:
                world.refund(sold.pop(0))

    with (
        serve(world, token=DEMO_TOKEN) as server,
        Webhooks(webhook_url, secret) as webhooks,
    ):
        world.listeners.append(webhooks.send)
        seller = Thread(target=sell, daemon=True)
        seller.start()
        try:
            yield Service(server.url, DEMO_TOKEN)
        finally:
            stop.set()
            seller.join(5)
