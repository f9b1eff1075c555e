"""Interrupt a run at a chosen point: record what the run does, and send it a signal at one event.

The events are audit events of Python (https://docs.python.org/3/library/audit_events.html):
requests to the service, statements to ClickHouse, and files of QTICKETS_HOME that are opened for
writing, renamed or removed. They are counted separately in each phase of a run.
"""

import os
import sys
import threading
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import wraps
from pathlib import Path
from typing import Any

# Phase and description of each event, in the order of their occurrence.
Events = list[tuple[str, str]]


@dataclass(frozen=True)
class Point:
    """A point of a run: a share of the events of a phase, or the first event with a given text."""

    phase: str
    share: float = 0
    event: str = ""

    def number(self, events: Events) -> int:
        """Return the number of the event in its phase, given the events of an undisturbed run."""
        return 1 + int(self.share * sum(phase == self.phase for phase, _ in events))

    def __str__(self) -> str:
        return f"{self.phase} at {self.event or f'{self.share:.0%}'}"


class EventMonitor:
    """Records the events of this process, and sends it a signal at one of them."""

    def __init__(
        self, home: str, phase: str, event: int | str, signal_number: int, point_file: Path
    ) -> None:
        """Prepare to monitor.

        Args:
            home: QTICKETS_HOME. Files outside of it are ignored.
            phase: The phase in which the signal is sent; "" sends none.
            event: The number of the event in its phase, or a part of its description.
            point_file: Gets a description of the event before the signal is sent.
        """
        self.events: Events = []
        self._home, self._point_file = home, point_file
        self._target_phase, self._target_event, self._signal = phase, event, signal_number
        self._phase, self._counts, self._lock = "begin", Counter[str](), threading.Lock()

    def start(self) -> None:
        """Start to record. A phase is the call of one function; its return is an event too."""
        import clickhouse_driver.connection
        import dlt

        import pipelines.run
        from pipelines.warehouse.job_log import JobRecord

        for owner, name, phase in (
            (dlt.Pipeline, "extract", "extract"),
            (dlt.Pipeline, "normalize", "normalize"),
            (dlt.Pipeline, "load", "load"),
            (pipelines.run, "build_marts", "marts"),
            (JobRecord, "finish", "record"),
        ):
            setattr(owner, name, self._with_phase(phase, getattr(owner, name)))
        connection = clickhouse_driver.connection.Connection
        connection.send_query = self._with_event(connection.send_query)
        sys.addaudithook(self._audit)

    def _record(self, description: str) -> None:
        with self._lock:
            self._counts[self._phase] += 1
            self.events.append((self._phase, description))
            phase, target = self._target_phase, self._target_event
            is_target = phase == self._phase and (
                target in description if isinstance(target, str) else target == self._counts[phase]
            )
            if is_target:
                self._target_phase = ""
        if is_target:
            self._point_file.write_text(f"{phase} {target}: {description}")
            os.kill(os.getpid(), self._signal)

    def _audit(self, event: str, arguments: tuple[Any, ...]) -> None:
        if event == "http.client.send":
            connection, data = arguments
            head = bytes(data[:120]) if isinstance(data, bytes) else b""
            self._record(f"sends to {connection.port}: {head!r}")
        elif event == "open":
            path, mode, flags = arguments
            writes = flags & (os.O_WRONLY | os.O_RDWR) or set(mode or "") & set("wxa+")
            if writes and isinstance(path, str) and path.startswith(self._home):
                self._record(f"opens {path}")
        elif event in ("os.rename", "os.remove", "os.rmdir", "shutil.rmtree"):
            path = str(arguments[0])
            if path.startswith(self._home):
                self._record(f"{event} {path}")

    def _with_phase(self, phase: str, function: Callable[..., Any]) -> Callable[..., Any]:
        @wraps(function)
        def in_phase(*arguments: Any, **named: Any) -> Any:
            before, self._phase = self._phase, phase
            try:
                result = function(*arguments, **named)
                self._record("the end")
            finally:
                self._phase = before
            return result

        return in_phase

    def _with_event(self, send_query: Callable[..., Any]) -> Callable[..., Any]:
        """Record the statements of the native protocol, which raises no audit event."""

        @wraps(send_query)
        def recorded(connection: Any, statement: str, *arguments: Any, **named: Any) -> Any:
            self._record(f"states {statement[:120]!r}")
            return send_query(connection, statement, *arguments, **named)

        return recorded
