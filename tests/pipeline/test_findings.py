"""The results of `check` for given facts, without a service or a server."""

from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from pipelines.configuration.environment import Settings
from pipelines.operations.checks.disks import judge_disk
from pipelines.operations.checks.health import Check, Health, Status
from pipelines.operations.checks.marts import Sums, SumsByCurrency, check_marts
from pipelines.operations.checks.runs import (
    JobLog,
    JobRun,
    check_freshness,
    check_last_run,
    check_quality,
)
from pipelines.operations.checks.service import judge_response
from pipelines.operations.checks.silence import ACCOUNT, Silence, check_silence, last_reading
from pipelines.operations.checks.times import ago

NOW = datetime(2026, 6, 15, 10, tzinfo=timezone.utc)
GIB = 2**30


def run(hours_ago: float, status: str = "ok", message: str = "", **metrics: Any) -> JobRun:
    started = NOW - timedelta(hours=hours_ago)
    return JobRun(started, started + timedelta(seconds=30), status, 1200, message, metrics)


@pytest.mark.parametrize(
    ("http_status", "body", "status", "words"),
    [
        (200, {"data": []}, "ok", "answers in 7 ms"),
        (401, {"data": []}, "error", "refused the token (HTTP 401). Check QTICKETS_TOKEN"),
        (403, None, "error", "refused the token (HTTP 403)"),
        (200, None, "error", "answered HTTP 200 without a list of orders"),
        (200, [], "error", "without a list of orders"),
        (200, {"data": {}}, "error", "without a list of orders"),
        (500, {"data": []}, "error", "answered HTTP 500"),
    ],
)
def test_the_service_is_healthy_only_if_it_answers_with_a_list_of_orders(
    http_status: int, body: Any, status: Status, words: str
) -> None:
    found = judge_response("https://qtickets.ru/orders", http_status, body, 7)

    assert (found.name, found.status) == ("service", status)
    assert words in found.message
    assert found.values == {"http_status": http_status, "milliseconds": 7}


@pytest.mark.parametrize(
    ("free", "status"), [(0.9, "error"), (1, "warning"), (1.9, "warning"), (2, "ok")]
)
def test_a_disk_is_short_below_twice_the_minimum_and_full_below_it(
    free: float, status: Status
) -> None:
    found = judge_disk("home_disk", Path("/data"), int(free * GIB), 10 * GIB, 1)

    assert found.status == status
    assert "of 10.0 GiB free at /data (at least 1)." in found.message


@pytest.mark.parametrize(
    ("log", "status", "words"),
    [
        (JobLog([], None), "error", "No run has ended yet."),
        (JobLog([], NOW), "error", "A run that started 0 min ago has not ended."),
        (JobLog([run(1)], None), "ok", "Done 60 min ago, 1,200 rows in 30 s."),
        (JobLog([run(1, "error", "HTTP 502")], None), "error", "Failed 60 min ago: HTTP 502"),
        (
            JobLog([run(1), run(72, "error", "HTTP 502")], None),
            "ok",
            "Last error 3 days ago: HTTP 502",
        ),
    ],
)
def test_the_last_run_must_have_ended_well(log: JobLog, status: Status, words: str) -> None:
    found = check_last_run(log, NOW)

    assert found.status == status
    assert words in found.message


def freshness(*runs: JobRun, **settings: Any) -> dict[str, Check]:
    given = {"qtickets_late_hours": 1, "qtickets_stale_hours": 6, **settings}
    found = check_freshness(Settings(**given), list(runs), NOW)
    return {check.name.removeprefix("freshness "): check for check in found}


@pytest.mark.parametrize(
    ("runs", "status", "hours"),
    [
        ([run(0.5)], "ok", 0.5),
        ([run(2)], "warning", 2),
        ([run(7)], "error", 7),
        ([], "error", None),
        ([run(0.5, "error"), run(2)], "warning", 2),
        ([run(0.5, datasets=["events"]), run(2, datasets=["orders"])], "warning", 2),
        ([run(0.5, skipped_datasets={"orders": "HTTP 403"}), run(7)], "error", 7),
    ],
)
def test_a_dataset_is_as_old_as_the_last_good_run_that_read_it(
    runs: list[JobRun], status: Status, hours: float | None
) -> None:
    found = freshness(*runs)["orders"]

    assert found.status == status
    assert found.values["age_hours"] == hours


