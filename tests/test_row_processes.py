"""Rows that other processes make are the same rows, and those processes outlive nobody."""

import json
import logging
import os
import signal
import subprocess
import sys
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import qtickets_source.backfill
import qtickets_source.order_pages
from qtickets_source.answers import OrderHead, decoded, order_heads, order_page
from qtickets_source.backfill import _together
from qtickets_source.errors import BadRow
from qtickets_source.row_processes import RowProcesses
from qtickets_source.rows import Findings, RowContext, Tables, order_tables

from .conftest import PROJECT, REAL_PAGES
from .test_answers import NOW, ODD, ORDERS, odd_page, outcome, page_of

SALT = b"a salt for tests"


@pytest.fixture(scope="module")
def processes() -> Iterator[RowProcesses]:
    with RowProcesses(1) as processes:
        yield processes
        # Rows of a lost one would be the same.
        assert [process.poll() for process in processes._processes] == [None]


def stamped(page: Any) -> list[Any]:
    """The rows of a page as the client gives them."""
    for row in page["data"]:
        row["_fetched_at"] = NOW
    return page["data"]


def read(contents: list[bytes]) -> Iterator[list[Any]]:
    """Pages as the client gives them."""
    return (stamped(order_heads(content)) for content in contents)


def outcome_elsewhere(processes: RowProcesses, content: bytes) -> tuple[Any, Findings]:
    """(tables or the error's text, findings) of a page."""
    context = RowContext(SALT)
    try:
        return next(processes.tables(read([content]), context)), context.findings
    except BadRow as error:
        return str(error), context.findings


def test_live_pages_become_the_same_rows(processes: RowProcesses) -> None:
    content = (REAL_PAGES / "orders_page.json").read_bytes()

    assert all(isinstance(row, OrderHead) for row in order_heads(content)["data"])
    assert outcome_elsewhere(processes, content) == outcome(content, decoded)


@given(
    place=st.integers(0, len(ORDERS) - 1),
    of_ticket=st.booleans(),
    field=st.sampled_from(
        ["price", "payed_at", "created_at", "utm", "refunds", "services", "baskets", "new_field"]
    ),
    value=st.sampled_from([*ODD, None]),
)
@settings(max_examples=100, deadline=None)
def test_an_odd_value_has_the_same_outcome(
    processes: RowProcesses, place: int, of_ticket: bool, field: str, value: str | None
) -> None:
    content = odd_page(place, of_ticket, field, value)

    assert outcome_elsewhere(processes, content) == outcome(content, decoded)


@pytest.mark.parametrize("field", ["utm", "currency_id"])
def test_bytes_that_are_no_text_are_said_to_be_no_json(processes: RowProcesses, field: str) -> None:
    content = odd_page(3, False, field, '["BROKEN"]').replace(b"BROKEN", b"\xff\xfe")

    assert all(isinstance(row, OrderHead) for row in order_heads(content)["data"])
    assert "a page of orders is no JSON: 'utf-8' codec" in outcome_elsewhere(processes, content)[0]


@pytest.fixture
def pages(monkeypatch: pytest.MonkeyPatch) -> list[bytes]:
    """Thirty pages of one order, which are ten batches; one page has a row of another kind."""
    monkeypatch.setattr(qtickets_source.order_pages, "ROWS_PER_BATCH", 3)
    orders = json.loads(json.dumps(ORDERS))
    del orders[13]["payed_at"]
    return [page_of([order]) for order in orders]


def ids_of(made: Iterable[Tables]) -> list[int]:
    """The ids of all orders."""
    return [row_id for orders, _ in made for row_id in orders["id"].to_pylist()]


def test_every_order_of_many_pages_becomes_one_row(pages: list[bytes]) -> None:
    with RowProcesses(2) as processes:
        ids = ids_of(processes.tables(read(pages), RowContext(SALT)))
        assert [process.poll() for process in processes._processes] == [None, None]

    assert sorted(ids) == sorted(order["id"] for order in ORDERS)


def test_what_a_lost_process_had_is_made_without_it(
    pages: list[bytes], caplog: pytest.LogCaptureFixture
) -> None:
    with RowProcesses(1) as processes, caplog.at_level(logging.WARNING):
        made = processes.tables(read(pages), RowContext(SALT))
        first = next(made)
        (process,) = processes._processes
        os.kill(process.pid, signal.SIGKILL)
        ids = ids_of([first, *made])

    assert sorted(ids) == sorted(order["id"] for order in ORDERS)
    assert "was lost (-9)" in caplog.text


def test_where_no_process_can_be_started_rows_are_made_without(
    pages: list[bytes], monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    monkeypatch.setattr(sys, "executable", "/nowhere/python")

    with RowProcesses(1) as processes, caplog.at_level(logging.WARNING):
        ids = ids_of(processes.tables(read(pages), RowContext(SALT)))

    assert sorted(ids) == sorted(order["id"] for order in ORDERS)
    assert "No process to make rows" in caplog.text


@pytest.mark.parametrize(("seconds", "sizes"), [(60, [12, 12, 6]), (0, [3] * 10)])
def test_tables_go_on_together_unless_they_come_slowly(
    monkeypatch: pytest.MonkeyPatch, seconds: float, sizes: list[int]
) -> None:
    monkeypatch.setattr(qtickets_source.backfill, "ORDERS_PER_TABLE", 12)
    monkeypatch.setattr(qtickets_source.backfill, "SECONDS_PER_TABLE", seconds)
    pages = [page_of(ORDERS[first : first + 3]) for first in range(0, len(ORDERS), 3)]
    small = (order_tables(stamped(order_page(page)), RowContext(SALT)) for page in pages)

    made = list(_together(small))

    assert [len(orders) for orders, _ in made] == sizes
    assert ids_of(made) == [order["id"] for order in ORDERS]
    assert sum(len(tickets) for _, tickets in made) == sum(len(o["baskets"]) for o in ORDERS)


READER = """
import json, sys, time
from datetime import datetime, timezone
import qtickets_source.order_pages
from qtickets_source.answers import order_heads
from qtickets_source.row_processes import RowProcesses
from qtickets_source.rows import RowContext
qtickets_source.order_pages.ROWS_PER_BATCH = 1
page = order_heads(sys.stdin.buffer.read())["data"]
for row in page:
    row["_fetched_at"] = datetime.now(timezone.utc)
with RowProcesses(2) as processes:
    list(processes.tables(iter([page] * 4), RowContext(b"salt")))
    print(json.dumps([process.pid for process in processes._processes]), flush=True)
    time.sleep(60)
"""


@pytest.mark.parametrize("signal_", [signal.SIGKILL, signal.SIGINT])
def test_the_processes_end_with_the_one_that_started_them(signal_: signal.Signals) -> None:
    reader = subprocess.Popen(
        [sys.executable, "-c", READER],
        cwd=PROJECT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    )
    assert reader.stdin and reader.stdout
    reader.stdin.write(page_of(ORDERS))
    reader.stdin.close()
    pids = json.loads(reader.stdout.readline())
    assert len(pids) == 2 and all(is_alive(pid) for pid in pids)

    reader.send_signal(signal_)
    reader.wait()
    reader.stdout.close()

    until = time.monotonic() + 20
    while any(is_alive(pid) for pid in pids) and time.monotonic() < until:
        time.sleep(0.02)
    assert not any(is_alive(pid) for pid in pids)


def is_alive(pid: int) -> bool:
    """Whether a process runs: one that nobody waited for yet does not."""
    status = Path(f"/proc/{pid}/status")
    return status.exists() and "State:\tZ" not in status.read_text()
