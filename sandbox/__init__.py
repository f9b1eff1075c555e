"""A simulator of the QTickets service over HTTP, described in README.md in this folder."""

from sandbox.generated import World, demo_world
from sandbox.recorded import RecordedWorld
from sandbox.server.faults import Fault
from sandbox.server.http import Server, serve
from sandbox.server.webhooks import Webhooks

__all__ = ["Fault", "RecordedWorld", "Server", "Webhooks", "World", "demo_world", "serve"]
