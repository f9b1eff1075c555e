"""The command `serve` as a process: sales come by webhook, whatever is lost or killed."""

import http.client
import os
import random
import re
import signal
import subprocess
import sys
import time
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from datetime import datetime, timedelta
from pathlib import Path
from threading import Lock, Thread
from typing import Any
from urllib.parse import urlsplit

import orjson
import pytest
import requests
from rich.console import Console
from typer.testing import CliRunner

from local_clickhouse import LocalServer
from pipelines.configuration.environment import Settings
from pipelines.loading.service import Service
from pipelines.operations.check import check
from pipelines.qtickets import app
from pipelines.run import Opened, run
from pipelines.service.resident import REREAD_AFTER, Resident
from pipelines.service.spool import Hint, Spool
from pipelines.service.status import Status
from pipelines.warehouse.server import open_warehouse
from sandbox import Server, Webhooks, World, serve
from sandbox.server.webhooks import webhook_body, webhook_headers
from tests.support.clickhouse import Marts, drop_databases
from tests.support.killed_drains import POINTS, WITHIN_THE_BUILD
from tests.support.live_environment import live_environment
from tests.support.paths import PROJECT
from tests.support.runs import dashboard_only
from tests.support.worlds import report_now, utc_text

pytestmark = pytest.mark.slow

# No show ends within the minutes after it.
NOW = datetime.fromisoformat("2026-06-15T13:05:00+03:00")
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


def wait_for(condition: Callable[[], bool], seconds: float = 180) -> None:
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
    tables = marts.snapshot() | {"dim_events": [tuple(row.values()) for row in events]}
    # Some are sorted by the time of the load too, which is not among their values.
    return {name: sorted(rows, key=repr) for name, rows in tables.items()}


def edit(world: World, draw: random.Random) -> None:
    """Change the account as an evening does: sales, refunds, scans, an exchange."""
    fresh = [world.sell(tickets=draw.randint(1, 3)) for _ in range(12)]
    world.refund(fresh[0])
    world.exchange(fresh[1])
    for order in fresh[2:6]:
        world.scan(world.order(order)["baskets"][0]["id"])


class Flood:
    """Posts webhooks from several connections, as fast as they are answered."""

    CONNECTIONS = 8

    def __init__(self, address: str) -> None:
        self.acknowledged = set[int]()
        self.statuses = Counter[int]()
        self._host = urlsplit(address).netloc
        self._threads: list[Thread] = []

    def start(self, posts: Iterable[tuple[int, bytes, str]]) -> None:
        """Post order ids, bodies and secrets; a connection that breaks ends its posts."""
        source, lock = iter(posts), Lock()

        def send() -> None:
            connection = http.client.HTTPConnection(self._host, timeout=30)
            with suppress(OSError, http.client.HTTPException):
                while True:
                    with lock:
                        post = next(source, None)
                    if post is None:
                        break
                    order_id, body, secret = post
                    headers = webhook_headers("updated", body, secret)
                    connection.request("POST", "/webhooks/qtickets", body, headers)
                    answer = connection.getresponse()
                    answer.read()
                    with lock:
                        self.statuses[answer.status] += 1
                        if answer.status == 200:
                            self.acknowledged.add(order_id)
            connection.close()

        self._threads = [Thread(target=send) for _ in range(self.CONNECTIONS)]
        for thread in self._threads:
            thread.start()

    def join(self) -> None:
        for thread in self._threads:
            thread.join(120)


def megabytes(pid: int) -> float:
    shown = subprocess.run(["ps", "-o", "rss=", "-p", str(pid)], capture_output=True, check=True)
    return int(shown.stdout) / 1024


def test_a_sale_is_in_the_marts_though_webhooks_are_lost_doubled_disordered_and_runs_killed(
    world: World, service: Server, empty_server: LocalServer, marts: Marts, tmp_path: Path
) -> None:
    # The world's clock advances by some minutes.
    later = utc_text(NOW + timedelta(minutes=15))
    environment = live_environment(empty_server, service.url, tmp_path / "home", later) | {
        "QTICKETS_LISTEN": "127.0.0.1:0",
        "QTICKETS_WEBHOOK_SECRET": SECRET,
    }
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
        # In the middle of receiving and of a drain, as the machine may lose its power at any time.
        wait_for(lambda: metric(address, "qtickets_pending_orders") > 0)
        flood = Flood(address)
        orders = [(order["id"], webhook_body("updated", order)) for order in world.orders()]
        flood.start((id_, body, SECRET) for id_, body in orders * 100)
        wait_for(lambda: len(flood.acknowledged) > 60)
        os.kill(serving.pid, signal.SIGKILL)
        serving.wait(20)
        flood.join()
    spool = Spool(tmp_path / "home" / "webhooks.db")
    assert flood.acknowledged <= spool.named_since(0), "what was acknowledged is on the disk"
    spool.close()

    # Nothing receives until the service gives up.
    with Webhooks(hook, SECRET, retry_after=lambda n: 0) as webhooks:
        world.listeners.append(webhooks.send)
        for _ in range(4):
            world.advance(0.01)
            world.sell(tickets=2)
        world.refund(world.sell())
        assert webhooks.wait()
        assert webhooks.counters["expired"] == webhooks.counters["created"]
        world.listeners.clear()

    with process(environment) as (serving, address):
        wait_for(lambda: is_ready(address))
        wait_for(lambda: metric(address, "qtickets_pending_orders") == 0)
        check_that_a_flood_does_no_harm(world, service, serving, address)
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


