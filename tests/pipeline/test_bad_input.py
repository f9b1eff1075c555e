"""Errors of the service or ClickHouse: one clear line, an exit code, and unchanged marts."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from local_clickhouse import LocalServer
from pipelines.qtickets import app
from sandbox import Fault, World, serve
from tests.support.clickhouse import Marts, drop_databases
from tests.support.live_environment import clickhouse_variables, service_variables
from tests.support.runs import dashboard_only

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")


@pytest.fixture(scope="module")
def service() -> Iterator[Any]:
    world = World(orders=200, seed=3, start=NOW - timedelta(days=20), end=NOW, now=NOW)
    with serve(world, token="right-token") as server:
        yield server


@pytest.fixture(scope="module")
def environment(service: Any, server: LocalServer, home: Any) -> dict[str, str]:
    """Return the environment of a live run on the embedded server, given by its address."""
    return {
        **service_variables(service.url, "right-token", home),
        "QTICKETS_RETRY_SECONDS": "1",
        "QTICKETS_TIMEOUT_SECONDS": "2",
        **clickhouse_variables(server),
    }


def command(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env=environment)


@pytest.fixture(scope="module")
def marts_of_a_good_run(environment: dict[str, str], server: LocalServer) -> Marts:
    drop_databases(server)
    with dashboard_only():
        result = command(environment)
    assert result.exit_code == 0, result.output
    return Marts(server)


def change_first_row(change: Callable[[dict[str, Any]], Any]) -> Callable[[Any], Any]:
    """Return a fault that changes the first row of an answer."""

    def mutate(payload: Any) -> Any:
        rows = [dict(row) for row in payload["data"]]
        if rows:
            change(rows[0])
        return {**payload, "data": rows}

    return mutate


@dataclass
class Case:
    """An error, and the message that the operator must see."""

    says: tuple[str, ...]
    exit_code: int
    faults: list[Fault] = field(default_factory=list)
    variables: dict[str, str] = field(default_factory=dict)
    recorded: bool = True


CASES = {
    "wrong token": Case(
        ("refused the token", "QTICKETS_TOKEN"), 3, variables={"QTICKETS_TOKEN": "wrong"}
    ),
    "unreachable host": Case(
        ("connection refused", "QTICKETS_BASE_URL"),
        3,
        variables={"QTICKETS_BASE_URL": "http://127.0.0.1:9/api/rest/v1"},
    ),
    "wrong path": Case(
        ("no endpoint", "QTICKETS_BASE_URL"),
        3,
        variables={"QTICKETS_BASE_URL": "{origin}/api/rest/v1/x"},
    ),
    "html instead of json": Case(("web page instead of JSON",), 3, [Fault("/orders", kind="html")]),
    "a page without data": Case(
        ("without `data`", "/orders"), 3, [Fault("/orders", kind="no_data")]
    ),
    "the gateway is down": Case(
        ("HTTP 502", "next run catches up"), 3, [Fault("/orders", kind="status", status=502)]
    ),
    "the application fails": Case(
        ("HTTP 503", "shape of a request"),
        3,
        [Fault("/orders", kind="status", status=503, body="json")],
    ),
    "truncated answers": Case(("/orders", "tries"), 3, [Fault("/orders", kind="truncate")]),
    "no answer in time": Case(
        ("no complete answer within",), 3, [Fault("/orders", kind="timeout", seconds=30)]
    ),
    "the same page again and again, whatever is asked": Case(
        ("GET /events", "ignores `page`"),
        3,
        [
            Fault("/events", kind="repeat_page"),
            Fault("/events", kind="ignore_where"),
            Fault("/events", kind="ignore_key", key="perPage"),
        ],
    ),
    "clickhouse refuses the login": Case(
        ("refused the login of user loader", "CLICKHOUSE_PASSWORD"),
        4,
        variables={"CLICKHOUSE_PASSWORD": "wrong"},
        recorded=False,
    ),
    "clickhouse cannot be reached": Case(
        ("ClickHouse at 127.0.0.1:9 cannot be reached",),
        4,
        variables={"CLICKHOUSE_PORT": "9"},
        recorded=False,
    ),
    "another salt than before": Case(
        ("QTICKETS_PII_SALT", "every known buyer would become a new one"),
        2,
        variables={"QTICKETS_PII_SALT": "another salt for tests"},
    ),
    "wrong configuration": Case(
        ("QTICKETS_SINCE_HOURS", "REPORT_TZ", "QTICKETS_PII_SALT"),
        2,
        variables={
            "QTICKETS_SINCE_HOURS": "two",
            "REPORT_TZ": "Moscow",
            "QTICKETS_PII_SALT": "",
        },
        recorded=False,
    ),
}


@contextmanager
def going_wrong(service: Any, faults: list[Fault]) -> Iterator[None]:
    service.faults.extend(faults)
    try:
        yield
    finally:
        service.faults.clear()


@pytest.mark.parametrize("name", CASES)
def test_bad_input_ends_the_run_with_one_clear_line_and_leaves_the_marts(
    name: str, service: Any, environment: dict[str, str], marts_of_a_good_run: Marts
) -> None:
    case, marts = CASES[name], marts_of_a_good_run
    before = marts.snapshot()
    variables = {key: value.format(origin=service.origin) for key, value in case.variables.items()}

    with going_wrong(service, case.faults):
        result = command(environment | variables)

    # Retries and fallbacks are warnings; the failure is reported once, in the last line.
    *before_it, last_line = [line for line in result.stderr.splitlines() if line.strip()]
    assert result.exit_code == case.exit_code, result.output
    assert last_line.startswith("Failed: "), result.stderr
    assert all(" WARNING " in line for line in before_it), result.stderr
    for words in case.says:
        assert words in last_line
    assert marts.snapshot() == before
    last = marts.rows(
        "SELECT status, message FROM zakaz.meta_job_runs ORDER BY started_at DESC LIMIT 1"
    )[0]
    if case.recorded:
        assert last["status"] == "error"
        assert last["message"] in last_line


def test_a_paid_order_that_cannot_be_read_is_reported_until_it_can_and_the_others_count(
    service: Any, environment: dict[str, str], marts_of_a_good_run: Marts
) -> None:
    marts = marts_of_a_good_run
    before = marts.snapshot()
    spoilt = change_first_row(lambda row: row["baskets"][0].update(price="free"))

    with dashboard_only(), going_wrong(service, [Fault("/orders", kind="mutate", change=spoilt)]):
        result = command(environment)
        health = command(environment, "check", "--format", "json")

    assert result.exit_code == 6, result.output
    [reported] = [line for line in result.stderr.splitlines() if line.startswith("Left out: ")]
    assert "`price` is not an amount" in reported
    assert "Done." in result.stdout
    left_out = marts.rows("SELECT order_id, reason FROM zakaz.quarantined_orders")
    assert f"{len(left_out)} paid order" in reported
    assert {row["reason"].split(": ")[1] for row in left_out} == {
        "`price` is not an amount with at most two decimals"
    }
    assert '"left_out"' in health.stdout
    assert "not in these numbers" in health.stdout
    assert marts.snapshot() == before, "their last readable versions count"
    assert command(environment).exit_code == 0
    assert marts.rows("SELECT count() AS orders FROM zakaz.quarantined_orders") == [{"orders": 0}]


def test_an_ignored_filter_costs_requests_is_reported_and_changes_no_number(
    service: Any, environment: dict[str, str], marts_of_a_good_run: Marts
) -> None:
    marts = marts_of_a_good_run
    before = marts.snapshot()

    with dashboard_only(), going_wrong(service, [Fault("/orders", kind="ignore_where")]):
        result = command(environment)

    assert result.exit_code == 0, result.output
    assert "A filter is not honoured: The service ignored `payed_at >=`" in " ".join(
        result.stdout.split()
    )
    assert "in descending order of `payed_at`" in result.stderr
    assert marts.snapshot() == before
    metrics = marts.rows(
        "SELECT metrics FROM zakaz.meta_job_runs ORDER BY started_at DESC LIMIT 1"
    )[0]["metrics"]
    assert "ignored the filter" in json.loads(metrics)["ignored_filters"][0]
