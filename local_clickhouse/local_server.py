"""The ClickHouse server of a folder, which all processes share and which stops after the last one.

Three file locks (`flock`) control it. The kernel releases them when a process ends, also by
SIGKILL, so a killed process needs no cleaning up:

- `in-use.lock`: every user holds it shared while it uses the server. The server waits for it
  exclusively, acquires it when the last user has left or died, and stops. A user that comes
  meanwhile waits until the old server is gone, and starts a new one.
- `server.lock`: the server process holds it until its end. It inherits the lock from the process
  that starts it, so the lock is never free in between. If it is free, no server is running,
  whatever files exist.
- `setup.lock`: held while the folder is written and a server is found or started. So of two
  processes that come at the same time, one starts the server and the other finds it.

The server runs `local_clickhouse.server_process` in a process and a session of its own: Ctrl-C in
the terminal of its starter does not reach it, and it outlives its starter while others use it.
"""

import errno
import fcntl
import http.client
import importlib.metadata
import os
import re
import resource
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from local_clickhouse.credentials import Login, load_logins, write_private_file
from local_clickhouse.errors import LocalClickHouseError
from local_clickhouse.folder import ServerFolder
from local_clickhouse.grants import check_database_name
from local_clickhouse.locks import POLL_SECONDS, held_lock, is_last_holder, try_lock
from local_clickhouse.server_config import (
    FILE_FUNCTION,
    FILE_FUNCTION_NAME,
    HOST,
    config_xml,
    users_xml,
)

START_SECONDS = 60
STOP_SECONDS = 15
LISTENER_SINCE = (26, 7, 3)
"""First version of chdb-core with `SYSTEM START LISTEN`."""

# Python, its libraries and temporary files are found by these.
INHERITED = (
    "PATH",
    "HOME",
    "TMPDIR",
    "LANG",
    "LC_ALL",
    "LD_LIBRARY_PATH",
    "PYTHONPATH",
    "PYTHONHOME",
)

# With 3 GB the first load fails.
ADDRESS_SPACE = 4_000_000_000

# What the engine prints when it cannot start, and what the user can do.
FAILURES = (
    (
        r".*(failed to map segment|thread constructor failed|Cannot allocate memory|bad_alloc).*",
        "allow it more memory (the limits of the container or of the unit)",
    ),
    (r"Code: 210\b.*", "the port is in use: choose another, or 0 for any free one"),
    (r"Code: 76\b.*", "another server uses this folder: stop it or choose another home"),
    (r".*(No space left on device|File too large|Code: 243\b).*", "the disk is full: free space"),
    (r"chdb-core has no .*", "install the pinned chdb-core version"),
    (r"Code: 62\b.*", "this chdb-core has no listener: install the pinned version"),
    (
        r"Code: \d+.*",
        "if the folder is damaged, restore it, or move it away to start with an empty one",
    ),
)


@dataclass(frozen=True)
class LocalServer:
    """A running server: its address, and the logins of loader, transformer, reader and backup."""

    host: str
    http_port: int
    native_port: int
    logins: Mapping[str, Login]
    started: bool
    """Whether this process started it. If not, it may have other ports than requested."""
    folder: ServerFolder = field(repr=False)


@contextmanager
def running_server(
    home: Path, *, database: str = "zakaz", http_port: int = 0, native_port: int = 0
) -> Iterator[LocalServer]:
    """Start the ClickHouse of `home`, or use the running one, for the duration of a block.

    Args:
        home: The state folder of the project; the server uses `<home>/clickhouse`.
        database: Database of the marts; raw tables are in `<database>_raw`. The logins get grants
            on both, and keep those on databases of earlier starts. No database is created.
        http_port: 0 is the port of the last start if it is free, else any free port. Ignored if the
            server is running. A constant port keeps BI connections and dbt's partial parsing valid.
        native_port: The same for the native protocol.

    Raises:
        LocalClickHouseError: The server cannot be started or reached, or it runs without
            `database`.
    """
    check_database_name(database)
    folder = ServerFolder(home)
    with ExitStack() as held:
        with _translated_errors(folder):
            folder.create()
            use = held.enter_context(held_lock(folder.users_lock, fcntl.LOCK_SH, STOP_SECONDS))
            with held_lock(folder.setup_lock, fcntl.LOCK_EX, START_SECONDS):
                server = _join_or_start(folder, database, http_port, native_port)
        try:
            yield server
        finally:
            if is_last_holder(use):
                held.close()
                deadline = time.monotonic() + STOP_SECONDS
                while is_running(folder) and time.monotonic() < deadline:
                    time.sleep(POLL_SECONDS)


