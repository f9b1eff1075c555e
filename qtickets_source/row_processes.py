"""Rows of history, made by processes of their own: Python computes on one core at a time.

They pay where pages come faster than one core makes rows of them. What a process is sent are the
bytes of pages, what it sends back are tables: the same as would be made here, as they are where
a process is lost.
"""

import gc
import logging
import os
import pickle
import subprocess
import sys
from collections import deque
from collections.abc import Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from dataclasses import replace
from datetime import datetime
from pathlib import Path
from threading import local
from types import TracebackType
from typing import IO, Any

from .answers import OrderHead, order_page
from .columns import no_json
from .errors import QTicketsError
from .order_pages import batches
from .rows import Findings, RowContext, Tables, joined, order_tables

logger = logging.getLogger(__name__)

Row = dict[str, Any]
Page = tuple[bytes, datetime]
Answer = tuple[Tables | QTicketsError, Findings]

ROWS_AT_ONCE = 500
"""Orders of which a process makes rows at a time: with four times as many it takes 40 MB more."""

MOST = 3
"""What reads the pages feeds no more of them."""

# Without what would take most of a second and 100 MB for each process: dlt, which the package's own
# __init__ imports, and pandas, which pyarrow does as soon as it makes an array.
_PROGRAM = """
import sys, types
class WithoutPandas:
    def find_spec(self, name, *_):
        if name == "pandas":
            raise ModuleNotFoundError(name)
sys.meta_path.insert(0, WithoutPandas())
package = sys.modules["qtickets_source"] = types.ModuleType("qtickets_source")
package.__path__ = [sys.argv[1]]
from qtickets_source.row_processes import serve
serve(sys.stdin.buffer, sys.stdout.buffer)
"""


class RowProcesses:
    """A context in which processes make rows; without a request they just wait.

    They end with it, and with the process that started them, however that ends.

    Args:
        count: How many processes; by default as many as there are cores, up to `MOST`.
    """

    def __init__(self, count: int | None = None) -> None:
        self._count = count or min(usable_cores(), MOST)
        self._of_thread = local()
        self._processes: list[subprocess.Popen[bytes]] = []

    def __enter__(self) -> "RowProcesses":
        self._threads = ThreadPoolExecutor(self._count, initializer=self._start)
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._threads.shutdown(cancel_futures=True)
        for process in self._processes:
            # It ends at the end of its input.
            process.communicate()

    def tables(self, pages: Iterator[list[Row]], context: RowContext) -> Iterator[Tables]:
        """Rows of orders and of tickets, in the order of the pages.

        Args:
            pages: Of `OrderHead`s; rows of a page of anything else are made here.
            context: Its findings are added to.

        Raises:
            BadRow: As `order_tables`.
        """
        waiting: deque[Future[Answer]] = deque()

        def arrived(at_most: int) -> Iterator[Tables]:
            while len(waiting) > at_most:
                made, findings = waiting.popleft().result()
                context.findings.add(findings)
                if isinstance(made, QTicketsError):
                    raise made
                yield made

        for batch in batches(pages):
            # All rows of a page hold its bytes.
            contents = {
                id(head.content): (head.content, head._fetched_at)
                for head in batch
                if isinstance(head, OrderHead)
            }
            if contents:
                waiting.append(self._threads.submit(self._made, list(contents.values()), context))
                yield from arrived(at_most=2 * self._count)
            else:
                yield order_tables(batch, context)
        yield from arrived(at_most=0)

    def _start(self) -> None:
        """Starts the process of a thread."""
        self._of_thread.process = None
        command = [sys.executable, "-P", "-c", _PROGRAM, str(Path(__file__).parent)]
        try:
            # A group of its own: what a terminal sends at Ctrl-C is for the process that reads.
            process = subprocess.Popen(  # noqa: S603 - nothing in it comes from outside
                command,
                stdin=subprocess.PIPE,
                stdout=subprocess.PIPE,
                process_group=0,
                # Seven pages fit; into what Linux gives otherwise, a third of one.
                pipesize=2**20,
            )
        except OSError as error:
            logger.warning("No process to make rows: %s. They are made without it.", error)
            return
        self._of_thread.process = process
        self._processes.append(process)

    def _made(self, pages: Sequence[Page], context: RowContext) -> Answer:
        """Rows of pages by the process of this thread, or without it, if it is lost."""
        request = pages, replace(context, findings=Findings())
        process = self._of_thread.process
        if process is None:
            return _answer(*request)
        try:
            pickle.dump(request, process.stdin)
            process.stdin.flush()
            answer: Answer = pickle.load(process.stdout)  # noqa: S301 - written by `serve`
        except (OSError, EOFError, pickle.UnpicklingError):
            process.kill()
            self._of_thread.process = None
            logger.warning(
                "A process that makes rows was lost (%s), for want of memory perhaps: they are made"
                " without it.",
                process.wait(),
            )
            return _answer(*request)
        return answer


def serve(requests: IO[bytes], answers: IO[bytes]) -> None:
    """Makes rows until requests end."""
    # Rows are in no cycles: looking for those less often takes less time.
    gc.set_threshold(50_000, 20, 50)
    # Nobody asks any more, or nobody is there to be answered.
    with suppress(EOFError, BrokenPipeError, pickle.UnpicklingError):
        while True:
            request = pickle.load(requests)  # noqa: S301 - written by `_made`
            pickle.dump(_answer(*request), answers)
            answers.flush()


def usable_cores() -> int:
    """How many cores this process may compute on."""
    if hasattr(os, "sched_getaffinity"):
        return len(os.sched_getaffinity(0))
    return os.cpu_count() or 1


def _answer(pages: Sequence[Page], context: RowContext) -> Answer:
    def stamped() -> Iterator[list[Row]]:
        for content, fetched_at in pages:
            try:
                rows = order_page(content)["data"]
            except ValueError as error:
                raise no_json(error) from None
            for row in rows:
                row["_fetched_at"] = fetched_at
            yield rows

    try:
        made = [order_tables(batch, context) for batch in batches(stamped(), rows=ROWS_AT_ONCE)]
    except QTicketsError as error:
        return error, context.findings
    return joined(made), context.findings
