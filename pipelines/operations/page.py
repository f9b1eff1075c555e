"""The dashboard page, written from the marts."""

from pathlib import Path

from dashboard import DashboardError, PageOptions, write_dashboard
from pipelines.configuration.environment import Settings
from pipelines.errors import ConfigurationError
from pipelines.warehouse.server import Warehouse, open_warehouse


def write_page(settings: Settings, warehouse: Warehouse) -> Path:
    """Write `<QTICKETS_HOME>/dashboard.html`; return its path.

    Raises:
        ConfigurationError: The marts were never built, or the file cannot be written.
        ClickHouseError: The server cannot be reached, or rejects a query.
    """
    path = settings.qtickets_home / "dashboard.html"
    options = PageOptions(
        database=warehouse.marts_db,
        time_zone=settings.report_tz,
        now=settings.report_now,
        organiser=settings.org_name,
        mode=settings.mode,
    )
    try:
        with warehouse.connect(warehouse.transformer) as client:
            write_dashboard(client, options, path)
    except DashboardError as error:
        raise ConfigurationError(str(error)) from error
    return path


def rewrite_page(settings: Settings) -> Path:
    """Write the page without a run.

    Raises:
        ConfigurationError, ClickHouseError: As `write_page`.
    """
    with open_warehouse(settings) as warehouse:
        return write_page(settings, warehouse)