def find_server(home: Path, database: str) -> LocalServer | None:
    """Return the running server of `home`, or None, without starting one.

    Raises:
        LocalClickHouseError: The server runs without `database`, or cannot be used.
    """
    check_database_name(database)
    folder = ServerFolder(home)
    with _translated_errors(folder):
        if not folder.server_lock.exists() or not is_running(folder):
            return None
        server = _find_responding(folder, load_logins(folder.credentials))
        if server:
            _check_grants(server, database)
        return server


def is_running(folder: ServerFolder) -> bool:
    """Return whether a server process owns the folder, even if it does not respond."""
    free = try_lock(folder.server_lock, fcntl.LOCK_SH)
    if free is not None:
        os.close(free)
    return free is None


def wait_for_end(server: LocalServer) -> None:
    """Wait until the server process ends; while the server is in use, only a kill ends it."""
    descriptor = os.open(server.folder.server_lock, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _join_or_start(
    folder: ServerFolder, database: str, http_port: int, native_port: int
) -> LocalServer:
    """Return the server that owns the folder; start one if there is none."""
    logins = load_logins(folder.credentials)
    databases = _register_database(folder.databases, database)
    deadline = time.monotonic() + START_SECONDS
    server = None
    while server is None:
        lock = try_lock(folder.server_lock, fcntl.LOCK_EX)
        if lock is None:
            server = _find_responding(folder, logins)
        else:
            try:
                _check_engine()
                _check_address_space()
                last_native, last_http = _last_ports(folder)
                folder.users.write_text(users_xml(logins, databases))
                folder.config.write_text(
                    config_xml(
                        folder.users,
                        folder.backups,
                        http_port or last_http,
                        native_port or last_native,
                    )
                )
                (folder.functions / FILE_FUNCTION_NAME).write_text(FILE_FUNCTION)
                folder.address.unlink(missing_ok=True)
                process = _spawn(folder, lock)
            finally:
                os.close(lock)
            server = _wait_until_ready(process, folder, logins)
        if time.monotonic() > deadline:
            raise TimeoutError(f"the running server did not respond for {START_SECONDS} s")
    _check_grants(server, database)
    return server


def _spawn(folder: ServerFolder, lock: int) -> "subprocess.Popen[bytes]":
    """Start a server process that owns `lock`."""
    names = [path.name for path in (folder.address, folder.users_lock, folder.data)]
    with folder.log.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 - fixed script and paths, no shell
            # -P: modules in the folder of the script must not shadow others of the same name.
            [
                sys.executable,
                "-P",
                Path(__file__).with_name("server_process.py"),
                folder.path,
                *names,
            ],
            # The import of the engine reads `config.xml` in the working directory.
            cwd="/",
            env=_environment(),
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[lock],
            start_new_session=True,
        )
    # Reaps the process when it ends, possibly long after this process has stopped using it.
    threading.Thread(target=process.wait, daemon=True).start()
    return process


def _environment() -> dict[str, str]:
    """Return what the server process needs of the environment, which holds tokens and passwords.

    Users of the machine who may debug the process could read them, and so could a defect of the
    engine.
    """
    kept = {name: os.environ[name] for name in INHERITED if name in os.environ}
    return {**kept, "TZ": "UTC"}


def _wait_until_ready(
    process: "subprocess.Popen[bytes]", folder: ServerFolder, logins: Mapping[str, Login]
) -> LocalServer:
    """Return the new server once it responds; otherwise kill it and raise the reason."""
    deadline = time.monotonic() + START_SECONDS
    try:
        while (server := _find_responding(folder, logins)) is None:
            if process.returncode is not None:
                raise LocalClickHouseError(_startup_failure(folder))
            # On a full disk the engine leaves the address file empty, without an error.
            full = folder.address.exists() and not folder.address.stat().st_size
            if full:
                deadline = min(deadline, time.monotonic() + 5)
            if time.monotonic() > deadline:
                if full:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder.address))
                raise TimeoutError(f"the server did not respond within {START_SECONDS} s")
            time.sleep(POLL_SECONDS)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return replace(server, started=True)


def _find_responding(folder: ServerFolder, logins: Mapping[str, Login]) -> LocalServer | None:
    """Return the server at the address in the folder, or None if it does not respond."""
    try:
        native_port, http_port = map(int, folder.address.read_text().split())
    except (FileNotFoundError, ValueError):
        return None
    server = LocalServer(HOST, http_port, native_port, logins, started=False, folder=folder)
    return server if _query(server, "SELECT 1") == "1" else None


