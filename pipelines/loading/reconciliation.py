"""The raw tables held against the service: counted by month, then by day, then compared by id."""

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from typing import Any

from pipelines.loading.history import BackfillJob, MonthSums, load_history
from pipelines.loading.pipeline import LoadSession, source_configuration
from pipelines.loading.progress import TerminalProgress
from pipelines.loading.reconciliation_result import Month, Reconciliation
from pipelines.warehouse.server import Warehouse
from qtickets_source import qtickets_reconciliation_source
from qtickets_source.reconciliation import Differences, LoadedDay, PaymentCounts
from qtickets_source.state.periods import months

DAY = timedelta(days=1)
LONGEST_MONTH = timedelta(days=31)
# A little less than a day and a week, so that runs may start a minute earlier than the last time.
RECENT_EVERY = timedelta(hours=23)
FULL_EVERY = timedelta(days=6, hours=23)
UNTIL_BEFORE_SWEEP = timedelta(minutes=1)
"""Orders that were paid while the last run read are compared by the next reconciliation."""


@dataclass(frozen=True)
class ReconciliationJob:
    """What is reconciled.

    Attributes:
        since: First moment of payment, UTC; None: the beginning of what is loaded.
        deep: Read every order again first, and compare tickets and money as well.
        repair: Load what is missing or has changed.
    """

    since: datetime | None = None
    deep: bool = False
    repair: bool = True


def reconcile(
    session: LoadSession, job: ReconciliationJob, progress: TerminalProgress
) -> Reconciliation:
    """Compare, and mend what differs.

    Raises:
        ServiceError, ClickHouseError: As a load. The cursors of runs do not move.
    """
    warehouse = session.warehouse
    result = Reconciliation(is_deep=job.deep)
    until = session.state.get("swept_until")
    loaded = session.state.get("loaded")
    if until is None or not loaded:
        result.problem = "Nothing is loaded yet, so there is nothing to compare."
        return result
    result.is_full = job.since is None
    until -= UNTIL_BEFORE_SWEEP
    beginning = max(loaded[0][0], job.since) if job.since else loaded[0][0]
    tables = _LoadedOrders(warehouse)
    deep = BackfillJob.unfinished(session, (beginning, until)) or BackfillJob(beginning, until)
    if job.deep:
        if deep.sums_before is None:
            deep = replace(deep, sums_before=tables.sums_by_month(beginning, until))
        load_history(session, deep, progress)
    observed = session.report.observed
    config = source_configuration(session.settings, session.service)
    counts = PaymentCounts(config, observed)
    windows = list(_windows(beginning, tables.first_payment(beginning), until))
    if tables.count(beginning, until) and not counts.between(beginning, until):
        result.problem = "The service does not count orders by their date of payment."
        return result
    days: list[LoadedDay] = []
    for since, end in windows:
        label = f"{since:%Y-%m}" if end - since <= LONGEST_MONTH else f"before {end:%Y-%m}"
        month = Month(label, counts.between(since, end), tables.count(since, end))
        month.differs = month.orders_at_service != month.orders_loaded
        result.months.append(month)
        if month.differs:
            days += _differing_days(counts, tables, since, end)
    without_date = counts.without_date()
    loaded_without = tables.without_date()
    lacks_undated = without_date > len(loaded_without)
    if days or lacks_undated:
        _mend(session, job, result, days, loaded_without if lacks_undated else None)
    if job.deep:
        _compare_sums(result, deep.sums_before or {}, tables.sums_by_month(beginning, until))
    return result


def due_reconciliation(warehouse: Warehouse, job_name: str) -> ReconciliationJob | None:
    """Return what a run reconciles: this month and last once a day, everything once a week."""
    now = datetime.now(timezone.utc)
    with warehouse.connect(warehouse.transformer) as client:
        ((last, last_full),) = client.query(
            "SELECT max(finished_at), maxIf(finished_at,"  # noqa: S608
            " JSONExtractBool(metrics, 'reconciliation', 'is_full'))"
            f" FROM `{warehouse.marts_db}`.meta_job_runs WHERE job = {{job:String}}"
            " AND JSONHas(metrics, 'reconciliation')",
            parameters={"job": job_name},
            query_tz="UTC",
        ).result_rows
    if now - last_full.replace(tzinfo=timezone.utc) >= FULL_EVERY:
        return ReconciliationJob()
    if now - last.replace(tzinfo=timezone.utc) >= RECENT_EVERY:
        first = now.replace(day=1, hour=0, minute=0, second=0, microsecond=0)
        return ReconciliationJob(since=(first - DAY).replace(day=1))
    return None


def _mend(
    session: LoadSession,
    job: ReconciliationJob,
    result: Reconciliation,
    days: list[LoadedDay],
    loaded_without_date: frozenset[int] | None,
) -> None:
    if not job.repair:
        return
    differences = Differences()
    session.run(
        qtickets_reconciliation_source(
            days,
            differences,
            loaded_without_date,
            source_configuration(session.settings, session.service),
            fetched_after=session.fetched_after,
            observed=session.report.observed,
        )
    )
    result.missing, result.changed = differences.missing, differences.changed
    result.vanished = differences.vanished
    result.not_found = sorted({*differences.not_found} - {*differences.vanished})
    result.is_repaired = True
    if differences.vanished:
        moment = max(datetime.now(timezone.utc), session.state["fetched_until"])
        tables = _LoadedOrders(session.warehouse)
        tables.mark_vanished(differences.vanished, moment + timedelta(microseconds=1))


