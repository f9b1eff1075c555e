"""What runs in the server's own process: ClickHouse, until nobody uses it any more.

Started as a script, with nothing of this package imported, by `local_clickhouse.server`.
"""

import fcntl
import importlib
import os
import sys
import threading
import time
from pathlib import Path

STOP_SECONDS = 2

# The last statement reads a pipe that never gets a line and so keeps the server up until the pipe
# is closed. Both files are opened by the client half of the engine, which needs no FILE grant:
# `default` has none, because anyone on this machine can log in as `default`.
STATEMENTS = """
SYSTEM START LISTEN TCP;
SYSTEM START LISTEN HTTP;
SELECT getServerPort('tcp_port'), getServerPort('http_port')
INTO OUTFILE '{address}' TRUNCATE FORMAT TabSeparated;
INSERT INTO FUNCTION null('line String')
FROM INFILE '/dev/fd/{pipe}' COMPRESSION 'none' FORMAT LineAsString
"""


def main(folder: str, address: str, users_lock: str, data: str) -> int:
    """Serve what lies in `folder`, the other names being relative to it; returns the exit code.

    The engine prints its own errors and ends without raising: the starter watches for the end.
    """
    try:
        # Before chdir: the import itself would read `./config.xml`.
        query = importlib.import_module("chdb._chdb").query
    except (ImportError, AttributeError) as error:
        print(f"chdb-core has no chdb._chdb.query any more: {error}", file=sys.stderr)
        return 3
    os.chdir(folder)
    waiting, held = os.pipe()
    threading.Thread(target=stop_when_unused, args=(users_lock, held), daemon=True).start()
    # The format is also what HTTP clients get who name none: a stock server's default.
    query(
        STATEMENTS.format(address=address, pipe=waiting),
        "TabSeparated",
        path=str(Path(folder, data)),
    )
    return 0


def stop_when_unused(users_lock: str, held: int) -> None:
    """Wait in the kernel until the last user has left or died, then end the server.

    The lock stays taken until this process is gone, so a new user waits for a clean start.
    """
    lock = os.open(users_lock, os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.close(held)
    # Neither an idle connection nor a query left running by a killed user must keep the server;
    # its data stand a hard end.
    time.sleep(STOP_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
