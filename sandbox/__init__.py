"""A stand-in for the QTickets service over real HTTP: see README.md in this folder."""

from sandbox.faults import Fault
from sandbox.http_server import Server, serve
from sandbox.recorded import RecordedWorld
from sandbox.world import World, demo_world

__all__ = ["Fault", "RecordedWorld", "Server", "World", "demo_world", "serve"]
