"""The alerts that each event causes, without delivery."""

import json
from dataclasses import replace
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest

from pipelines.operations.alerts import _read_state, _write_state
from pipelines.operations.checks.health import Check
from pipelines.operations.incidents import (
    AlertState,
    Event,
    HealthChecked,
    Incident,
    Message,
    RunFailed,
    RunSucceeded,
    decide,
    record_delivery,
)

NOW = datetime(2026, 6, 15, 10, tzinfo=timezone.utc)
BEFORE = NOW - timedelta(hours=1)
FAILED = RunFailed(3, "HTTP 502")
FRESH = Check("freshness orders", "ok", "Fresh")
STALE = Check("freshness orders", "error", "Orders are stale.")
STALE_EVENTS = Check("freshness events", "error", "Events are stale.")
DISK = Check("home_disk", "error", "0.1 GiB free")
LAST_RUN = Check("last_run", "error", "Failed")
LATE = Check("freshness orders", "warning", "Late")


def known(*kinds: str, notified: tuple[str, ...] = ("webhook",)) -> AlertState:
    """Return a state with open incidents, all of them delivered."""
    incidents = {kind: Incident(BEFORE, f"first {kind}", notified) for kind in kinds}
    return AlertState(incidents, last_success=BEFORE)


def after(
    state: AlertState, event: Event, *targets: str, delivered: bool = True
) -> tuple[AlertState, list[Message]]:
    """Return the state and the messages after an event; all messages are delivered, or none."""
    state, messages = decide(state, event, NOW, targets=targets or ("webhook",), stale_hours=6)
    for message in messages if delivered else ():
        state = record_delivery(state, message)
    return state, messages


@pytest.mark.parametrize(
    ("state", "event", "titles", "open_kinds"),
    [
        (known(), FAILED, ["a run failed"], ["failure 3"]),
        (known("failure 3"), FAILED, [], ["failure 3"]),
        (known("failure 3"), RunFailed(4, "x"), ["a run failed"], ["failure 3", "failure 4"]),
        (
            known("failure 3 ServiceUnavailable"),
            RunFailed(3, "x", "AccessRefused"),
            ["a run failed"],
            ["failure 3 ServiceUnavailable", "failure 3 AccessRefused"],
        ),
        (
            known("failure 3 AccessRefused"),
            RunFailed(3, "x", "AccessRefused"),
            [],
            ["failure 3 AccessRefused"],
        ),
        (known("failure 3"), RunSucceeded(), ["recovered"], []),
        (known("failure 3", "failure 4", "stale"), RunSucceeded(), ["recovered"], []),
        (known("check home_disk"), RunSucceeded(), [], ["check home_disk"]),
        (known(), RunSucceeded(), [], []),
        (
            replace(known(), last_success=NOW - timedelta(hours=7)),
            FAILED,
            ["a run failed", "the data are stale"],
            ["failure 3", "stale"],
        ),
        (replace(known(), last_success=NOW - timedelta(hours=6)), FAILED, ["a run failed"], None),
        (AlertState(), FAILED, ["a run failed"], ["failure 3"]),
        (known(), HealthChecked((DISK,)), ["check home_disk failed"], ["check home_disk"]),
        (known(), HealthChecked((LATE, FRESH)), [], []),
        (known(), HealthChecked((STALE, STALE_EVENTS)), ["the data are stale"], ["stale"]),
        (known("check home_disk"), HealthChecked((DISK,)), [], ["check home_disk"]),
        (known("check home_disk", "stale"), HealthChecked((FRESH,)), ["recovered"], []),
        # ClickHouse did not answer, so it is unknown whether the data are still stale.
        (known("stale"), HealthChecked(()), [], ["stale"]),
        # A check neither resolves nor repeats an incident that a run has reported.
        (known("failure 3"), HealthChecked((LAST_RUN,)), [], ["failure 3"]),
        (known(), HealthChecked((LAST_RUN,)), ["check last_run failed"], ["check last_run"]),
    ],
)
def test_each_incident_is_reported_once_and_its_end_once(
    state: AlertState, event: Event, titles: list[str], open_kinds: list[str] | None
) -> None:
    state, messages = after(state, event)

    assert [message.title for message in messages] == titles
    assert open_kinds is None or list(state.incidents) == open_kinds
    assert [message.title for message in after(state, event)[1]] == [], "an alert is not repeated"


