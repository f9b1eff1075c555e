"""The suite `marts`: builds with tests, compared with SQL by hand, and queries of a dashboard.

Memory is that of the query with the highest peak memory.
"""

import math
import shutil
import time
from collections.abc import Callable
from dataclasses import asdict
from datetime import datetime, timezone
from pathlib import Path

import clickhouse_connect
from clickhouse_connect.driver.client import Client

from pipelines.configuration.environment import DBT_PROJECT
from pipelines.loading.pipeline import create_raw_tables
from pipelines.transform.build_plan import PARTIAL_BUILD_FROM_TICKETS
from pipelines.transform.dbt_build import build_marts
from pipelines.transform.project_state import state_folder
from pipelines.warehouse.server import Warehouse, open_warehouse

from .cost import Cost, measured
from .embedded_settings import embedded_settings
from .fill_raw import change, fill
from .marts_by_client import build_by_client, compiled_tables, verify_row_counts
from .marts_by_hand import build_by_hand, verify_totals
from .own_process import in_own_process
from .report import Growth, Measurement, Ratio, Results, exponent

ORDERS = (100_000, 1_000_000, 10_000_000)
REPEATED_QUERIES = 20
TICKETS = "SELECT count() FROM zakaz_raw.tickets"
LAST_30_DAYS = "sales_date >= today() - 30"

QUERIES = {
    "the dashboard": "SELECT * FROM v_qtickets_sales_dashboard ORDER BY revenue_14d DESC",
    "14 days by event and day": "SELECT * FROM v_sales_latest",
    "totals of 14 days": "SELECT currency, sum(revenue), sum(tickets_sold) FROM v_sales_14d"
    " GROUP BY currency",
    "revenue by month, all time": "SELECT toStartOfMonth(sales_date) AS month, currency,"
    " sum(revenue) FROM fact_qtickets_sales_daily GROUP BY month, currency ORDER BY month",
    "30 days of one event": "SELECT sales_date, revenue FROM fact_qtickets_sales_daily"
    f" WHERE event_id = '7' AND {LAST_30_DAYS}",
    "top sources of 30 days": "SELECT utm_group, sum(revenue) AS money"
    " FROM v_qtickets_sales_utm_daily WHERE d >= today() - 30 GROUP BY utm_group ORDER BY money",
    "plan vs actual, 30 days": f"SELECT * FROM v_plan_vs_fact WHERE {LAST_30_DAYS}",
    "sales curve of one event": "SELECT * FROM fact_qtickets_sales_pace WHERE event_id = '7'",
    "new and returning buyers": "SELECT kind, count() FROM dim_buyers GROUP BY kind",
    "freshness": "SELECT * FROM v_qtickets_freshness",
}

BY_CLIENT = "the same SQL by the client"
STEPS = ("first build, dbt parses", "full", BY_CLIENT, "after a day's changes", "by hand")