def _last_ports(folder: ServerFolder) -> tuple[int, int]:
    """Return native and HTTP port of the last start, each 0 if unknown or in use."""
    try:
        native_port, http_port = map(int, folder.address.read_text().split())
    except (FileNotFoundError, ValueError):
        return 0, 0
    return port_if_free(native_port), port_if_free(http_port)


def port_if_free(port: int) -> int:
    """Return the port if it is free, else 0 for any free port."""
    with socket.socket() as probe:
        # As the server does: a port in TIME_WAIT after an earlier run counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return 0
    return port


def _check_grants(server: LocalServer, database: str) -> None:
    """Raise an error if the server runs without grants on `database`."""
    # The embedded engine reads users.xml at its start only; SYSTEM RELOAD USERS has no effect.
    answer = _query(server, f"CHECK GRANT INSERT ON `{database}_raw`.*")
    if answer is None:
        raise TimeoutError("the server has stopped responding")
    if answer != "1":
        raise LocalClickHouseError(
            f"the local ClickHouse in {server.folder.path} is running without the database "
            f"{database!r}, and adds databases only when it starts: stop the processes that use "
            "it, and try again"
        )


def _query(server: LocalServer, query: str) -> str | None:
    """Return the result of a query by `loader`, or None if the query failed."""
    login = server.logins["loader"]
    headers = {"X-ClickHouse-User": login.user, "X-ClickHouse-Key": login.password}
    # Not urllib, which would use a proxy of the environment for 127.0.0.1.
    connection = http.client.HTTPConnection(server.host, server.http_port, timeout=5)
    try:
        connection.request("POST", "/", body=query, headers={**headers, "Connection": "close"})
        response = connection.getresponse()
        answer = response.read().decode(errors="replace").strip()
    except (OSError, http.client.HTTPException):
        return None
    finally:
        connection.close()
    if response.status in (http.client.UNAUTHORIZED, http.client.FORBIDDEN):
        raise LocalClickHouseError(
            f"the running local ClickHouse rejects the passwords in {server.folder.credentials}: "
            "stop the processes that use it, and try again"
        )
    return answer if response.status == http.client.OK else None


def _register_database(path: Path, database: str) -> list[str]:
    """Return all databases of this and earlier starts, so that no user loses its grants."""
    known = path.read_text().split() if path.exists() else []
    if database not in known:
        known = sorted({*known, database})
        write_private_file(path, "\n".join(known) + "\n")
    return known


def _check_engine() -> None:
    try:
        version = importlib.metadata.version("chdb-core")
    except importlib.metadata.PackageNotFoundError:
        version = "none"
    if tuple(map(int, re.findall(r"\d+", version)[:3])) < LISTENER_SINCE:
        needed = ".".join(map(str, LISTENER_SINCE))
        raise LocalClickHouseError(
            f"the local ClickHouse needs chdb-core {needed} or later, installed is {version}: "
            "run pip install --upgrade chdb-core"
        )


def _check_address_space() -> None:
    """Refuse to start with too few addresses: the server hangs or fails at any later moment."""
    limit = resource.getrlimit(resource.RLIMIT_AS)[0]
    if limit != resource.RLIM_INFINITY and limit < ADDRESS_SPACE:
        raise LocalClickHouseError(
            f"the local ClickHouse needs {ADDRESS_SPACE / 1e9:g} GB of virtual memory, most of "
            f"which it only reserves; the limit is {limit / 1e9:.1f} GB: raise it (ulimit -v)"
        )


def _startup_failure(folder: ServerFolder) -> str:
    """Return why a server ended while starting, from its log, in one line."""
    log = folder.log.read_text(errors="replace")
    for pattern, advice in FAILURES:
        if found := re.search(pattern, log):
            return (
                f"the local ClickHouse in {folder.path} did not start; {advice}. "
                f"Its log: {found[0].strip()[:400]}"
            )
    last = (log.strip().splitlines() or ["nothing"])[-1]
    return (
        f"the local ClickHouse in {folder.path} did not start; see {folder.log}. "
        f"Its last line: {last[:400]}"
    )


@contextmanager
def _translated_errors(folder: ServerFolder) -> Iterator[None]:
    """Convert errors of the system to a `LocalClickHouseError` of one line."""
    try:
        yield
    except TimeoutError as error:
        raise LocalClickHouseError(
            f"the local ClickHouse in {folder.path} hangs: {error}; see {folder.log}, "
            f"end the process that holds {folder.server_lock}, and try again"
        ) from error
    except OSError as error:
        raise LocalClickHouseError(
            f"the folder of the local ClickHouse, {folder.path}, cannot be used: {error}; "
            "repair it, free space, or choose another home with QTICKETS_HOME"
        ) from error
