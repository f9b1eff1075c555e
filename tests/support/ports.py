"""Free ports for servers that must come back at the same address."""

import os
import socket


def quiet_ports(count: int) -> list[int]:
    """Return free ports below the range that the system uses for outgoing connections.

    So no outgoing connection of another process takes the port while the server is down.
    """
    found: list[int] = []
    for port in range(20_000 + os.getpid() * 10 % 12_000, 32_700):
        with socket.socket() as probe:
            if probe.connect_ex(("127.0.0.1", port)) != 0:
                found.append(port)
        if len(found) == count:
            return found
    raise OSError("no free port")
