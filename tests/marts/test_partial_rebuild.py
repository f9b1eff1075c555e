"""Repeated partial rebuilds give the same marts as a full rebuild (docs/partial_rebuilds.md)."""

from collections.abc import Callable, Iterator
from datetime import date, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest
from dbt.adapters.clickhouse.impl import ClickHouseAdapter
from rich.console import Console

from local_clickhouse import LocalServer
from pipelines.configuration.environment import Settings
from pipelines.errors import ServiceError
from pipelines.run import run
from pipelines.transform import build_plan
from pipelines.transform.build_plan import plan_build
from pipelines.transform.dbt_build import build_marts
from pipelines.warehouse.job_log import start_job
from pipelines.warehouse.objects import marts_row_counts
from pipelines.warehouse.server import Warehouse, open_warehouse
from sandbox import Fault, serve
from tests.support.clickhouse import DATABASE, Marts
from tests.support.marts_world import MartsWorld, event, marts_world, seats, show, ticket
from tests.support.runs import DASHBOARD_ONLY, MODELS_ONLY, Runner, dashboard_only
from tests.support.worlds import report_now, world_until

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
VK = '{"utm_source":"vk"}'


@pytest.fixture(scope="module")
def world(home: Path, server: LocalServer) -> Iterator[MartsWorld]:
    with marts_world(home) as world:
        yield world


def test_tables_rebuilt_partially_twice_equal_those_of_a_full_rebuild(world: MartsWorld) -> None:
    world.fetched_at = "2026-03-31 09:00:00"
    world.insert("events", event(1), event(2, city_name="Казань"))
    world.insert("events", event(3), event(4))
    world.insert("shows", show(11), show(21, 2), show(31, 3), show(41, 4))
    world.insert("inventory", seats(11, 100, 40), seats(21, 10, 10, 2))
    world.order(1, "2025-10-29 10:00:00", ticket("500"), ticket("600"), buyer_hash="a")
    world.order(2, "2025-10-29 11:00:00", ticket("700", 21), event_id=2, buyer_hash="b")
    world.order(3, "2025-11-30 10:00:00", ticket("800"), buyer_hash="a")
    world.order(4, "2025-12-15 10:00:00", ticket("900"), buyer_hash="c")
    world.order(5, "2026-01-15 10:00:00", ticket("900"), ticket("950"), buyer_hash="c")
    world.order(6, "2026-02-15 10:00:00", ticket("100"), buyer_hash="d", promo_code_id=7)
    world.order(7, "2026-02-16 10:00:00", ticket("110"), buyer_hash="e")
    world.order(10, "2025-12-16 10:00:00", ticket("140"), promo_code_id=7, utm=VK)
    world.order(11, "2025-08-01 10:00:00", ticket("100", 31), event_id=3)
    world.order(12, "2025-09-01 10:00:00", ticket("100", 41), event_id=4)
    world.insert("promo_codes", {"id": 7, "code": "SPRING"})
    world.order(8, None, ticket("120"), buyer_hash="f")
    world.build_models()

    # A refund, a sale, an order that loses a ticket by an exchange, an order that becomes paid, one
    # that is no longer paid, and one that gets another buyer.
    world.fetched_at = "2026-03-31 10:00:00"
    gone: dict[str, Any] = {"refunded_at": "2026-03-31 09:30:00", "refunded_deduction_amount": "50"}
    world.order(1, "2025-10-29 10:00:00", ticket("500", **gone), ticket("600"), buyer_hash="a")
    world.order(9, "2026-03-31 09:40:00", ticket("130", 21), event_id=2, buyer_hash="b")
    world.order(5, "2026-01-15 10:00:00", ticket("900"), buyer_hash="c")
    world.order(8, "2026-03-31 09:45:00", ticket("120"), buyer_hash="f")
    world.order(6, None, ticket("100"), buyer_hash="d")
    world.order(7, "2026-02-16 10:00:00", ticket("110"), buyer_hash="g")
    months = build_changed(world, since="2026-03-31 09:30:00")
    assert months == [202510, 202601, 202602, 202603]
    buyers = {row["buyer_hash"] for row in world.rows("SELECT buyer_hash FROM zakaz.dim_buyers")}
    assert buyers == {"a", "b", "c", "f", "g"}

    # The only order of a month moves to the next month (after midnight in Moscow), and a merge
    # removes its old version; the only order of another month is no longer paid; an event moves to
    # another city, one to another time zone, a show to another day; a promo code is renamed.
    world.fetched_at = "2026-03-31 11:00:00"
    world.order(3, "2025-11-30 21:00:00", ticket("800"), buyer_hash="a")
    world.raw("OPTIMIZE TABLE zakaz_raw.orders FINAL")
    world.order(5, None, ticket("900"), buyer_hash="c")
    world.insert("events", event(2, city_name="Томск"), event(3, city_timezone="Asia/Tomsk"))
    world.insert("shows", show(41, 4, start_date="2026-04-21 16:00:00"))
    world.insert("promo_codes", {"id": 7, "code": "SUMMER"})
    months = build_changed(world, since="2026-03-31 10:30:00", tested=True)
    assert months == [202508, 202509, 202510, 202511, 202512, 202601, 202603]
    sold = world.rows("SELECT DISTINCT toYYYYMM(sales_date) m FROM zakaz.fact_qtickets_sales_daily")
    assert not {202511, 202601} & {row["m"] for row in sold}

    masked = world.rows("SELECT DISTINCT table FROM system.mutations WHERE database = 'zakaz'")
    assert {row["table"] for row in masked} == {
        "int_qtickets_tickets",
        "fact_qtickets_sales_by_show_daily",
        "dim_buyers",
        "fact_qtickets_sales_daily",
        "fact_qtickets_sales_utm_daily",
    }
    days = world.row("SELECT count() AS days FROM zakaz.fact_qtickets_sales_daily")["days"]
    assert marts_row_counts(world.warehouse)["fact_qtickets_sales_daily"] == days
    partial = world.everything()
    world.build_models()
    assert partial == world.everything()


