"""Progress of a load on a terminal: one line per table."""

from collections.abc import Callable

from dlt.common.runtime.collector_base import Collector
from rich.console import Console
from rich.progress import (
    Progress,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeElapsedColumn,
    TimeRemainingColumn,
)
from rich.text import Text


class _Rows(ProgressColumn):
    """Number of rows so far, expected number, and rows per second."""

    def render(self, task: Task) -> Text:
        of_total = f" of {task.total:,.0f}" if task.total else ""
        rate = f"  {task.speed:,.0f}/s" if task.speed else ""
        return Text(f"{task.completed:>9,.0f}{of_total} rows{rate}")


class TerminalProgress(Collector):
    """dlt's progress on a rich display; shows nothing if the output is not a terminal.

    Args:
        console: Where progress is shown.
        on_first_row: Called once, when the first row has been fetched.
    """

    def __init__(self, console: Console, on_first_row: Callable[[], object] | None = None) -> None:
        self._on_first_row = on_first_row
        self.step: str = ""
        self._console = console
        self._display: Progress | None = None
        self._tasks: dict[str, TaskID] = {}
        self._totals: dict[str, int] = {}
        self._done: dict[str, int] = {}

    def expect(self, name: str, total: int) -> None:
        """Add to the number of rows that are expected for a table."""
        self._totals[name] = self._totals.get(name, 0) + total

    def update(
        self,
        name: str,
        inc: int = 1,
        total: int | None = None,  # noqa: ARG002 - dlt's signature
        inc_total: int | None = None,  # noqa: ARG002
        message: str | None = None,  # noqa: ARG002
        label: str | None = None,  # noqa: ARG002
    ) -> None:
        if name.startswith("_dlt") or name[:1].isupper() or not inc:
            return
        if self._on_first_row:
            call, self._on_first_row = self._on_first_row, None
            call()
        if self._display is None:
            return
        if name not in self._tasks:
            self._tasks[name] = self._display.add_task(
                name, total=self._totals.get(name), completed=self._done.get(name, 0)
            )
        self._display.advance(self._tasks[name], inc)
        self._done[name] = self._done.get(name, 0) + inc

    def _start(self, step: str) -> None:
        # Only extracting takes long enough to show; the other steps take seconds.
        if not self._console.is_terminal or not step.startswith("Extract"):
            return
        self._display = Progress(
            SpinnerColumn(),
            TextColumn("{task.description:<12}"),
            _Rows(),
            TimeElapsedColumn(),
            TimeRemainingColumn(),
            console=self._console,
            transient=True,
        )
        self._display.start()

    def _stop(self) -> None:
        if self._display is not None:
            self._display.stop()
        self._display, self._tasks = None, {}
