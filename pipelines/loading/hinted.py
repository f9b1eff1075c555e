"""A load of the orders that webhooks have named, between two scheduled loads."""

from dataclasses import replace

from pipelines.configuration.environment import Settings
from pipelines.loading.pipeline import LoadReport, open_session, source_configuration
from pipelines.loading.progress import TerminalProgress
from pipelines.loading.service import Service
from pipelines.warehouse.server import Warehouse
from qtickets_source import HintedOrders, Observations, qtickets_hints_source


def load_hinted(
    settings: Settings,
    service: Service,
    warehouse: Warehouse,
    progress: TerminalProgress,
    hinted: HintedOrders,
    *,
    is_proven: bool,
) -> LoadReport:
    """Read orders again and append those that have changed to the raw tables.

    Args:
        settings: The settings of the run.
        service: The service to read.
        warehouse: The server to write to.
        progress: Shows the rows of each table.
        hinted: The orders; it is extended once they are loaded.
        is_proven: Whether the service has proven lately that it understands filters.

    Raises:
        ServiceError, ClickHouseError: As a scheduled load. No cursor moves in any case.
    """
    with open_session(settings, service, warehouse, progress) as session:
        session.report.observed = Observations(filters_proven=is_proven)
        if "loaded" not in session.state:
            # The first run loads everything, these orders too.
            return session.report
        attempt = replace(hinted, digests=dict(hinted.digests), read=set())
        session.run(
            qtickets_hints_source(
                attempt,
                source_configuration(settings, service),
                fetched_after=session.fetched_after,
                observed=session.report.observed,
            )
        )
        hinted.digests.update(attempt.digests)
        hinted.read, hinted.was_asked = attempt.read, attempt.was_asked
    return session.report