def test_datasets_that_are_left_out_have_no_age() -> None:
    assert "inventory" in freshness(run(1))
    assert "inventory" not in freshness(run(1), qtickets_skip_inventory=True)


def test_unusual_findings_of_the_last_good_run_are_a_warning() -> None:
    good = check_quality([run(1)])
    odd = check_quality(
        [run(1, "error"), run(2, withheld_fields=list("abcde"), ignored_filters=["payed_at"])]
    )

    assert good.status == "ok"
    assert odd.status == "warning"
    assert odd.message == "ignored filters: payed_at; withheld fields: a, b, c and 2 more"


RAW = {"RUB": Sums(3, Decimal("1500.00"), Decimal("2000.00"))}
FACT = {"RUB": Sums(2, Decimal("1000.00"), Decimal("2000.00"))}


@pytest.mark.parametrize(
    ("differences", "unfinished_since", "status", "words"),
    [
        (None, None, "error", "have not been built"),
        ({}, None, "ok", "equal those of the raw tables"),
        (
            {"raw": RAW, "fact": FACT},
            None,
            "error",
            "raw: 3 tickets, 1,500.00 RUB; fact: 2 tickets, 1,000.00 RUB",
        ),
        ({"raw": RAW, "fact": FACT}, NOW - timedelta(minutes=2), "ok", "a run that started 2 min"),
    ],
)
def test_facts_must_equal_the_raw_tables_unless_a_run_is_under_way(
    differences: dict[str, SumsByCurrency] | None,
    unfinished_since: datetime | None,
    status: Status,
    words: str,
) -> None:
    found = check_marts(differences, unfinished_since, NOW)

    assert found.status == status
    assert words in found.message


@pytest.mark.parametrize(
    ("statuses", "worst"),
    [
        (["ok", "ok"], "ok"),
        (["ok", "warning"], "warning"),
        (["error", "warning", "ok"], "error"),
        ([], "ok"),
    ],
)
def test_health_is_as_bad_as_its_worst_check(statuses: list[Status], worst: Status) -> None:
    health = Health(NOW, "live", [Check("a", status, "message", {"x": 1}) for status in statuses])

    assert health.status == worst
    assert health.as_json()["status"] == worst
    assert all(check["x"] == 1 for check in health.as_json()["checks"])


@pytest.mark.parametrize(
    ("before", "text"),
    [
        (timedelta(seconds=-5), "0 min ago"),
        (timedelta(minutes=119), "119 min ago"),
        (timedelta(hours=3), "3 h ago"),
        (timedelta(days=3), "3 days ago"),
    ],
)
def test_ages_are_rounded(before: timedelta, text: str) -> None:
    assert ago(NOW - before, NOW) == text


def silence(show_id: int, *, unusual: bool) -> Silence:
    return Silence(show_id, "Nutcracker, 2026-07-01 19:00", NOW - timedelta(days=2), unusual, 12.4)


def silent(*silences: Silence) -> dict[str, Check]:
    return {check.name: check for check in check_silence(list(silences), last_reading([run(1)]))}


def test_each_show_that_is_silent_is_an_error_of_its_own() -> None:
    found = silent(
        silence(ACCOUNT, unusual=False), silence(7, unusual=True), silence(8, unusual=False)
    )

    assert {name: check.status for name, check in found.items()} == {
        "silence": "ok",
        "silence show 7": "error",
    }
    assert found["silence show 7"].message.startswith(
        "Nutcracker, 2026-07-01 19:00: no sale since 2026-06-13T10:00:00+00:00 (47 h ago at the"
        " last reading), although more than 12 were to be expected."
    )


def test_a_silence_of_the_account_is_one_error_and_its_shows_are_not_listed() -> None:
    found = silent(silence(ACCOUNT, unusual=True), silence(7, unusual=True))

    assert {name: check.status for name, check in found.items()} == {"silence": "error"}
    assert found["silence"].message.startswith("The account: no sale since")


def test_an_account_that_is_not_watched_says_so() -> None:
    found = silent()["silence"]

    assert (found.status, found.values["watched_shows"]) == ("ok", 0)
    assert found.message.startswith("Not watched")
    assert list(check_silence([], None)) == [found], "the same before the first run"
