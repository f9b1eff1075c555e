"""How long the marts take: `python benchmarks/marts.py --orders 1000000 [--home DIR]`.

Fills an embedded ClickHouse, builds everything, changes a day's worth, builds again, and sends the
queries of a dashboard. Memory is that of the hungriest query.
"""

import argparse
import sys
import time
from pathlib import Path
from typing import Any

import clickhouse_connect
from dbt.cli.main import dbtRunner

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from benchmarks.fill_raw import change, fill
from pipelines.load import make_tables
from pipelines.marts import dbt_environment
from pipelines.settings import DBT_PROJECT, environment, read_settings
from pipelines.warehouse import Warehouse, open_warehouse

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
    "plan against fact, 30 days": f"SELECT * FROM v_plan_vs_fact WHERE {LAST_30_DAYS}",
    "sales curve of one event": "SELECT * FROM fact_qtickets_sales_pace WHERE event_id = '7'",
    "new and returning buyers": "SELECT kind, count() FROM dim_buyers GROUP BY kind",
    "freshness": "SELECT * FROM v_qtickets_freshness",
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--orders", type=int, default=100_000)
    parser.add_argument("--home", type=Path, default=Path("benchmark_home"))
    arguments = parser.parse_args()
    settings = read_settings(qtickets_home=arguments.home.absolute(), clickhouse_host=None)
    with open_warehouse(settings) as warehouse:
        warehouse.prepare(settings.mode)
        make_tables(settings, warehouse)
        loader = clickhouse_connect.get_client(
            host=warehouse.host,
            port=warehouse.port,
            username=warehouse.loader.user,
            password=warehouse.loader.password,
            send_receive_timeout=1800,
        )
        with environment(dbt_environment(settings, warehouse)):
            fill(loader, warehouse.raw_db, arguments.orders)
            _build(warehouse, "first build, dbt parses")
            _build(warehouse, "full")
            change(loader, warehouse.raw_db, arguments.orders)
            _build(warehouse, "after a day's changes")
        _ask(warehouse)


def _build(warehouse: Warehouse, name: str) -> None:
    started = time.time()
    folder = ["--project-dir", str(DBT_PROJECT), "--profiles-dir", str(DBT_PROJECT)]
    result = dbtRunner().invoke(["--quiet", "--no-version-check", "build", *folder])
    seconds = time.time() - started
    peak = _peak_memory(warehouse, started)
    print(f"{name}: {seconds:.1f} s, {peak:.2f} GB, {'green' if result.success else 'FAILED'}")
    nodes: Any = result.result or []
    slowest = sorted(nodes, key=lambda r: -r.execution_time)[:8]
    print("    " + ", ".join(f"{r.node.name} {r.execution_time:.1f}" for r in slowest))


def _peak_memory(warehouse: Warehouse, since: float) -> float:
    with warehouse.connect(warehouse.transformer) as client:
        time.sleep(8)  # the query log is written every 7.5 seconds
        peak = client.command(
            f"SELECT max(memory_usage) FROM system.query_log WHERE event_time >= {int(since)}"
        )
    return float(str(peak)) / 1e9


def _ask(warehouse: Warehouse) -> None:
    with warehouse.connect(warehouse.transformer) as client:
        for name, sql in QUERIES.items():
            client.query(sql.replace(" FROM ", f" FROM {warehouse.marts_db}."))
            started = time.time()
            client.query(sql.replace(" FROM ", f" FROM {warehouse.marts_db}."))
            print(f"    {name}: {1000 * (time.time() - started):.0f} ms")


if __name__ == "__main__":
    main()
