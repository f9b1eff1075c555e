"""The lock that keeps runs apart, and the signals that end a run."""

import os
from collections.abc import Iterator
from contextlib import contextmanager
from threading import Timer

from filelock import FileLock, Timeout

from pipelines.configuration.environment import Settings
from pipelines.errors import INTERRUPTED, BusyError, ConfigurationError
from pipelines.signals import ended_by_signals, interrupt


@contextmanager
def exclusive_run(settings: Settings) -> Iterator[None]:
    """Hold the lock of QTICKETS_HOME; the kernel frees it when a run dies.

    Raises:
        BusyError: Another run holds it.
        ConfigurationError: QTICKETS_HOME cannot be written.
    """
    lock = FileLock(settings.qtickets_home / "run.lock")
    try:
        settings.qtickets_home.mkdir(parents=True, exist_ok=True)
        lock.acquire(timeout=0)
    except Timeout:
        raise BusyError(
            f"Another run is in progress (it holds {settings.qtickets_home / 'run.lock'}). Nothing"
            " was done; it loads the same data, so there is nothing to repeat."
        ) from None
    except OSError as error:
        raise ConfigurationError(
            f"QTICKETS_HOME {settings.qtickets_home} cannot be written: {error.strerror}."
        ) from error
    try:
        yield
    finally:
        lock.release()


@contextmanager
def interruptible() -> Iterator[None]:
    """Let SIGTERM and SIGHUP end a run as Ctrl-C does: it is recorded, the lock is freed.

    The process exits a second later even if a thread still waits for the service.
    """

    with ended_by_signals(interrupt):
        try:
            yield
        except KeyboardInterrupt:
            leave = Timer(1, os._exit, (INTERRUPTED,))
            leave.daemon = True
            leave.start()
            raise
