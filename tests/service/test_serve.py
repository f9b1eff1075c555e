"""The command `serve` as a process: sales come by webhook, whatever is lost or killed."""

import os
import random
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

import pytest
import requests
from rich.console import Console

from local_clickhouse import LocalServer
from pipelines.configuration.environment import Settings
from pipelines.loading.service import Service
from pipelines.run import Opened, run
from pipelines.service.resident import Resident
from pipelines.service.spool import Hint, Spool
from pipelines.service.status import Status
from pipelines.warehouse.server import open_warehouse
from sandbox import Server, Webhooks, World, serve
from tests.support.clickhouse import Marts, drop_databases
from tests.support.killed_drains import POINTS, WITHIN_THE_BUILD
from tests.support.live_environment import live_environment
from tests.support.paths import PROJECT
from tests.support.runs import dashboard_only
from tests.support.worlds import report_now

pytestmark = pytest.mark.slow

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
SECRET = "the secret of the cabinet"


@pytest.fixture
def world() -> World:
    return World(orders=150, seed=23, start=NOW - timedelta(days=40), end=NOW, now=NOW)


@contextmanager
def process(environment: dict[str, str]) -> Iterator[tuple[subprocess.Popen[str], str]]:
    """Start `serve` in a process; yield it and its address."""
    started = subprocess.Popen(
        [sys.executable, PROJECT / "pipelines" / "qtickets.py", "serve"],
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    try:
        assert started.stdout
        lines = []
        for line in started.stdout:
            lines.append(line)
            if found := re.search(r"Webhooks: (http://[^/]+)", line):
                yield started, found[1]
                break
        else:
            pytest.fail("".join(lines))
    finally:
        started.kill()
        started.wait(20)


def wait_for(condition: Callable[[], bool], seconds: float = 60) -> None:
    deadline = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < deadline
        time.sleep(0.1)


def is_ready(address: str) -> bool:
    return requests.get(f"{address}/ready", timeout=10).status_code == 200


def metric(address: str, name: str) -> float:
    text = requests.get(f"{address}/metrics", timeout=10).text
    (line,) = [line for line in text.splitlines() if line.startswith(f"{name} ")]
    return float(line.split()[1])


def sold(marts: Marts) -> int:
    rows = marts.rows("SELECT sum(tickets_sold) AS sold FROM zakaz.fact_qtickets_sales_daily")
    return int(rows[0]["sold"])


def snapshot(marts: Marts) -> dict[str, list[tuple[Any, ...]]]:
    """Return every row of the marts, without the time of the load."""
    events = marts.rows("SELECT * EXCEPT _loaded_at FROM zakaz.dim_events ORDER BY ALL")
    return marts.snapshot() | {"dim_events": [tuple(row.values()) for row in events]}


def edit(world: World, draw: random.Random) -> None:
    """Change the account as an evening does: sales, refunds, scans, an exchange."""
    fresh = [world.sell(tickets=draw.randint(1, 3)) for _ in range(12)]
    world.refund(fresh[0])
    world.exchange(fresh[1])
    for order in fresh[2:6]:
        world.scan(world.order(order)["baskets"][0]["id"])


def test_a_sale_is_in_the_marts_though_webhooks_are_lost_doubled_disordered_and_runs_killed(
    world: World, service: Server, empty_server: LocalServer, marts: Marts, tmp_path: Path
) -> None:
    environment = live_environment(
        empty_server, service.url, tmp_path / "home", report_now(world)
    ) | {"QTICKETS_LISTEN": "127.0.0.1:0", "QTICKETS_WEBHOOK_SECRET": SECRET}
    draw = random.Random(23)
    with process(environment) as (serving, address):
        wait_for(lambda: is_ready(address))
        before = sold(marts)
        hook = f"{address}/webhooks/qtickets"
        with Webhooks(hook, SECRET) as webhooks:
            world.listeners.append(webhooks.send)
            world.sell(tickets=3)
            wait_for(lambda: sold(marts) == before + 3)
            world.listeners.clear()
        page = requests.get(f"{address}/live", timeout=10).json()
        assert page["sales"][0]["tickets"] == 3
        with Webhooks(
            hook, SECRET, loss=0.3, doubled=0.3, disorder_seconds=1, retry_after=lambda n: 0.2
        ) as webhooks:
            world.listeners.append(webhooks.send)
            edit(world, draw)
            wait_for(lambda: webhooks.counters["delivered"] > 10)
            world.listeners.clear()
        # In the middle of a drain, as the machine may lose its power at any time.
        wait_for(lambda: metric(address, "qtickets_pending_orders") > 0)
        os.kill(serving.pid, signal.SIGKILL)
        serving.wait(20)

    with process(environment) as (serving, address):
        wait_for(lambda: is_ready(address))
        wait_for(lambda: metric(address, "qtickets_pending_orders") == 0, 90)
        serving.send_signal(signal.SIGTERM)
        assert serving.wait(20) in (0, 130)
    served = snapshot(marts)

    drop_databases(empty_server)
    polled = environment | {"QTICKETS_HOME": str(tmp_path / "polled")}
    done = subprocess.run(
        [sys.executable, PROJECT / "pipelines" / "qtickets.py"],
        env=polled,
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stdout + done.stderr
    expected = snapshot(marts)
    different = {
        table: sorted({*rows} ^ {*expected[table]}, key=repr)
        for table, rows in served.items()
        if rows != expected[table]
    }
    assert not different


def test_what_webhooks_missed_is_in_the_job_record(
    settings_for: Callable[..., Settings], tmp_path: Path
) -> None:
    # Webhooks are timed by this machine's clock.
    now = datetime.now().astimezone()
    month = timedelta(days=30)
    world = World(orders=150, seed=23, start=now - month, end=now + month, now=now, events=6)
    with ExitStack() as stack:
        service = stack.enter_context(serve(world))
        settings = settings_for(service.url)
        stack.enter_context(dashboard_only())
        warehouse = stack.enter_context(open_warehouse(settings))
        spool, status = Spool(tmp_path / "webhooks.db"), Status()
        opened = Opened(warehouse, Service(service.url, "sandbox-token"))
        resident = Resident(
            settings, Console(quiet=True), opened, spool, status, counts_webhooks=True
        )
        resident._run()
        status.counted_until = time.time() - 1800
        sold_ids = [world.sell(at=world.timestamp - 600 + number) for number in range(5)]
        spool.add([Hint(id_, "payed") for id_ in sold_ids[:3]], time.time() - 500)

        resident._run()

        assert status.webhooks
        assert (status.webhooks["changed"], status.webhooks["missed"]) == (5, 2)
        report: Any = run(settings, Console(quiet=True), opened=opened)
        assert report.webhooks is None


def test_a_drain_that_is_killed_anywhere_is_repeated_and_nothing_counts_twice(
    world: World, service: Server, empty_server: LocalServer, marts: Marts, tmp_path: Path
) -> None:
    environment = live_environment(empty_server, service.url, tmp_path, report_now(world))
    qtickets = PROJECT / "pipelines" / "qtickets.py"
    subprocess.run([sys.executable, qtickets, "-q"], env=environment, check=True)
    expected = sold(marts)
    spool = Spool(tmp_path / "webhooks.db")
    drains = subprocess.Popen(
        [sys.executable, "-m", "tests.support.killed_drains", tmp_path / "webhooks.db"],
        env=environment,
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert drains.stdin and drains.stdout
    orders = []
    for point in (*POINTS, WITHIN_THE_BUILD, ""):
        orders.append(world.sell(tickets=2))
        expected += 2
        spool.add([Hint(orders[-1], "payed")], time.time())
        drains.stdin.write(f"{point}\n")
        drains.stdin.flush()
        exit_code = int(drains.stdout.readline())
        assert exit_code == (-signal.SIGKILL if point else 0), point
        assert spool.pending_count() == (len(orders) if point else 0), point
    drains.stdin.close()
    assert drains.wait(20) == 0

    assert sold(marts) == expected
    raw = marts.rows("SELECT id, count() AS versions FROM zakaz_raw.orders FINAL GROUP BY id")
    assert {row["versions"] for row in raw} == {1}
    assert set(orders) <= {row["id"] for row in raw}
    drained = snapshot(marts)
    subprocess.run([sys.executable, qtickets, "-q"], env=environment, check=True)
    names = ("fact_qtickets_sales_daily", "mv_qtickets_sales_latest")
    after = snapshot(marts)
    assert {name: after[name] for name in names} == {name: drained[name] for name in names}
