"""The cost of loading in requests, statements, files, rows and bytes must not grow.

Times depend on the machine, so `python -m benchmarks` measures them instead.
"""

import math
from collections.abc import Callable
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from rich.console import Console

from benchmarks.cost import Cost, measured
from benchmarks.file_service import PER_PAGE
from benchmarks.implementations import this_project
from benchmarks.order_file import OrderFile, order_file
from benchmarks.report import exponent
from pipelines.configuration.environment import Settings
from pipelines.run import run
from pipelines.warehouse.server import open_warehouse
from sandbox import World, serve

pytestmark = pytest.mark.slow
NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
SMALL, LARGE = 1000, 4000


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> OrderFile:
    return order_file(tmp_path_factory.mktemp("orders"), LARGE)


@pytest.fixture(scope="module")
def loads(file: OrderFile, tmp_path_factory: pytest.TempPathFactory) -> dict[int, Cost]:
    """The cost of loading a period, by its number of orders."""
    return {
        orders: this_project.load(file, orders, tmp_path_factory.mktemp("home"))
        for orders in (SMALL, LARGE)
    }


def test_a_load_asks_for_each_page_once(loads: dict[int, Cost]) -> None:
    for orders, cost in loads.items():
        # Two more for the number of orders and the time of the service, three to prove the filters.
        assert cost.counts["requests"] == math.ceil(orders / PER_PAGE) + 2 + 3


def test_statements_depend_on_the_number_of_windows_not_on_their_rows(
    loads: dict[int, Cost],
) -> None:
    small, large = loads[SMALL].counts, loads[LARGE].counts

    assert large["inserts"] == small["inserts"] <= 8
    assert large["statements"] == small["statements"] <= 45


def test_files_depend_on_the_number_of_windows_not_on_their_rows(loads: dict[int, Cost]) -> None:
    for cost in loads.values():
        # Each insert is a file of dlt and becomes a part. Logs of ClickHouse may add parts.
        assert cost.counts["inserts"] <= cost.counts["parts written"] <= cost.counts["inserts"] + 4


def test_rows_are_written_once_and_read_once(file: OrderFile, loads: dict[int, Cost]) -> None:
    for orders, cost in loads.items():
        assert cost.rows == orders + file.tickets_of(orders)
        # The state of dlt and the query log of ClickHouse add some rows.
        assert cost.rows <= cost.counts["rows written"] <= cost.rows + 500
    small, large = loads.values()
    # Both loads read the same rows of system tables, except for those that a new connection reads.
    read = large.counts["rows read"] - small.counts["rows read"]
    assert read <= 1.3 * (large.rows - small.rows)


def test_bytes_grow_with_rows(loads: dict[int, Cost]) -> None:
    rows = [cost.rows for cost in loads.values()]
    written = [cost.counts["bytes written"] for cost in loads.values()]

    assert exponent(rows, written) <= 1.02
    assert written[1] / rows[1] <= 600


def test_a_run_with_nothing_new_costs_the_same_whatever_the_history(
    settings_for: Callable[..., Settings], tmp_path: Path
) -> None:
    quiet = {}
    for months in (1, 4):
        since = NOW - timedelta(days=30 * months)
        world = World(orders=300 * months, seed=5, start=since, end=NOW, now=NOW, events=3)
        home = tmp_path / str(months)
        with serve(world) as server:
            settings = settings_for(server.url, qtickets_home=home)
            with open_warehouse(settings) as warehouse:
                run(settings, Console(quiet=True), skip_marts=True)
                server.requests.clear()
                with measured(warehouse) as cost:
                    report = run(settings, Console(quiet=True), skip_marts=True)
            assert report.load.rows["orders"] == 0
            asked = [path for _, path, _, _ in server.requests if path.endswith("/orders")]
            quiet[months] = (len(asked), cost.counts["statements"], cost.counts["inserts"])

    assert quiet[4] == quiet[1]
    # One request for new payments, one for changes, and three to prove the filters.
    assert quiet[1][0] <= 2 + 3
