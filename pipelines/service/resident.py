"""What the worker of `serve` does: runs on schedule, and drains of hinted orders in between.

It works in the main thread of its process, which gets the signals, so runs are interrupted as they
are without `serve`. All work is done by this one thread under the lock of runs, so a run by cron or
by hand excludes a drain too.
"""

import logging
import time
from datetime import datetime, timezone
from threading import Event
from zoneinfo import ZoneInfo

from rich.console import Console
from rich.markup import escape

from pipelines.configuration.environment import Settings
from pipelines.errors import BusyError, ClickHouseError, ExitCode, RowsLeftOut, RunError
from pipelines.operations.alerts import alerting
from pipelines.run import Opened, run
from pipelines.run_report import RunReport
from pipelines.service.drain import DrainMemory, drain
from pipelines.service.memory import release_memory
from pipelines.service.missed import count_missed
from pipelines.service.spool import KEPT_SECONDS, PendingOrder, Spool, SpoolError
from pipelines.service.status import LastRun, Status
from pipelines.signals import ended_by_signals
from pipelines.summary import summarise
from qtickets_source.hints import IDS_PER_REQUEST

logger = logging.getLogger(__name__)

REREAD_AFTER = 10.0
"""Seconds between two readings of one order, however many webhooks name it."""
COLLECTED_FOR = 1.0
"""Seconds that a hint waits for others: an order that is paid at once causes two webhooks."""
FULL_REQUEST_WITHIN = 10.0
"""Seconds that many hints wait until they fill a request."""
MANY = 10
"""Orders that wait: more come than are read one drain after the other."""
MOST_AT_ONCE = 20 * IDS_PER_REQUEST
LISTED_WITHIN = 120.0
"""Seconds for which an order that the service does not list is asked for again."""
RETRY_AFTER = (10.0, 30.0, 60.0, 300.0)
"""Seconds after a drain that failed; the last one from then on."""
WARM_FOR = 300.0
"""Seconds without work after which the worker ends; loading dlt and dbt again takes a few."""
NIGHT = range(2, 6)
"""Hours of REPORT_TZ in which a run compares all that is loaded with the service."""


