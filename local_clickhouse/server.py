"""One ClickHouse server for a folder, shared by every process that wants it, gone after the last.

Three file locks (`flock`) do it all. The kernel frees them when a process ends, also by SIGKILL, so
nobody has to clean up after anybody:

- `in-use.lock`: every user holds it shared for as long as it uses the server. The server waits for
  it exclusively; it gets it when the last user has left or died, and then stops. Whoever comes
  meanwhile waits the moment until the old server is gone, and starts a new one.
- `server.lock`: held by the server process for its whole life, inherited from the process that
  started it, so it is never free in between. Free means no server, whatever files lie around.
- `setup.lock`: held while the folder is written and a server is looked for or started, so of two
  processes that come at the same moment one starts it and the other finds it.

The server is a process of its own (own session: Ctrl-C in the starter's terminal does not reach
it), so it outlives its starter if others still use it. It runs `local_clickhouse.child`.
"""

import errno
import fcntl
import http.client
import importlib.metadata
import os
import re
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, field, replace
from pathlib import Path

from local_clickhouse.configuration import (
    FILE_FUNCTION,
    FILE_FUNCTION_NAME,
    HOST,
    check_database_name,
    config_xml,
    users_xml,
)
from local_clickhouse.credentials import Login, kept_logins, write_private
from local_clickhouse.errors import LocalClickHouseError
from local_clickhouse.folder import ServerFolder
from local_clickhouse.locks import POLL_SECONDS, locked, try_lock, was_last

START_SECONDS = 60
STOP_SECONDS = 15
LISTENER_SINCE = (26, 7, 3)

# What the engine prints when it cannot start, and what the user can do about it.
FAILURES = (
    (r"Code: 210\b.*", "the port is in use: choose another, or 0 for any free one"),
    (r"Code: 76\b.*", "another server uses this folder: stop it or choose another home"),
    (r".*(No space left on device|File too large|Code: 243\b).*", "the disk is full: free space"),
    (r"chdb-core has no .*", "install the pinned chdb-core version"),
    (r"Code: 62\b.*", "this chdb-core has no listener: install the pinned version"),
    (r"Code: \d+.*", "if the folder is damaged, restore it or move it away to start afresh"),
)


@dataclass(frozen=True)
class LocalServer:
    """A running server: where it listens and who may log in.

    Those are loader, transformer, reader and backup.
    """

    host: str
    http_port: int
    native_port: int
    logins: Mapping[str, Login]
    started: bool
    """This process started it; False: it was found running, perhaps on other ports than asked."""
    folder: ServerFolder = field(repr=False)


@contextmanager
def running_server(
    home: Path, *, database: str = "zakaz", http_port: int = 0, native_port: int = 0
) -> Iterator[LocalServer]:
    """Use the ClickHouse of `home`, starting it if no process has done so yet.

    Args:
        home: the project's state folder; the server lives in `<home>/clickhouse`.
        database: name of the marts' database; raw tables live in `<database>_raw`. Neither is
            created here: the logins get the right to, beside rights on names of earlier starts.
        http_port: 0 takes the last one if it is free, else any; ignored if the server already
            runs. An address that stays spares its users: BI connections, dbt's partial parsing.
        native_port: the same.

    Raises:
        LocalClickHouseError: it cannot be started or reached, or it runs without `database`.
    """
    check_database_name(database)
    folder = ServerFolder(home)
    with ExitStack() as held:
        with _failures_in_one_line(folder):
            folder.create()
            use = held.enter_context(locked(folder.users_lock, fcntl.LOCK_SH, STOP_SECONDS))
            with locked(folder.setup_lock, fcntl.LOCK_EX, START_SECONDS):
                server = _join_or_start(folder, database, http_port, native_port)
        try:
            yield server
        finally:
            if was_last(use):
                held.close()
                deadline = time.monotonic() + STOP_SECONDS
                while is_running(folder) and time.monotonic() < deadline:
                    time.sleep(POLL_SECONDS)


def find_server(home: Path, database: str) -> LocalServer | None:
    """Find the server that runs for `home`, if one does; starts and changes nothing.

    Raises:
        LocalClickHouseError: it runs, but knows nothing of `database`.
    """
    check_database_name(database)
    folder = ServerFolder(home)
    with _failures_in_one_line(folder):
        if not folder.server_lock.exists() or not is_running(folder):
            return None
        server = _answering(folder, kept_logins(folder.credentials))
        if server:
            _check_rights(server, database)
        return server


def is_running(folder: ServerFolder) -> bool:
    """Whether a server process, answering or not, owns the folder."""
    free = try_lock(folder.server_lock, fcntl.LOCK_SH)
    if free is not None:
        os.close(free)
    return free is None


def wait_for_end(server: LocalServer) -> None:
    """Sleep until the server's process is gone, which while in use means that it was killed."""
    descriptor = os.open(server.folder.server_lock, os.O_RDWR)
    try:
        fcntl.flock(descriptor, fcntl.LOCK_SH)
    finally:
        os.close(descriptor)


def _join_or_start(
    folder: ServerFolder, database: str, http_port: int, native_port: int
) -> LocalServer:
    logins = kept_logins(folder.credentials)
    databases = _remembered(folder.databases, database)
    deadline = time.monotonic() + START_SECONDS
    server = None
    while server is None:
        lock = try_lock(folder.server_lock, fcntl.LOCK_EX)
        if lock is None:
            server = _answering(folder, logins)
        else:
            try:
                _check_engine()
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
            server = _first_answer(process, folder, logins)
        if time.monotonic() > deadline:
            raise TimeoutError(f"the running server did not answer for {START_SECONDS} s")
    _check_rights(server, database)
    return server


