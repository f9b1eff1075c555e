"""A scheduled load: what is new and what changed, after the history that is still missing."""

import logging
from datetime import datetime, timedelta, timezone

from pipelines.configuration.environment import Settings
from pipelines.errors import ServiceError
from pipelines.loading.history import BackfillJob, load_history
from pipelines.loading.pipeline import (
    LoadReport,
    LoadSession,
    open_session,
    select_resources,
    source_configuration,
)
from pipelines.loading.progress import TerminalProgress
from pipelines.loading.reconciliation import (
    ReconciliationJob,
    due_reconciliation,
    reconcile,
)
from pipelines.loading.reconciliation_result import Reconciliation
from pipelines.loading.service import Service
from pipelines.warehouse.server import Warehouse
from qtickets_source import qtickets_source, reset_state_source

logger = logging.getLogger(__name__)


def load(
    settings: Settings,
    service: Service,
    warehouse: Warehouse,
    progress: TerminalProgress,
    *,
    full_refresh: bool = False,
    compares: bool = True,
) -> LoadReport:
    """Fetch what is new and changed, and append it to the raw tables.

    A first run loads its period of history first; a run after an interrupted backfill completes
    that first.

    Args:
        settings: The settings of the run.
        service: The service to read.
        warehouse: The server to write to.
        progress: Shows the rows of each table.
        full_refresh: Read everything again from the earliest day that was ever loaded. No table
            is dropped first: rows get newer versions, and past seats could not be read again.
        compares: Compare with the service if that is due.

    Raises:
        ServiceError: The service rejected a request, returned invalid data, or timed out. Nothing
            of it was loaded.
        ClickHouseError: The raw tables could not be written. Rows that were written are harmless:
            the next run reads the same rows again, and the newest version counts.
    """
    with open_session(settings, service, warehouse, progress) as session:
        earliest = settings.initial_since(datetime.now(timezone.utc))
        if full_refresh:
            loaded = [since for since, _ in session.state.get("loaded", [])]
            again = BackfillJob(min([earliest, *loaded]), is_first=True)
            session.pipeline.run(reset_state_source({"backfill": again.as_state()}))
        if "orders" not in settings.skipped:
            if unfinished := session.state.get("backfill"):
                load_history(session, BackfillJob(**unfinished), progress)
            if "cursor_from" not in session.state:
                load_history(session, BackfillJob(earliest, is_first=True), progress)
        cursor_from = session.state.get("cursor_from", earliest)
        overlap = timedelta(hours=settings.qtickets_since_hours)
        source = qtickets_source(
            source_configuration(settings, service, initial_since=cursor_from - overlap),
            fetched_after=session.fetched_after,
            observed=session.report.observed,
        )
        select_resources(source, settings)
        session.run(source)
        if compares and settings.mode == "live" and "orders" not in settings.skipped:
            _reconcile_if_due(session, progress)
    return session.report


def _reconcile_if_due(session: LoadSession, progress: TerminalProgress) -> None:
    """Compare with the service, now and then; what fails there is told and does not stop a run."""
    if job := due_reconciliation(session.warehouse, session.settings.job_name):
        try:
            with session.translated_errors():
                session.report.reconciliation = reconcile(session, job, progress)
        except ServiceError as error:
            session.report.reconciliation = Reconciliation(problem=str(error))
            logger.warning("The reconciliation was not completed: %s", error)


def reconcile_now(
    settings: Settings,
    service: Service,
    warehouse: Warehouse,
    progress: TerminalProgress,
    job: ReconciliationJob,
) -> LoadReport:
    """Hold the raw tables against the service, and load what differs.

    Raises:
        ServiceError, ClickHouseError: As `load`.
    """
    with open_session(settings, service, warehouse, progress) as session:
        session.report.reconciliation = reconcile(session, job, progress)
    return session.report
