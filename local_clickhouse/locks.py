"""File locks that the kernel gives back when their holder dies, however it dies."""

import fcntl
import os
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

POLL_SECONDS = 0.02


def try_lock(path: Path, kind: int) -> int | None:
    """Take the lock of `path` if it is free.

    Returns a descriptor, or None if another holder is in the way. `kind` is `fcntl.LOCK_SH` or
    `fcntl.LOCK_EX`. The lock lasts until every copy of the descriptor is closed, those that a child
    inherited included.
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
def locked(path: Path, kind: int, seconds: float) -> Iterator[int]:
    """Hold the lock of `path`, waiting for it at most `seconds`; yields its descriptor.

    Raises:
        TimeoutError: another holder kept it all that time.
    """
    deadline = time.monotonic() + seconds
    while (descriptor := try_lock(path, kind)) is None:
        if time.monotonic() > deadline:
            raise TimeoutError(f"{path} stayed locked for {seconds:.0f} s")
        time.sleep(POLL_SECONDS)
    try:
        yield descriptor
    finally:
        # Closing is not enough: a process forked meanwhile has a copy of the descriptor.
        fcntl.flock(descriptor, fcntl.LOCK_UN)
        os.close(descriptor)


def was_last(shared: int) -> bool:
    """Give up a shared lock: True if nobody else holds it, or if someone waited to take it whole.

    A shared lock is turned into an exclusive one by dropping it first, so between the two the
    server, which waits for exactly this, may be the one to get it. The second try tells these
    apart: it succeeds only while other shared holders remain.
    """
    for kind, answer in ((fcntl.LOCK_EX, True), (fcntl.LOCK_SH, False)):
        try:
            fcntl.flock(shared, kind | fcntl.LOCK_NB)
        except BlockingIOError:
            continue
        return answer
    return True