def build(folder: str, orders: int, repeat: int) -> Cost:
    """Fill the raw tables, run all steps and queries; `counts` has their costs in millionths."""
    home = Path(folder) / "home-marts"
    shutil.rmtree(home, ignore_errors=True)
    settings = embedded_settings(home)
    steps: dict[str, Cost] = {}
    with open_warehouse(settings) as warehouse:
        warehouse.create_databases()
        create_raw_tables(settings, warehouse)
        loader = clickhouse_connect.get_client(
            host=warehouse.host,
            port=warehouse.port,
            username=warehouse.loader.user,
            password=warehouse.loader.password,
            send_receive_timeout=1800,
        )
        fill(loader, warehouse.raw_db, orders)
        is_large = int(str(loader.command(TICKETS))) >= PARTIAL_BUILD_FROM_TICKETS
        changed_since: datetime | None = None
        for name in STEPS:
            if name == BY_CLIENT:
                target = state_folder(settings.qtickets_home, DBT_PROJECT) / "target"
                with warehouse.connect(warehouse.transformer) as client:
                    selects = compiled_tables(target, client, warehouse.marts_db)
            if name == "after a day's changes":
                # As a run does, but without the hours before, in which the tables were filled.
                changed_since = datetime.now(timezone.utc) if is_large else None
                change(loader, warehouse.raw_db, orders)
            for _ in range(1 if name == STEPS[0] else repeat):
                with measured(warehouse) as cost:
                    if name == "by hand":
                        build_by_hand(warehouse)
                    elif name == BY_CLIENT:
                        build_by_client(warehouse, selects)
                    else:
                        build_marts(settings, warehouse, changed_since=changed_since)
                cost.peak_bytes = _peak_memory(warehouse, cost.seconds)
                if name == BY_CLIENT:
                    verify_row_counts(warehouse, selects)
                if name not in steps or cost.seconds < steps[name].seconds:
                    steps[name] = cost
        verify_totals(warehouse)
        with warehouse.connect(warehouse.transformer) as client:
            latencies = {
                name: _percentile_95(client, warehouse, sql) for name, sql in QUERIES.items()
            }
    shutil.rmtree(home, ignore_errors=True)
    figures = {
        f"{name}|{figure}": round(value * 1e6)
        for name, cost in steps.items()
        for figure, value in asdict(cost).items()
        if figure != "counts"
    }
    return Cost(
        counts=figures | {f"query|{name}": round(ms * 1e6) for name, ms in latencies.items()}
    )


def measure(scale: float, repeat: int, folder: Path, say: Callable[[str], None]) -> Results:
    """Build and query the marts at three sizes."""
    results = Results()
    costs: dict[str, dict[int, Cost]] = {name: {} for name in STEPS}
    for orders in [round(size * scale) for size in ORDERS]:
        measured_steps = in_own_process(
            "marts", "build", folder=str(folder), orders=orders, repeat=repeat
        )
        for name in STEPS:
            figures = {
                figure: measured_steps.counts[f"{name}|{figure}"] / 1e6
                for figure in ("seconds", "cpu_seconds", "server_cpu_seconds", "peak_bytes")
            }
            cost = Cost(**{**figures, "peak_bytes": int(figures["peak_bytes"])})  # type: ignore[arg-type]
            results.measurements.append(Measurement("marts", name, orders, cost))
            say(f"marts: {name}, {orders:,} orders: {cost.seconds:.1f} s")
            costs[name][orders] = cost
        for name, than in {BY_CLIENT: BY_CLIENT, "by hand": "two facts by hand"}.items():
            ratio = costs["full"][orders].seconds / costs[name][orders].seconds
            what = f"full build relative to {than}, {orders:,} orders"
            results.ratios.append(Ratio("marts", what, ratio, ""))
        for name in QUERIES:
            seconds = measured_steps.counts[f"query|{name}"] / 1e9
            what = f"query, 95th percentile: {name}"
            results.measurements.append(Measurement("marts", what, orders, Cost(seconds=seconds)))
    for name in ("full", "after a day's changes"):
        sizes = list(costs[name])
        growth = exponent(sizes, [cost.server_cpu_seconds for cost in costs[name].values()])
        results.growths.append(
            Growth("marts", f"{name}: ClickHouse's processor time", sizes, growth)
        )
    return results


def _peak_memory(warehouse: Warehouse, seconds: float) -> int:
    """Return the highest peak memory of a query of the last `seconds`."""
    with warehouse.connect(warehouse.transformer) as client:
        time.sleep(8)  # The query log is written every 7.5 seconds.
        peak = client.command(
            "SELECT max(memory_usage) FROM system.query_log"
            f" WHERE event_time >= now() - {math.ceil(seconds) + 10}"
        )
    return int(str(peak))


def _percentile_95(client: Client, warehouse: Warehouse, sql: str) -> float:
    """Return the 95th percentile of the latency of a query, in milliseconds."""
    query = sql.replace(" FROM ", f" FROM {warehouse.marts_db}.")
    client.query(query)
    latencies = []
    for _ in range(REPEATED_QUERIES):
        started = time.monotonic()
        client.query(query)
        latencies.append(1000 * (time.monotonic() - started))
    return sorted(latencies)[math.ceil(0.95 * REPEATED_QUERIES) - 1]