class Resident:
    """Makes runs on schedule, and drains in between.

    Args:
        settings: The settings of the process.
        console: Shows progress and summaries.
        opened: The warehouse and the service.
        spool: The hints of webhooks.
        status: Is kept up to date.
        counts_webhooks: Whether webhooks are received, so that missed ones are counted.
    """

    def __init__(
        self,
        settings: Settings,
        console: Console,
        opened: Opened,
        spool: Spool,
        status: Status,
        *,
        counts_webhooks: bool,
    ) -> None:
        self._settings, self._console, self._opened = settings, console, opened
        self._spool, self._status = spool, status
        self._counts_webhooks = counts_webhooks
        self._memory = DrainMemory()
        self._woken, self._is_stopping = Event(), False
        self._drain_failures, self._drain_not_before = 0, 0.0

    def wake(self) -> None:
        """Look for work now; called by the receiver after a hint was written."""
        self._woken.set()

    def stop(self) -> None:
        """End after the work in progress."""
        self._is_stopping = True
        self._woken.set()

    def work(self) -> None:
        """Work until `stop` is called, or there has been nothing to do for `WARM_FOR`.

        Raises:
            ClickHouseError: The embedded ClickHouse has ended; a new process starts it again.
        """
        # Between two runs; within one, a signal interrupts it.
        with ended_by_signals(self.stop):
            status, worked_at = self._status, time.time()
            while not self._is_stopping:
                self._woken.clear()
                now = time.time()
                if now >= status.next_run:
                    is_busy = self._run()
                    every, worked_at = self._settings.qtickets_every_minutes, time.time()
                    status.next_run = worked_at + 60 if is_busy else next_slot(worked_at, every)
                elif orders := self._due_orders(now):
                    self._drain(orders)
                    worked_at = time.time()
                elif now - worked_at < WARM_FOR or status.next_run - now < WARM_FOR:
                    self._woken.wait(min(status.next_run - now, self._pause(now)))
                elif self._pause(now) == WARM_FOR:
                    return
                else:
                    worked_at = now  # Hints that are not due yet.

    # -- runs -----------------------------------------------------------------------------------

    def _run(self) -> bool:
        """Make a scheduled run; return whether it must be tried again soon."""
        status, began = self._status, time.time()
        status.doing = "run"
        problem = ""
        try:
            with alerting(self._settings):
                report = run(
                    self._settings,
                    self._console,
                    opened=self._opened,
                    after_load=self._count_missed if self._counts_webhooks else None,
                    compares=self._is_night(),
                )
                summarise(report, self._settings, self._console)
                if report.load.left_out:
                    raise RowsLeftOut(report.load.left_out)
        except BusyError as error:
            self._console.print(escape(str(error)))
            return True
        except RowsLeftOut as error:
            self._tell(error)
        except RunError as error:
            problem = str(error)
            self._tell(error)
            self._end_without_warehouse(error)
        except Exception as error:
            problem = f"{type(error).__name__}: a bug"
            logger.exception("The run failed")
        finally:
            status.doing = ""
        ended = time.time()
        self._memory = DrainMemory()
        status.runs += 1
        status.failed_runs += bool(problem)
        if not problem:
            status.last_ok_at = status.read_at = began
        status.last_run = LastRun(ended, ended - began, problem)
        status.version += 1
        self._forget_old_hints()
        release_memory()
        return False

    def _is_night(self) -> bool:
        return datetime.now(ZoneInfo(self._settings.report_tz)).hour in NIGHT

    def _count_missed(self, report: RunReport) -> None:
        """Add to the report what webhooks missed since the last count, by any process."""
        until = datetime.now(timezone.utc)
        try:
            last = self._spool.counted_until()
            if last is not None:
                # Older hints are forgotten.
                last = max(last, until.timestamp() - KEPT_SECONDS)
                since = datetime.fromtimestamp(last, timezone.utc)
                report.webhooks = count_missed(self._opened.warehouse, self._spool, since, until)
            self._spool.record_count(until.timestamp())
        except SpoolError as error:
            logger.error("What webhooks missed was not counted: %s", error)
            return
        self._status.webhooks = report.webhooks or self._status.webhooks

    def _end_without_warehouse(self, error: RunError) -> None:
        """Raise the error if the embedded ClickHouse does not answer any more."""
        if error.exit_code != ExitCode.CLICKHOUSE or self._settings.clickhouse_host:
            return
        try:
            with self._opened.warehouse.connect(self._opened.warehouse.loader):
                return
        except ClickHouseError:
            raise error from None

    def _forget_old_hints(self) -> None:
        try:
            self._spool.forget(time.time() - KEPT_SECONDS)
        except SpoolError as error:
            logger.error("Old hints were not deleted: %s", error)

    # -- drains ---------------------------------------------------------------------------------

    def _due_orders(self, now: float) -> list[PendingOrder]:
        """Return the orders to read now; none while it pays to wait."""
        if now < self._drain_not_before or not self._status.runs:
            return []
        try:
            orders = self._spool.take(MOST_AT_ONCE, not_read_since=now - REREAD_AFTER)
        except SpoolError as error:
            logger.error("Hints of webhooks are not read: %s", error)
            self._drain_not_before = now + RETRY_AFTER[1]
            return []
        return due_orders(orders, now)

    def _pause(self, now: float) -> float:
        """Return the seconds after which to look again if no hint comes."""
        try:
            waits = self._spool.pending_count() > 0
        except SpoolError:
            return RETRY_AFTER[1]
        return max(0.25, min(self._drain_not_before - now, 60.0)) if waits else WARM_FOR

    def _drain(self, orders: list[PendingOrder]) -> None:
        status, began = self._status, time.time()
        status.doing = "drain"
        try:
            done = drain(self._settings, self._opened, orders, self._memory)
            ended = time.time()
            self._spool.done(done.read, began)
            late = [order for order in done.not_found if ended - order.first_at > LISTED_WITHIN]
            self._spool.done(late, began)
            self._spool.tried([o for o in done.not_found if o not in late], began)
        except BusyError:
            # A run by cron or by hand, which finds these orders too.
            self._drain_not_before = time.time() + RETRY_AFTER[0]
            return
        except (RunError, SpoolError) as error:
            self._drain_failed(str(error))
            if isinstance(error, RunError):
                self._end_without_warehouse(error)
            return
        except Exception as error:
            logger.exception("Reading hinted orders failed")
            self._drain_failed(f"{type(error).__name__}: a bug")
            return
        finally:
            status.doing = ""
        self._drain_failures, status.drain_problem = 0, ""
        status.drains += 1
        status.drained_orders += len(done.read)
        status.drain_requests += done.report.load.observed.counts.requests
        status.last_drain_seconds = ended - began
        status.read_at = max(status.read_at, began)
        if done.report.rows:
            status.version += 1
            tickets = done.report.load.rows.get("tickets", 0)
            self._console.print(
                f"[dim]{datetime.now():%H:%M:%S}[/] orders named by webhooks: {len(done.read)},"
                f" tickets new or changed: {tickets}, in {ended - began:.1f} s"
            )

    def _drain_failed(self, problem: str) -> None:
        """Wait longer with each failure; the scheduled runs go on."""
        pause = RETRY_AFTER[min(self._drain_failures, len(RETRY_AFTER) - 1)]
        if problem != self._status.drain_problem:
            logger.error("Hinted orders were not read, again in %.0f s: %s", pause, problem)
        self._status.drain_problem = problem
        self._drain_failures += 1
        self._drain_not_before = time.time() + pause

    def _tell(self, error: RunError) -> None:
        self._console.print(f"[bold red]{error.heading}:[/] {escape(str(error))}")


def next_slot(now: float, every_minutes: int) -> float:
    """Return the time of the next scheduled run; slots are counted from midnight UTC."""
    midnight, every = now - now % 86400, every_minutes * 60
    return min(midnight + ((now - midnight) // every + 1) * every, midnight + 86400)


def due_orders(orders: list[PendingOrder], now: float) -> list[PendingOrder]:
    """Return which of the waiting orders, oldest first, are read now.

    Few are read after a second. Many wait until they fill a request, so that an on-sale costs
    hardly more requests than one reading of the list.
    """
    orders = [order for order in orders if now - order.first_at >= COLLECTED_FOR]
    full = len(orders) // IDS_PER_REQUEST * IDS_PER_REQUEST
    if full:
        waits = len(orders) > full and now - orders[full].first_at >= FULL_REQUEST_WITHIN
        return orders if waits else orders[:full]
    if len(orders) >= MANY and now - orders[0].first_at < FULL_REQUEST_WITHIN:
        return []
    return orders
