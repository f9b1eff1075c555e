"""The process of an embedded server, to be killed or looked at."""

import os
from pathlib import Path

from local_clickhouse.folder import ServerFolder


def server_pid(home: Path) -> int:
    """Return the id of the server process of `home`, found by its command line."""
    folder = os.fsencode(ServerFolder(home).path)
    for entry in Path("/proc").iterdir():
        if entry.name.isdigit() and folder in _arguments(entry):
            return int(entry.name)
    raise AssertionError(f"no server runs for {home}")


def _arguments(process: Path) -> list[bytes]:
    try:
        return (process / "cmdline").read_bytes().split(b"\0")
    except OSError:
        return []
