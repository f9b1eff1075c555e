"""Incidents: which alerts an event causes, so that each incident is reported once.

Everything here is pure: delivery and the state file are in `alerts.py`.
"""

from collections.abc import Collection, Iterator
from dataclasses import dataclass, field, replace
from datetime import datetime

from pipelines.operations.checks.health import Check


@dataclass(frozen=True)
class Incident:
    """An open incident.

    Attributes:
        since: When it was first reported, UTC.
        message: What happened, as first reported.
        notified: Names of the targets that received the alert.
    """

    since: datetime
    message: str
    notified: tuple[str, ...] = ()


@dataclass(frozen=True)
class AlertState:
    """What must be remembered from one event to the next.

    Attributes:
        incidents: Open incidents by kind: `failure <exit code> <cause>`, `stale`, `check <name>`.
        resolved: Recovery messages that are not delivered yet, by target.
        last_success: End of the last successful run, UTC; before any, the first failure.
        last_digest: When the daily digest was sent last, UTC.
    """

    incidents: dict[str, Incident] = field(default_factory=dict)
    resolved: dict[str, str] = field(default_factory=dict)
    last_success: datetime | None = None
    last_digest: datetime | None = None


@dataclass(frozen=True)
class RunFailed:
    """A run that failed.

    Attributes:
        cause: Failures with another cause are another incident, even with the same exit code: an
            outage that was reported must not hide a token that was revoked meanwhile.
    """

    exit_code: int
    message: str
    cause: str = ""

    @property
    def kind(self) -> str:
        return f"failure {self.exit_code} {self.cause}".rstrip()


@dataclass(frozen=True)
class RunSucceeded:
    pass


@dataclass(frozen=True)
class HealthChecked:
    checks: tuple[Check, ...]


RECOVERED = "recovered"
"""Title of the messages about incidents that are over."""

DIGEST = "daily digest"

Event = RunFailed | RunSucceeded | HealthChecked


@dataclass(frozen=True)
class Message:
    """A message to one target. `kind` is that of its incident; None: a recovery."""

    target: str
    title: str
    text: str
    kind: str | None = None


@dataclass(frozen=True)
class _Outcome:
    """How an event changes the open incidents.

    Attributes:
        open: Message of each incident that is open now, by kind.
        closed: Kinds of the incidents that are over.
        recovery: First line of the recovery message.
    """

    open: dict[str, str] = field(default_factory=dict)
    closed: tuple[str, ...] = ()
    recovery: str = ""


def decide(
    state: AlertState,
    event: Event,
    now: datetime,
    *,
    targets: Collection[str],
    stale_hours: float,
) -> tuple[AlertState, list[Message]]:
    """Return the state after an event, and the messages to deliver.

    The state takes no message as delivered: apply `record_delivery` for each one that is. A message
    that could not be delivered is returned again for the next event.

    Args:
        state: The state before the event.
        event: What happened.
        now: The time of the event, UTC.
        targets: Names of the configured targets, in order.
        stale_hours: Hours without a successful run after which the data are stale.
    """
    match event:
        case RunFailed():
            # A recovery that was not delivered in time is no longer true.
            state = replace(state, resolved={}, last_success=state.last_success or now)
            outcome = _after_failure(state, event, now, stale_hours)
        case RunSucceeded():
            state = replace(state, last_success=now)
            outcome = _after_success(state)
        case HealthChecked():
            outcome = _after_check(state, event)
    resolved = _pending_recoveries(state, outcome, targets)
    incidents = {k: v for k, v in state.incidents.items() if k not in outcome.closed}
    for kind, text in outcome.open.items():
        incidents.setdefault(kind, Incident(now, text))
    alerts = [
        Message(target, _title(kind), text, kind)
        for kind, text in outcome.open.items()
        for target in targets
        if target not in incidents[kind].notified
    ]
    recoveries = [Message(target, RECOVERED, text) for target, text in resolved.items()]
    return replace(state, incidents=incidents, resolved=resolved), alerts + recoveries


def record_delivery(state: AlertState, message: Message) -> AlertState:
    """Return the state after a message was delivered."""
    if message.kind is None:
        resolved = {k: v for k, v in state.resolved.items() if k != message.target}
        return replace(state, resolved=resolved)
    incident = state.incidents[message.kind]
    notified = replace(incident, notified=(*incident.notified, message.target))
    return replace(state, incidents=state.incidents | {message.kind: notified})


def _after_failure(
    state: AlertState, event: RunFailed, now: datetime, stale_hours: float
) -> _Outcome:
    found = {event.kind: event.message}
    assert state.last_success is not None
    hours = (now - state.last_success).total_seconds() / 3600
    if hours > stale_hours:
        found["stale"] = f"No run has succeeded for {hours:.0f} hours. Last error: {event.message}"
    return _Outcome(open=found)


def _after_success(state: AlertState) -> _Outcome:
    closed = tuple(k for k in state.incidents if k == "stale" or k.startswith("failure"))
    return _Outcome(closed=closed, recovery="A run succeeded.")


def _after_check(state: AlertState, event: HealthChecked) -> _Outcome:
    found: dict[str, str] = {}
    for kind, message in _failed_checks(event.checks):
        found[kind] = f"{found[kind]} {message}" if kind in found else message
    if any(kind.startswith("failure") for kind in state.incidents):
        # The failed run has reported this itself.
        found.pop("check last_run", None)
    # Whether the data are stale is known only if ClickHouse answered.
    knows_age = any(_is_freshness(check) for check in event.checks)
    closed = tuple(
        kind
        for kind in state.incidents
        if kind not in found and (kind.startswith("check") or (kind == "stale" and knows_age))
    )
    return _Outcome(found, closed, recovery="Checks that failed pass again.")


def _failed_checks(checks: Collection[Check]) -> Iterator[tuple[str, str]]:
    """Yield the kind of incident and the message of each check that found an error."""
    for check in checks:
        if check.status == "error":
            kind = "stale" if _is_freshness(check) else f"check {check.name}"
            yield kind, check.message


def _is_freshness(check: Check) -> bool:
    return check.name.startswith("freshness")


def _pending_recoveries(
    state: AlertState, outcome: _Outcome, targets: Collection[str]
) -> dict[str, str]:
    """Return the recovery message of each target; only targets that received the alert have one."""
    pending = dict(state.resolved)
    for kind in outcome.closed:
        incident = state.incidents[kind]
        since = incident.since.isoformat(timespec="seconds")
        for target in incident.notified:
            text = pending.get(target, outcome.recovery)
            pending[target] = f"{text}\nResolved (open since {since}): {incident.message}"
    # A target that is no longer configured needs no message.
    return {target: text for target, text in pending.items() if target in targets}


def _title(kind: str) -> str:
    if kind.startswith("failure"):
        return "a run failed"
    return "the data are stale" if kind == "stale" else f"{kind} failed"
