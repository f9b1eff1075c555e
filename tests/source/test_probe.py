"""A probe says of every question what the service made of it, and shows nobody's data."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from qtickets_source import probe as probing
from qtickets_source.api.client import open_client
from qtickets_source.errors import AccessRefused, UnexpectedAnswer
from qtickets_source.observations import Observations
from qtickets_source.probe import Answer, Probe, probe_service
from sandbox import Fault, Server, World, serve
from tests.support.loads import TOKEN, Loads, world


@pytest.fixture(scope="module")
def running() -> Iterator[Server]:
    with serve(world(), TOKEN) as server:
        yield server


@pytest.fixture
def server(running: Server) -> Iterator[Server]:
    running.requests.clear()
    yield running
    running.faults.clear()


def probed(server: Server, token: str = TOKEN) -> Probe:
    observed = Observations()
    client = open_client(base_url=server.url, token=token, observed=observed)
    return probe_service(client, observed)


def answer(probe: Probe, question: str) -> Answer:
    (found,) = [each for each in probe.answers if each.question == question]
    return found


def test_a_service_as_documented_honours_everything_but_the_query_string(server: Server) -> None:
    probe = probed(server)

    others = {
        each.question: each.outcome
        for each in probe.answers
        # The world's clock is not that of this machine.
        if each.outcome not in ("honoured", "readable") and each.question != "clock"
    }
    assert others == {"JSON in the query string": "ignored"}
    assert probe.problems == []
    assert "Orders are read 100 to a page." in probe.choices
    assert not any("not honoured" in choice for choice in probe.choices)


def test_every_filter_that_runs_and_backfills_send_is_asked_about(
    server: Server, tmp_path: Path
) -> None:
    loads = Loads(server, tmp_path)
    loads.run("orders", "order_changes", "reread_orders", "quarantined_orders", "events")
    loads.run("orders", "order_changes", "reread_orders", "quarantined_orders", "events")
    loads.backfill()
    sent = {
        f"{line['column']} {line['operator']}"
        for _, path, body, _ in server.requests
        if path.endswith("/orders")
        for line in (body or {}).get("where", [])
    }

    asked = {each.question for each in probed(server).answers if each.topic == "filters of orders"}

    assert {"id >", "payed_at >=", "payed_at <", "updated_at >="} <= sent <= asked


DEVIATIONS: dict[str, tuple[Fault, str, str, str]] = {
    "only the query string is read": (
        Fault(kind="only_query"), "JSON body of a GET", "ignored", "sent in the query string",
    ),
    "a filter is ignored": (
        Fault("/orders", kind="ignore_column", column="updated_at"),
        "updated_at >=", "ignored", "Changes: updated_at >= is not honoured",
    ),
    "a filter is refused": (
        Fault("/orders", kind="refuse", column="payed_at", operator=">=", status=422),
        "payed_at >=", "refused", "New payments: payed_at >= is not honoured",
    ),
    "single orders cannot be asked for": (
        Fault("/orders", kind="refuse", column="id", operator="in", status=503),
        "id in", "refused", "Single orders: id in is not honoured",
    ),
    "the order of a list is ignored": (
        Fault("/orders", kind="ignore_order", column="updated_at"),
        "orderBy updated_at desc", "ignored", "Changes: by updated_at >=",
    ),
    "totals ignore the filter": (
        Fault("/orders", kind="unfiltered_total", total=999),
        "paging.total of a filter", "ignored", "Changes",
    ),
    "pages keep their size": (
        Fault("/orders", kind="ignore_key", key="perPage"),
        "perPage 100", "ignored", "Orders are read 50 to a page",
    ),
    "fields cannot be selected": (
        Fault("/events", kind="refuse_key", key="select", status=422),
        "select of events", "refused", "Events are read whole.",
    ),
    "a dataset is refused": (
        Fault("/promo-codes", kind="status", status=403, body="json"),
        "promo codes", "unknown", "promo codes: left out",
    ),
    "seats are not answered": (
        Fault("/seats", kind="status", status=502), "seats of a show", "unknown", "left out",
    ),
}  # fmt: skip


@pytest.mark.parametrize("name", DEVIATIONS)
def test_a_deviation_is_named_with_what_a_run_will_do(server: Server, name: str) -> None:
    fault, question, outcome, choice = DEVIATIONS[name]
    server.faults.append(fault)

    probe = probed(server)

    assert answer(probe, question).outcome == outcome
    assert any(choice in each for each in probe.choices), probe.choices
    assert probe.problems == []


MISREAD = {
    "payed_at in +03:00": Fault("/orders", kind="shift_times", hours=3, column="payed_at"),
    "JSON body of a GET": Fault("/orders", kind="empty_lists", after=1),
}


@pytest.mark.parametrize("question", MISREAD)
def test_what_would_lose_rows_is_a_problem(server: Server, question: str) -> None:
    server.faults.append(MISREAD[question])

    probe = probed(server)

    assert answer(probe, question).outcome == "misread"
    assert any(question in problem for problem in probe.problems)


def test_only_get_requests_are_sent(server: Server) -> None:
    probed(server)

    assert {method for method, *_ in server.requests} == {"GET"}
    assert len(server.requests) <= 40


def test_questions_are_not_asked_when_the_time_is_over(
    server: Server, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(probing, "SECONDS", -1)

    probe = probed(server)

    assert len(server.requests) == 1
    assert "not asked" in answer(probe, "perPage 100").detail


def test_a_refused_token_ends_the_probe(server: Server) -> None:
    with pytest.raises(AccessRefused):
        probed(server, "another")


def test_the_report_holds_no_value_of_an_answer(server: Server) -> None:
    def unusual(payload: Any) -> Any:
        for order in payload["data"]:
            order["fields"] = {"Иван Петров": "+7 912 345-67-89", "petrov@example.ru": 1}
            order["note"] = "Anna Karenina"
        return payload

    server.faults.append(Fault("/orders", kind="mutate", change=unusual))
    report = json.dumps(probed(server).as_json(), ensure_ascii=False)

    assert isinstance(server.world, World)
    assert server.world.orders(), "there is something to hide"
    for secret in {*server.world.personal_data(), TOKEN, "Петров", "petrov", "Karenina"}:
        assert len(secret) < 6 or secret not in report, secret
    assert '"payed_at": {"types": {"time with offset"' in report
    assert '"other_names": 2' in report


def test_an_account_without_orders_is_no_problem(server: Server) -> None:
    server.faults.append(Fault("/orders", kind="empty_lists"))

    probe = probed(server)

    assert probe.problems == []
    assert answer(probe, "JSON body of a GET").outcome == "unknown"
    assert answer(probe, "events").outcome == "readable"


@pytest.mark.parametrize(
    "paging", [{"perPage": "many", "total": None}, {"perPage": 50, "total": "all"}, None]
)
def test_paging_of_another_shape_is_named_and_no_traceback(server: Server, paging: Any) -> None:
    server.faults.append(Fault(kind="mutate", change=lambda payload: {**payload, "paging": paging}))

    assert any("paging" in problem for problem in probed(server).problems)


def test_orders_of_another_shape_end_the_probe_as_they_end_a_run(server: Server) -> None:
    server.faults.append(Fault("/orders", kind="mutate", change=lambda _: {"data": [{"x": 1}]}))

    with pytest.raises(UnexpectedAnswer, match="whole number as `id`"):
        probed(server)
