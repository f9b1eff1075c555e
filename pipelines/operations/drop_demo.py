"""Remove demo data."""

from pipelines.configuration.environment import Settings
from pipelines.run_lock import exclusive_run
from pipelines.warehouse.server import open_warehouse


def drop_demo(settings: Settings) -> None:
    """Drop both databases if a demo or recorded answers filled them.

    Raises:
        ConfigurationError: They hold live data, which is never dropped.
    """
    with exclusive_run(settings), open_warehouse(settings) as warehouse:
        warehouse.prepare("offline" if warehouse.loaded_mode() == "offline" else "demo")
        warehouse.drop()
