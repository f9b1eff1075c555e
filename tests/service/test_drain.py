"""Orders that webhooks named are read again; the rest of the pipeline does not notice."""

import time
from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
from rich.console import Console

from local_clickhouse import LocalServer
from pipelines.configuration.environment import Settings
from pipelines.loading.service import Service
from pipelines.run import Opened, run
from pipelines.run_lock import exclusive_run
from pipelines.service.drain import DrainMemory, drain
from pipelines.service.resident import Resident
from pipelines.service.spool import Hint, PendingOrder, Spool
from pipelines.service.status import Status
from pipelines.warehouse.server import open_warehouse
from sandbox import Fault, Server, World
from tests.support.clickhouse import Marts

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
TOKEN = "sandbox-token"


@pytest.fixture
def world() -> World:
    return World(orders=200, seed=22, start=NOW - timedelta(days=40), end=NOW, now=NOW)


@pytest.fixture
def opened(settings: Settings, service: Server) -> Iterator[Opened]:
    with open_warehouse(settings) as warehouse:
        yield Opened(warehouse, Service(service.url, TOKEN))


def hints(*ids: int) -> list[PendingOrder]:
    return [PendingOrder(id_, 1, NOW.timestamp()) for id_ in ids]


def state_of_cursors(marts: Marts) -> list[dict[str, Any]]:
    return marts.rows(
        "SELECT state FROM zakaz_raw._dlt_pipeline_state ORDER BY created_at DESC LIMIT 1"
    )


def sold_of(marts: Marts) -> int:
    rows = marts.rows("SELECT sum(tickets_sold) AS sold FROM zakaz.fact_qtickets_sales_daily")
    return int(rows[0]["sold"])


def test_hinted_orders_are_in_the_marts_and_the_next_run_reads_as_if_no_hint_had_come(
    settings: Settings, opened: Opened, world: World, service: Server, marts: Marts
) -> None:
    console, memory = Console(quiet=True), DrainMemory()
    run(settings, console, opened=opened)
    before, cursors = sold_of(marts), state_of_cursors(marts)
    world.advance(0.1)
    sold = world.sell(tickets=3)
    scanned = world.order(sold)["baskets"][0]["id"]
    service.requests.clear()

    first = drain(settings, opened, hints(sold, sold + 7_777_777), memory)

    assert [order.order_id for order in first.read] == [sold]
    assert [order.order_id for order in first.not_found] == [sold + 7_777_777]
    assert sold_of(marts) == before + 3
    assert state_of_cursors(marts) == cursors, "a drain moves no cursor"
    assert first.report.marts.models >= 5

    # A replay is read and changes nothing; a scan changes the ticket though not `updated_at`.
    service.requests.clear()
    replay = drain(settings, opened, hints(sold), memory)
    assert replay.read
    assert replay.report.rows == 0
    assert replay.report.marts.models == 0
    assert len(service.requests) == 1, "the filters were proven by the drain before"
    world.scan(scanned)
    assert drain(settings, opened, hints(sold), memory).report.rows == 4

    live = marts.rows("SELECT status FROM zakaz.meta_job_runs WHERE job = 'qtickets_api_live'")
    assert [row["status"] for row in live] == ["ok"] * 3
    after_drains = sold_of(marts)
    run(settings, console, opened=opened)
    assert sold_of(marts) == after_drains
    orders = marts.rows("SELECT id FROM zakaz_raw.orders FINAL WHERE payed")
    paid = [order["id"] for order in world.orders() if order["payed"]]
    assert sorted(row["id"] for row in orders) == paid


def test_a_drain_loads_but_does_not_publish_after_a_run_that_failed(
    settings: Settings, opened: Opened, world: World, service: Server, marts: Marts
) -> None:
    run(settings, Console(quiet=True), opened=opened)
    before = sold_of(marts)
    service.faults.append(Fault("/events", kind="html"))
    service.faults.append(Fault("/orders", kind="html"))
    with pytest.raises(Exception, match="GET"):
        run(settings, Console(quiet=True), opened=opened)
    service.faults.clear()
    world.advance(0.1)
    sold = world.sell(tickets=2)

    report = drain(settings, opened, hints(sold), DrainMemory())

    assert report.report.rows == 3
    assert sold_of(marts) == before
    run(settings, Console(quiet=True), opened=opened)
    assert sold_of(marts) == before + 2


def test_before_the_first_run_a_drain_leaves_everything_to_it(
    settings: Settings, opened: Opened, world: World, server: LocalServer
) -> None:
    opened.warehouse.create_databases()

    report = drain(settings, opened, hints(world.sell()), DrainMemory())

    assert report.read == []
    assert report.report.rows == 0


def test_where_ids_cannot_be_asked_for_a_sweep_finds_what_changed(
    settings: Settings, opened: Opened, world: World, service: Server, marts: Marts
) -> None:
    service.faults.append(Fault("/orders", kind="refuse", column="id", operator="in"))
    run(settings, Console(quiet=True), opened=opened)
    before = sold_of(marts)
    world.advance(0.1)
    sold = [world.sell(tickets=1) for _ in range(30)]
    memory = DrainMemory()
    drain(settings, opened, hints(*sold[:2]), memory)
    assert sold_of(marts) == before + 2

    report = drain(settings, opened, hints(*sold), memory)

    assert sold_of(marts) == before + 30
    assert len(report.read) == 30


def test_while_a_run_by_hand_holds_the_lock_hints_wait_and_nothing_has_failed(
    settings: Settings, opened: Opened, tmp_path: Path
) -> None:
    spool, status = Spool(tmp_path / "webhooks.db"), Status(runs=1)
    spool.add([Hint(1, "payed")], 1.0)
    resident = Resident(settings, Console(quiet=True), opened, spool, status, counts_webhooks=True)

    with exclusive_run(settings):
        resident._drain(resident._due_orders(100.0))

    assert spool.pending_count() == 1
    assert (status.drains, status.drain_problem) == (0, "")
    assert resident._due_orders(time.time()) == [], "it waits for the other run"
    spool.close()