def check_that_a_flood_does_no_harm(
    world: World, service: Server, serving: subprocess.Popen[str], address: str
) -> None:
    """Post 5,000 forged webhooks of many orders, and 5,000 replayed ones of three."""
    orders = list(world.orders())[-103:]
    padding = {"client": "x" * 8000}
    replayed = [(order["id"], orjson.dumps(order | padding), SECRET) for order in orders[:3]]
    forged = [(order["id"], orjson.dumps(order | padding), "forged") for order in orders[3:]]
    flood = Flood(address)
    flood.start((replayed + forged) * 5)
    flood.join()
    warm, reads = megabytes(serving.pid), metric(address, "qtickets_drained_orders_total")
    service.requests.clear()
    began = time.monotonic()

    flood.start(post for pair in zip(replayed * 1667, forged * 50, strict=False) for post in pair)
    flood.join()

    assert flood.acknowledged == {id_ for id_, _, _ in replayed}
    assert flood.statuses.keys() == {200, 403}
    assert flood.statuses.total() >= 10_000
    assert megabytes(serving.pid) < warm + 20, "the bodies alone have 80 MB"
    wait_for(lambda: metric(address, "qtickets_pending_orders") == 0)
    readings = 1 + (time.monotonic() - began) // REREAD_AFTER
    assert metric(address, "qtickets_drained_orders_total") - reads <= len(replayed) * readings
    asked = str(list(service.requests))
    assert not [id_ for id_, _, _ in forged if str(id_) in asked]


def test_what_webhooks_missed_while_nothing_received_them_is_in_the_job_record_and_in_check(
    settings_for: Callable[..., Settings], marts: Marts, tmp_path: Path
) -> None:
    # Webhooks are timed by this machine's clock.
    now = datetime.now().astimezone()
    month, outage = timedelta(days=30), timedelta(hours=2)
    went_down = now - outage
    world = World(orders=150, seed=23, start=now - month, end=now + month, now=went_down, events=6)
    path = tmp_path / "webhooks.db"
    with ExitStack() as stack:
        service = stack.enter_context(serve(world))
        settings = settings_for(service.url)
        stack.enter_context(dashboard_only())
        warehouse = stack.enter_context(open_warehouse(settings))
        opened = Opened(warehouse, Service(service.url, "sandbox-token"))

        def scheduled_run() -> Status:
            """Make a run as a process that has just been started."""
            spool, status = Spool(path), Status()
            resident = Resident(
                settings, Console(quiet=True), opened, spool, status, counts_webhooks=True
            )
            resident._run()
            spool.close()
            return status

        assert scheduled_run().webhooks is None, "the first load is nothing that webhooks missed"
        spool = Spool(path)
        spool.record_count(went_down.timestamp())
        # The service tries for 50 minutes, so the webhooks of the first hour are lost.
        sold = []
        for _ in range(6):
            world.advance(0.3)
            sold.append(world.sell())
        spool.add([Hint(id_, "payed") for id_ in sold[-2:]], time.time())
        spool.close()

        status = scheduled_run()

        changed = [
            order
            for order in world.orders()
            if order["payed"] and datetime.fromisoformat(order["updated_at"]) >= went_down
        ]
        counted = status.webhooks
        assert counted
        assert (counted["changed"], counted["missed"]) == (len(changed), len(changed) - 2)
        (finding,) = [one for one in check(settings).checks if one.name == "webhooks"]
        assert finding.message == (
            f"Missed by webhooks: {len(changed) - 2} of {len(changed)} orders of the last run."
        )
        loaded = marts.rows("SELECT id FROM zakaz_raw.orders FINAL")
        assert set(sold) <= {row["id"] for row in loaded}
        report: Any = run(settings, Console(quiet=True), opened=opened)
        assert report.webhooks is None


def test_a_drain_that_is_killed_anywhere_is_repeated_and_nothing_counts_twice(
    world: World, service: Server, empty_server: LocalServer, marts: Marts, tmp_path: Path
) -> None:
    environment = live_environment(empty_server, service.url, tmp_path, report_now(world))

    def run_once() -> None:
        with dashboard_only():
            assert CliRunner().invoke(app, ["-q"], env=environment).exit_code == 0

    run_once()
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
    run_once()
    names = ("fact_qtickets_sales_daily", "mv_qtickets_sales_latest")
    after = snapshot(marts)
    assert {name: after[name] for name in names} == {name: drained[name] for name in names}
