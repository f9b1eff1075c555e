"""File locks, which the kernel releases when their holder dies, also by SIGKILL."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 0.02


def try_lock(path: Path, kind: int) -> int | None:
    """Acquire the lock of `path` if it is free.

    Args:
        path: The lock file, created if missing.
        kind: `fcntl.LOCK_SH` or `fcntl.LOCK_EX`.

    Returns:
        A descriptor, or None if another process holds the lock. The lock is held until all copies
        of the descriptor are closed, also those that child processes inherited.
    """
    descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
    try:
        fcntl.flock(descriptor, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(descriptor)
        return None
    except BaseException:
        os.close(descriptor)
        raise
    return descriptor


@contextmanager
def held_lock(path: Path, kind: int, seconds: float) -> Iterator[int]:
    """Wait for the lock of `path` for at most `seconds`, hold it, and yield its descriptor.

    Raises:
        TimeoutError: Another process held it all the time.
    """
    deadline = time.monotonic() + seconds
    while (descriptor := try_lock(path, kind)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} was locked for {seconds:.0f} s")
        time.sleep(POLL_SECONDS)
    try:
        yield descriptor
    finally:
        # Closing is not enough, since a process forked meanwhile has a copy of the descriptor.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def is_last_holder(shared: int) -> bool:
    """Release a shared lock, and return whether no other process holds it shared.

    `flock` converts a shared lock to an exclusive one by releasing it first. In between, the server
    may acquire it, since it waits for it exclusively; then the first attempt fails. The second
    attempt distinguishes the cases: it succeeds only if other processes still hold the lock shared.
    """
    for kind, is_last in ((fcntl.LOCK_EX, True), (fcntl.LOCK_SH, False)):
        try:
            fcntl.flock(shared, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return is_last
    return True
