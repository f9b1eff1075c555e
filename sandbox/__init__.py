"""A stand-in for the QTickets service over real HTTP: see README.md in this folder."""

from sandbox.recorded import RecordedWorld
from sandbox.server.faults import Fault
from sandbox.server.http import Server, serve
from sandbox.world.world import World, demo_world

__all__ = ["Fault", "RecordedWorld", "Server", "World", "demo_world", "serve"]