def _spawn(folder: ServerFolder, lock: int) -> "subprocess.Popen[bytes]":
    """Start a server process that owns `lock`."""
    names = [path.name for path in (folder.address, folder.users_lock, folder.data)]
    with folder.log.open("wb") as log:
        process = subprocess.Popen(  # noqa: S603 our own script and paths, no shell
            # -P: the modules beside the script must not shadow others of the same name.
            [sys.executable, "-P", Path(__file__).with_name("child.py"), folder.path, *names],
            # The engine's import reads a `config.xml` of its working directory.
            cwd="/",
            env={**os.environ, "TZ": "UTC"},
            stdin=subprocess.DEVNULL,
            stdout=log,
            stderr=log,
            pass_fds=[lock],
            start_new_session=True,
        )
    # Reaps it whenever it ends, perhaps long after this process has stopped using it.
    threading.Thread(target=process.wait, daemon=True).start()
    return process


def _first_answer(
    process: "subprocess.Popen[bytes]", folder: ServerFolder, logins: Mapping[str, Login]
) -> LocalServer:
    """Wait until the new server answers; if it does not, it is ended and the reason raised."""
    deadline = time.monotonic() + START_SECONDS
    try:
        while (server := _answering(folder, logins)) is None:
            if process.returncode is not None:
                raise LocalClickHouseError(_why_it_ended(folder))
            # On a full disk the engine leaves its address empty without a word.
            full = folder.address.exists() and not folder.address.stat().st_size
            if full:
                deadline = min(deadline, time.monotonic() + 5)
            if time.monotonic() > deadline:
                if full:
                    raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC), str(folder.address))
                raise TimeoutError(f"the server did not answer within {START_SECONDS} s")
            time.sleep(POLL_SECONDS)
    except BaseException:
        process.kill()
        process.wait()
        raise
    return replace(server, started=True)


def _answering(folder: ServerFolder, logins: Mapping[str, Login]) -> LocalServer | None:
    try:
        native_port, http_port = map(int, folder.address.read_text().split())
    except (FileNotFoundError, ValueError):
        return None
    server = LocalServer(HOST, http_port, native_port, logins, started=False, folder=folder)
    return server if _ask(server, "SELECT 1") == "1" else None


def _last_ports(folder: ServerFolder) -> tuple[int, int]:
    """Native and HTTP port of the last start, each 0 if unknown or taken since."""
    try:
        native_port, http_port = map(int, folder.address.read_text().split())
    except (FileNotFoundError, ValueError):
        return 0, 0
    return free_or_any(native_port), free_or_any(http_port)


def free_or_any(port: int) -> int:
    """The port if it is free, else 0, which lets the system choose."""
    with socket.socket() as probe:
        # As the server does: a port that only lingers from an earlier run counts as free.
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((HOST, port))
        except OSError:
            return 0
    return port


def _check_rights(server: LocalServer, database: str) -> None:
    # The embedded engine reads users.xml once; neither a change nor SYSTEM RELOAD USERS moves it.
    answer = _ask(server, f"CHECK GRANT INSERT ON `{database}_raw`.*")
    if answer is None:
        raise TimeoutError("the server has stopped answering")
    if answer != "1":
        raise LocalClickHouseError(
            f"the local ClickHouse in {server.folder.path} is running without the database "
            f"{database!r}, and takes up a new one only when it starts: stop what uses it, "
            "then try again"
        )


def _ask(server: LocalServer, query: str) -> str | None:
    """Return the answer to a query of the loader, or None without a good one."""
    login = server.logins["loader"]
    headers = {"X-ClickHouse-User": login.user, "X-ClickHouse-Key": login.password}
    # Not urllib: it would send a request for 127.0.0.1 through a proxy of the environment.
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
            f"the running local ClickHouse does not know the passwords in "
            f"{server.folder.credentials}: stop what uses it, then try again"
        )
    return answer if response.status == http.client.OK else None


def _remembered(path: Path, database: str) -> list[str]:
    """All databases ever asked for here, so that one user's wish takes no other's rights."""
    known = path.read_text().split() if path.exists() else []
    if database not in known:
        known = sorted({*known, database})
        write_private(path, "\n".join(known) + "\n")
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
            "pip install --upgrade chdb-core"
        )


def _why_it_ended(folder: ServerFolder) -> str:
    """One line from the log of a server that ended while starting."""
    log = folder.log.read_text(errors="replace")
    for pattern, advice in FAILURES:
        if found := re.search(pattern, log):
            return (
                f"the local ClickHouse in {folder.path} did not start; {advice}. "
                f"It said: {found[0].strip()[:400]}"
            )
    last = (log.strip().splitlines() or ["nothing"])[-1]
    return f"the local ClickHouse in {folder.path} ended while starting. It said: {last[:400]}"


@contextmanager
def _failures_in_one_line(folder: ServerFolder) -> Iterator[None]:
    try:
        yield
    except TimeoutError as error:
        raise LocalClickHouseError(
            f"the local ClickHouse in {folder.path} hangs: {error}; see {folder.log}, "
            f"end the process that holds {folder.server_lock} and try again"
        ) from error
    except OSError as error:
        raise LocalClickHouseError(
            f"the folder of the local ClickHouse, {folder.path}, cannot be used: {error}; "
            "repair it, free space, or choose another home with QTICKETS_HOME"
        ) from error
