"""The process of the server: it runs ClickHouse until no process uses it any more.

`local_clickhouse.local_server` starts it as a script, so it imports nothing of this package.
"""

import fcntl
import importlib
import os
import sys
import threading
import time
from pathlib import Path

STOP_SECONDS = 2

# The last statement reads a pipe to which nothing is written, so the server runs until the pipe is
# closed. The client part of the engine opens both files, which needs no FILE grant: `default` has
# none, since it has no password.
STATEMENTS = """
SYSTEM START LISTEN TCP;
SYSTEM START LISTEN HTTP;
SELECT getServerPort('tcp_port'), getServerPort('http_port')
INTO OUTFILE '{address}' TRUNCATE FORMAT TabSeparated;
INSERT INTO FUNCTION null('line String')
FROM INFILE '/dev/fd/{pipe}' COMPRESSION 'none' FORMAT LineAsString
"""


def main(folder: str, address: str, users_lock: str, data: str) -> int:
    """Run the server on `folder`, and return the exit code. The other paths are relative to it.

    The engine prints its errors and ends without an exception; the starting process detects that.
    """
    try:
        # Before chdir, since the import reads `./config.xml`.
        query = importlib.import_module("chdb._chdb").query
    except (ImportError, AttributeError) as error:
        print(f"chdb-core has no chdb._chdb.query any more: {error}", file=sys.stderr)
        return 3
    os.chdir(folder)
    read_end, write_end = os.pipe()
    threading.Thread(target=stop_when_unused, args=(users_lock, write_end), daemon=True).start()
    # This is also the default format of HTTP responses, as on a stock server.
    query(
        STATEMENTS.format(address=address, pipe=read_end),
        "TabSeparated",
        path=str(Path(folder, data)),
    )
    return 0


def stop_when_unused(users_lock: str, write_end: int) -> None:
    """Wait until the last user has released its lock or died, then end the server.

    This process keeps the lock until its end, so a new user waits and then starts a new server.
    """
    lock = os.open(users_lock, os.O_RDWR)
    fcntl.flock(lock, fcntl.LOCK_EX)
    os.close(write_end)
    # End the process even if a connection is idle, or a query of a killed user still runs.
    # ClickHouse keeps its data when its process is killed.
    time.sleep(STOP_SECONDS)
    os._exit(1)


if __name__ == "__main__":
    sys.exit(main(*sys.argv[1:]))
