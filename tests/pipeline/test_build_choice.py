"""The choice between a full build, a partial build and none, without a server."""

from dataclasses import replace
from datetime import date, datetime, timedelta, timezone
from typing import Any

import pytest

from pipelines.transform.build_plan import (
    MAX_AGE,
    MAX_CHANGED_SHARE,
    OVERLAP,
    PARTIAL_BUILD_FROM_TICKETS,
    BuildFacts,
    MartsState,
    Plan,
    changed_since,
    choose_plan,
    is_current,
)

NOW = datetime(2026, 6, 15, 10, tzinfo=timezone.utc)
TODAY = date(2026, 6, 15)
LAST = MartsState(
    built_at=NOW - timedelta(minutes=30),
    full_build_on=TODAY,
    raw_until=NOW - timedelta(minutes=31),
    build_fingerprint="project",
    data_fingerprint="rows",
    warnings=["a test warns"],
)
ORDERS = 1_000_000
FACTS = BuildFacts(
    orders=ORDERS,
    changed_orders=10,
    tickets=PARTIAL_BUILD_FROM_TICKETS,
    raw_until=NOW,
    today=TODAY,
    build_fingerprint="project",
)


def test_a_large_account_with_few_changes_since_a_known_build_is_rebuilt_partially() -> None:
    plan = choose_plan(LAST, FACTS)

    assert plan == Plan(LAST.raw_until - OVERLAP, raw_until=NOW, full_build_on=TODAY)
    most = replace(FACTS, changed_orders=int(MAX_CHANGED_SHARE * ORDERS))
    assert choose_plan(LAST, most).changed_since


@pytest.mark.parametrize(
    ("last", "changes", "full"),
    [
        (None, {}, False),
        (LAST, {}, True),
        (LAST, {"tickets": PARTIAL_BUILD_FROM_TICKETS - 1}, False),
        (LAST, {"changed_orders": int(MAX_CHANGED_SHARE * ORDERS) + 1}, False),
        (LAST, {"today": TODAY + timedelta(days=1)}, False),
        (LAST, {"build_fingerprint": "another project"}, False),
    ],
    ids=["no state", "asked for", "small", "many changes", "another day", "project changed"],
)
def test_in_any_doubt_the_build_is_full(
    last: MartsState | None, changes: dict[str, Any], full: bool
) -> None:
    facts = replace(FACTS, **changes)

    plan = choose_plan(last, facts, full=full)

    assert plan == Plan(None, raw_until=NOW, full_build_on=facts.today)


def test_without_a_state_every_order_counts_as_changed() -> None:
    assert changed_since(None) == datetime.fromtimestamp(0, timezone.utc)
    assert changed_since(LAST) == LAST.raw_until - OVERLAP


@pytest.mark.parametrize(
    ("age", "build", "data", "expected"),
    [
        (timedelta(), "project", "rows", True),
        (MAX_AGE - timedelta(seconds=1), "project", "rows", True),
        (MAX_AGE, "project", "rows", False),
        # A clock that was set back.
        (-timedelta(seconds=1), "project", "rows", False),
        (timedelta(), "another", "rows", False),
        (timedelta(), "project", "another", False),
    ],
)
def test_marts_are_current_for_a_while_if_nothing_has_changed(
    age: timedelta, build: str, data: str, expected: bool
) -> None:
    now = LAST.built_at + age

    assert is_current(LAST, now, build_fingerprint=build, data_fingerprint=data) is expected


def test_a_state_is_read_as_it_was_stored_and_one_of_another_version_is_ignored() -> None:
    stored = LAST.as_metrics()

    assert MartsState.from_metrics(stored) == LAST
    assert MartsState.from_metrics(None) is None
    assert MartsState.from_metrics({**stored, "more": 1}) is None
    assert MartsState.from_metrics({k: v for k, v in stored.items() if k != "warnings"}) is None
