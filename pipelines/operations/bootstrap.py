"""Create every table and view of the project."""

from rich.console import Console

from pipelines.configuration.environment import Settings
from pipelines.loading.pipeline import create_raw_tables
from pipelines.run_lock import exclusive_run
from pipelines.transform.dbt_build import build_marts
from pipelines.warehouse.job_log import create_job_tables
from pipelines.warehouse.objects import DatabaseObject, contract_objects
from pipelines.warehouse.server import open_warehouse


def bootstrap(settings: Settings, console: Console) -> list[DatabaseObject]:
    """Create every table and view, empty where there is no data; return them.

    Raises:
        RunError: In one line for the operator.
    """
    with exclusive_run(settings), open_warehouse(settings) as warehouse:
        warehouse.prepare(settings.mode)
        create_job_tables(warehouse)
        create_raw_tables(settings, warehouse)
        with console.status("Building the marts (dbt build)"):
            build_marts(settings, warehouse)
        return contract_objects(warehouse)