def test_where_tables_cannot_be_exchanged_nothing_is_rebuilt_partially(
    world: MartsWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    tickets = "SELECT count() AS tickets FROM zakaz.fact_qtickets_tickets"
    before = world.row(tickets)
    assert before["tickets"]
    monkeypatch.setattr(ClickHouseAdapter, "supports_atomic_exchange", lambda _: False)

    run = world.dbt(
        *("build", "--select", "int_qtickets_changed", "int_qtickets_tickets"),
        *MODELS_ONLY,
        changed_since=datetime(2026, 3, 31, 10, 30, tzinfo=timezone.utc),
    )

    assert run.statuses["int_qtickets_tickets"] == "error"
    assert "cannot be rebuilt partially" in run.messages["int_qtickets_tickets"]
    assert world.row(tickets) == before


def build_changed(world: MartsWorld, since: str, *, tested: bool = False) -> list[int]:
    """Rebuild the existing tables partially; return the months that changed."""
    changed_since = datetime.fromisoformat(since).replace(tzinfo=timezone.utc)
    if tested:
        settings = world.settings.model_copy(update={"report_now": "2026-03-31 12:00:00"})
        build_marts(settings, world.warehouse, changed_since=changed_since)
    else:
        world.build_models(changed_since=changed_since)
    months = world.rows("SELECT DISTINCT month FROM zakaz.int_qtickets_changed ORDER BY month")
    return [row["month"] for row in months]


@pytest.fixture
def every_account_is_large(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(build_plan, "PARTIAL_BUILD_FROM_TICKETS", 1)
    # With the overlap, the rows of the first run would count as changed for hours.
    monkeypatch.setattr(build_plan, "OVERLAP", timedelta())


@pytest.mark.usefixtures("every_account_is_large")
def test_a_partial_rebuild_needs_tables_last_built_together_and_untouched_since(
    settings_for: Callable[..., Settings],
    run_once: Runner,
    marts: Marts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world, sales = world_until(NOW), "fact_qtickets_tickets"
    with serve(world) as server, dashboard_only():
        settings = settings_for(server.url, report_now=report_now(world))

        def planned_since(**settings_of_it: str) -> datetime | None:
            with open_warehouse(settings) as warehouse:
                asked = settings.model_copy(update=settings_of_it)
                return plan_build(asked, warehouse).changed_since

        first = run_once(settings)
        assert first.marts_state
        read_until = first.marts_state.raw_until
        assert planned_since() == read_until

        world.sell(tickets=2, price=500)
        world.refund(next(o["id"] for o in world.orders() if o["payed"] and not o["deleted_at"]))
        second = run_once(settings)
        assert second.marts_state and second.marts_state.raw_until > read_until
        assert planned_since()
        assert not planned_since(report_now="2026-06-14 12:00:00"), (
            "the views contain another moment"
        )
        with monkeypatch.context() as another_day:
            another_day.setattr(build_plan, "_today", lambda _: date(2030, 1, 1))
            assert not planned_since()

        partial = marts.snapshot()
        with open_warehouse(settings) as warehouse:
            build_marts(settings, warehouse, *DASHBOARD_ONLY)
        assert marts.snapshot() == partial
        assert not planned_since(), "the tables were built outside of a run"

        assert run_once(settings).marts.models
        assert planned_since()
        marts.rows(f"OPTIMIZE TABLE {DATABASE}.{sales} FINAL")
        assert planned_since(), "a merge is not a change"
        marts.rows(f"DELETE FROM {DATABASE}.{sales} WHERE quantity = 1")
        assert not planned_since(), "a table was changed outside of a run"

        assert run_once(settings).marts.models
        assert planned_since()
        run(settings, Console(quiet=True), skip_marts=True)
        assert not planned_since(), "the last run did not build the marts"

        assert run_once(settings).marts.models
        assert planned_since()
        with monkeypatch.context() as at_once:

            def another_begins(asked: Settings, at: Warehouse, *flags: str, **how: Any) -> Any:
                start_job(asked.model_copy(update={"job_name": "another"}), at)
                return build_marts(asked, at, *DASHBOARD_ONLY, *flags, **how)

            at_once.setattr("pipelines.run.build_marts", another_begins)
            world.sell(tickets=1, price=500)
            assert run_once(settings).marts.models
        assert not planned_since(), "a run on another machine was active"

        assert run_once(settings).marts.models
        assert planned_since()
        server.faults.append(Fault("/orders", kind="status", status=403, body="json"))
        with pytest.raises(ServiceError):
            run_once(settings)
        assert not planned_since(), "the previous run failed"
