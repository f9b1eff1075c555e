"""The public tables have their documented columns, and build without data."""

from collections.abc import Iterator
from pathlib import Path

import pytest

from local_clickhouse import LocalServer
from tests.support.marts_world import MartsWorld, marts_world, ticket

UTM = "utm_source utm_medium utm_campaign utm_content utm_term"
MEASURES = (
    "orders gross_revenue discount_amount service_fee_amount refunded_amount tickets_refunded"
)

CONTRACT = {
    "stg_qtickets_api_orders_raw": f"order_id event_id city {UTM} sale_ts tickets_sold revenue"
    " currency payload_json _ver _dedup_key",
    "stg_qtickets_api_inventory_raw": "snapshot_ts event_id event_name city tickets_total"
    " tickets_left _ver _dedup_key",
    "dim_events": "event_id event_name city start_date end_date tickets_total tickets_left _ver"
    " _loaded_at",
    "fact_qtickets_sales_daily": "sales_date event_id city tickets_sold revenue _ver currency"
    f" {MEASURES}",
    "fact_qtickets_sales_utm_daily": f"sales_date event_id city {UTM} tickets_sold revenue _ver"
    f" currency {MEASURES}",
    "fact_qtickets_inventory_latest": "snapshot_ts event_id event_name city tickets_total"
    " tickets_left _ver",
    "mv_qtickets_sales_latest": "event_id city latest_sale_ts tickets_sold_14d revenue_14d",
    "v_qtickets_sales_dashboard": "event_id event_name city tickets_sold_today revenue_today"
    " tickets_sold_14d revenue_14d tickets_total tickets_left inventory_updated_at start_date"
    " end_date",
    "v_sales_latest": "event_id event_name city sales_date tickets_sold revenue tickets_total"
    " tickets_left snapshot_ts",
    "v_sales_14d": "event_id event_name city tickets_sold revenue",
    "v_qtickets_sales_utm_daily": f"d event_id city {UTM} utm_group tickets_sold revenue",
    "plan_sales": "sales_date event_id city plan_tickets plan_revenue",
    "v_plan_vs_fact": "sales_date event_id city plan_tickets plan_revenue fact_tickets"
    " fact_revenue diff_tickets diff_revenue diff_tickets_pct diff_revenue_pct",
    "v_qtickets_freshness": "dataset latest_ts rows age_hours status",
}


@pytest.fixture(scope="module")
def world(home: Path, server: LocalServer) -> Iterator[MartsWorld]:
    with marts_world(home) as world:
        world.build()
        yield world


@pytest.mark.parametrize("name", CONTRACT)
def test_tables_have_the_columns_of_the_contract_in_order(world: MartsWorld, name: str) -> None:
    known = CONTRACT[name].split()

    assert world.columns(name)[: len(known)] == known


def test_without_any_data_every_mart_exists_and_is_empty(world: MartsWorld) -> None:
    tables = world.everything()

    assert tables.pop("dim_dates"), "a calendar has days without sales too"
    assert not {name: rows for name, rows in tables.items() if rows}
    statuses = world.rows("SELECT DISTINCT status FROM zakaz.v_qtickets_freshness")
    assert statuses == [{"status": "empty"}]


def test_freshness_is_judged_by_the_newest_load(world: MartsWorld) -> None:
    world.fetched_at = "2026-03-31 09:00:00"
    world.order(1, "2026-03-31 08:00:00", ticket())
    ages = {}
    for now in ("2026-03-31 10:00:00", "2026-03-31 10:30:00", "2026-03-31 15:30:00"):
        world.build_models("--select", "+v_qtickets_freshness", now=now)
        row = world.row("SELECT * FROM zakaz.v_qtickets_freshness WHERE dataset = 'orders'")
        ages[row["age_hours"]] = row["status"]

    assert ages == {1.0: "fresh", 1.5: "late", 6.5: "stale"}


def test_one_sale_of_an_unknown_event_is_enough_for_every_mart(world: MartsWorld) -> None:
    world.empty_raw()
    world.order(1, "2026-03-31 08:00:00", ticket("500"))

    world.build()

    assert world.row("SELECT revenue_today, city FROM zakaz.v_qtickets_sales_dashboard") == {
        "revenue_today": 500,
        "city": "unknown",
    }
