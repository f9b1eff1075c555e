"""The signals that end the command: SIGTERM and SIGHUP, as Ctrl-C does."""

import signal
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import current_thread, main_thread
from typing import Any

_ENDING = (signal.SIGTERM, signal.SIGHUP)


def interrupt_by_signals() -> None:
    """Let SIGTERM and SIGHUP raise KeyboardInterrupt from now on, as Ctrl-C does."""
    signal.signal(signal.SIGINT, signal.default_int_handler)
    _handle(interrupt)


def interrupt() -> None:
    """End what the main thread does, as Ctrl-C does."""
    raise KeyboardInterrupt


@contextmanager
def ended_by_signals(end: Callable[[], None]) -> Iterator[None]:
    """Call a function at SIGTERM and SIGHUP inside the block.

    Only the main thread gets signals; in another one the block changes nothing.
    """
    before = _handle(end) if current_thread() is main_thread() else {}
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, handler)


def _handle(end: Callable[[], None]) -> dict[signal.Signals, Any]:
    """Set the handlers; return the ones before. A signal that nohup ignores stays ignored."""
    handled = [number for number in _ENDING if signal.getsignal(number) is not signal.SIG_IGN]
    return {number: signal.signal(number, lambda *_: end()) for number in handled}