def test_a_message_says_what_happened_and_a_recovery_what_was_resolved() -> None:
    stale = HealthChecked((STALE, STALE_EVENTS))
    _, [message] = after(known(), stale)
    _, [recovery] = after(known("failure 3", "stale"), RunSucceeded())
    old = replace(known(), last_success=NOW - timedelta(hours=30))
    _, [_, no_success] = after(old, FAILED)

    assert message == Message(
        "webhook", "the data are stale", "Orders are stale. Events are stale.", "stale"
    )
    assert recovery.text.splitlines() == [
        "A run succeeded.",
        "Resolved (open since 2026-06-15T09:00:00+00:00): first failure 3",
        "Resolved (open since 2026-06-15T09:00:00+00:00): first stale",
    ]
    assert no_success.text == "No run has succeeded for 30 hours. Last error: HTTP 502"


def test_an_undelivered_message_is_returned_again_until_it_is_delivered() -> None:
    state, first = after(known(), FAILED, delivered=False)
    state, second = after(state, FAILED)
    state, recovery = after(state, RunSucceeded(), delivered=False)
    state, again = after(state, RunSucceeded())

    assert first == second
    assert recovery == again
    assert [message.title for message in again] == ["recovered"]
    assert state.resolved == {}


def test_each_target_gets_an_alert_once_and_a_recovery_only_after_an_alert() -> None:
    state, _ = after(known(), FAILED, "webhook")
    state, messages = after(state, FAILED, "webhook", "telegram")
    assert [message.target for message in messages] == ["telegram"]

    _, recoveries = after(state, RunSucceeded(), "webhook", "telegram", "url 1")
    assert [message.target for message in recoveries] == ["webhook", "telegram"]
    state, recoveries = after(state, RunSucceeded(), "telegram")
    assert [message.target for message in recoveries] == ["telegram"]
    assert state.resolved == {}, "a target that is no longer configured is not kept"


def test_a_new_failure_discards_a_recovery_that_was_not_delivered() -> None:
    state, _ = after(known("failure 3"), RunSucceeded(), delivered=False)
    assert list(state.resolved) == ["webhook"]

    state, messages = after(state, FAILED)

    assert [message.title for message in messages] == ["a run failed"]
    assert state.resolved == {}


def test_the_state_that_is_written_is_read_again(tmp_path: Path) -> None:
    path = tmp_path / "alerts.json"
    state = replace(known("failure 3", "stale"), resolved={"url 1": "A run succeeded."})

    _write_state(path, state)

    assert _read_state(path) == state
    assert _read_state(tmp_path / "missing.json") == AlertState()


def test_the_state_of_the_previous_version_is_read_so_that_no_alert_is_repeated(
    tmp_path: Path,
) -> None:
    path = tmp_path / "alerts.json"
    trouble = {"since": BEFORE.isoformat(), "message": "HTTP 502", "told": ["webhook"]}
    path.write_text(
        json.dumps(
            {
                "troubles": {"failure 3": trouble},
                "over": {"telegram": "A run was good again."},
                "last_good": BEFORE.isoformat(),
            }
        )
    )

    state = _read_state(path)

    assert state == AlertState(
        {"failure 3": Incident(BEFORE, "HTTP 502", ("webhook",))},
        {"telegram": "A run was good again."},
        BEFORE,
    )
    assert after(state, FAILED)[1] == []


@pytest.mark.parametrize("content", ["", "[]", "{}", '{"incidents": {"stale": 1}}'])
def test_a_state_that_cannot_be_read_is_replaced(tmp_path: Path, content: str) -> None:
    path = tmp_path / "alerts.json"
    path.write_text(content)

    assert _read_state(path) == AlertState()