def _differing_days(
    counts: PaymentCounts, tables: "_LoadedOrders", since: datetime, until: datetime
) -> Iterator[LoadedDay]:
    """Yield the days whose counts differ; a span of more than a month is one of them."""
    if until - since > LONGEST_MONTH:
        yield LoadedDay(since, until, tables.ids(since, until))
        return
    start = since
    while start < until:
        end = min(start + DAY, until)
        if counts.between(start, end) != tables.count(start, end):
            yield LoadedDay(start, end, tables.ids(start, end))
        start = end


def _windows(
    beginning: datetime, first_payment: datetime | None, until: datetime
) -> Iterable[tuple[datetime, datetime]]:
    """Yield what is before the month of the first payment, if anything, then each month."""
    first = first_payment or until
    start = max(first.replace(day=1, hour=0, minute=0, second=0, microsecond=0), beginning)
    if beginning < start:
        yield beginning, start
    yield from months(start, until)


def _compare_sums(
    result: Reconciliation,
    before: MonthSums,
    after: MonthSums,
) -> None:
    for month in result.months:
        tickets_before, amounts_before = before.get(month.month, (0, {}))
        month.tickets, amounts = after.get(month.month, (0, {}))
        month.tickets_before = tickets_before
        month.amounts_differ = amounts != amounts_before
        month.differs = month.differs or month.amounts_differ or month.tickets != tickets_before


class _LoadedOrders:
    """The paid orders in the raw tables."""

    def __init__(self, warehouse: Warehouse) -> None:
        self._warehouse = warehouse
        self._orders = f"`{warehouse.raw_db}`.orders"
        self._tickets = f"`{warehouse.raw_db}`.tickets"

    def count(self, since: datetime, until: datetime) -> int:
        """Return the number of orders paid in [since, until) that the service has."""
        (row,) = self._query("SELECT count() FROM {orders} FINAL WHERE {listed}", since, until)
        return int(row[0])

    def ids(self, since: datetime, until: datetime) -> frozenset[int]:
        """Return the ids of the orders paid in [since, until) that the service has."""
        rows = self._query("SELECT id FROM {orders} FINAL WHERE {listed}", since, until)
        return frozenset(int(id_) for (id_,) in rows)

    def without_date(self) -> frozenset[int]:
        """Return the ids of paid orders without a date of payment."""
        rows = self._query(
            "SELECT id FROM {orders} FINAL WHERE payed AND payed_at IS NULL AND vanished_at IS NULL"
        )
        return frozenset(int(id_) for (id_,) in rows)

    def first_payment(self, since: datetime) -> datetime | None:
        """Return the first date of payment from a moment on, UTC."""
        (row,) = self._query(
            "SELECT min(payed_at) FROM {orders} FINAL WHERE payed_at >= {{since:DateTime64(6)}}",
            since,
        )
        return row[0].replace(tzinfo=timezone.utc) if row[0] else None

    def sums_by_month(self, since: datetime, until: datetime) -> MonthSums:
        """Return (tickets, money by currency) that were ever paid, by month."""
        rows = self._query(
            "SELECT formatDateTime(payed_at, '%Y-%m', 'UTC') AS month, currency_id,"
            " sum(tickets.quantity), toString(sum(tickets.price * tickets.quantity))"
            " FROM {tickets} AS tickets FINAL"
            " INNER JOIN (SELECT id, payed_at, currency_id, _fetched_at FROM {orders} FINAL"
            " WHERE {paid}) AS orders ON tickets.order_id = orders.id"
            " AND tickets._fetched_at = orders._fetched_at"
            " GROUP BY month, currency_id ORDER BY month, currency_id",
            since,
            until,
        )
        sums: MonthSums = {}
        for month, currency, tickets, amount in rows:
            known, amounts = sums.get(month, (0, {}))
            sums[month] = known + int(tickets), amounts | {currency: amount}
        return sums

    def mark_vanished(self, ids: list[int], moment: datetime) -> None:
        """Add versions of orders that no longer exist, with the moment when that was sure.

        Whichever of the two tables a killed run has not written, the tickets of the order have
        another version than the order, and do not count.
        """
        version = "{moment:DateTime64(6)} AS _fetched_at"
        for table, key, values in (
            (self._orders, "id", f"{version}, {{moment:DateTime64(6)}} AS vanished_at"),
            (self._tickets, "order_id", version),
        ):
            with self._warehouse.connect(self._warehouse.loader) as client:
                client.command(
                    f"INSERT INTO {table} SELECT * REPLACE({values})"  # noqa: S608
                    f" FROM {table} FINAL WHERE {key} IN {{ids:Array(Int64)}}",
                    parameters={"ids": ids, "moment": moment},
                )

    def _query(
        self, sql: str, since: datetime | None = None, until: datetime | None = None
    ) -> list[Any]:
        paid = "payed_at >= {since:DateTime64(6)} AND payed_at < {until:DateTime64(6)}"
        listed = f"{paid} AND vanished_at IS NULL"
        with self._warehouse.connect(self._warehouse.loader) as client:
            result = client.query(
                sql.format(orders=self._orders, tickets=self._tickets, paid=paid, listed=listed),
                parameters={"since": since, "until": until},
                query_tz="UTC",
            )
        return list(result.result_rows)
