"""The dashboard page, written from the marts."""

from pathlib import Path

from dashboard import write_dashboard
from pipelines.configuration.environment import Settings
from pipelines.warehouse.server import Warehouse, open_warehouse


def write_page(settings: Settings, warehouse: Warehouse) -> Path:
    """Write `<QTICKETS_HOME>/dashboard.html`; return its path.

    Raises:
        ConfigurationError: The marts were never built, or the file cannot be written.
        ClickHouseError: The server cannot be reached, or rejects a query.
    """
    return write_dashboard(settings, warehouse)


def rewrite_page(settings: Settings) -> Path:
    """Write the page without a run.

    Raises:
        ConfigurationError, ClickHouseError: As `write_page`.
    """
    with open_warehouse(settings) as warehouse:
        return write_page(settings, warehouse)
