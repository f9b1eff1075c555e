"""Alerts by webhook, Telegram, or any service that apprise supports, once for each incident.

The state is in `QTICKETS_HOME/alerts.json` and not in ClickHouse, so that an outage of ClickHouse
is reported once too. Alerts never change how a run ends: a message that cannot be delivered is
logged, and the next run tries again.
"""

import json
import logging
import os
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime, timezone
from pathlib import Path
from socket import gethostname
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from filelock import FileLock, Timeout

from pipelines.configuration.environment import AlertSettings, Settings, read_alert_settings
from pipelines.errors import (
    BusyError,
    ConfigurationError,
    ExitCode,
    RowsLeftOut,
    RunError,
    system_error,
)
from pipelines.operations.checks.health import Health
from pipelines.operations.incidents import (
    DIGEST,
    RECOVERED,
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
from pipelines.operations.ping import ping
from pipelines.operations.redaction import redact_personal_data, redact_secrets

logger = logging.getLogger(__name__)

# Keys that version 0.1 wrote, and their present names.
_RENAMED_KEYS = {
    "troubles": "incidents",
    "told": "notified",
    "over": "resolved",
    "last_good": "last_success",
}


@contextmanager
def alerting(settings: AlertSettings) -> Iterator[None]:
    """Send alerts if the run in the block fails or its data are stale, and when it recovers.

    The outside monitor is told of every run. A run that finds another one in progress, or is
    interrupted, causes no alert.
    """
    try:
        yield
    except BusyError:
        raise
    except RunError as error:
        ping(settings, succeeded=False)
        _send_alerts(settings, RunFailed(int(error.exit_code), str(error), error.cause))
        if isinstance(error, RowsLeftOut) and isinstance(settings, Settings):
            # All the others are in the marts.
            _send_digest(settings)
        raise
    except Exception as error:
        ping(settings, succeeded=False)
        if found := system_error(error):
            _send_alerts(settings, RunFailed(int(found.exit_code), str(found)))
            raise found from error
        _send_alerts(settings, RunFailed(int(ExitCode.BUG), f"{type(error).__name__}: a bug"))
        raise
    ping(settings, succeeded=True)
    _send_alerts(settings, RunSucceeded())
    if isinstance(settings, Settings):
        _send_digest(settings)


def alert_configuration(env_file: Path | None, error: ConfigurationError) -> None:
    """Send an alert about an invalid configuration, if its alert settings can be read."""
    settings = read_alert_settings(env_file)
    if settings:
        ping(settings, succeeded=False)
        _send_alerts(settings, RunFailed(int(error.exit_code), str(error)))


def alert_health(settings: AlertSettings, health: Health) -> None:
    """Send alerts about failed checks, and about checks that pass again."""
    _send_alerts(settings, HealthChecked(tuple(health.checks)))


def send_test(settings: AlertSettings) -> dict[str, bool]:
    """Send a test message to every target; return by target whether it was delivered."""
    text = f"Test message from {gethostname()}: alerts about QTickets runs arrive here."
    return {
        name: _deliver(settings, Message(name, "test message", text)) for name in targets(settings)
    }


def targets(settings: AlertSettings) -> dict[str, str]:
    """Return the configured targets: apprise URLs by name."""
    found = {}
    if settings.qtickets_alert_webhook:
        found["webhook"] = _webhook(settings.qtickets_alert_webhook.get_secret_value())
    if settings.qtickets_alert_telegram_token:
        token = settings.qtickets_alert_telegram_token.get_secret_value()
        found["telegram"] = f"tgram://{token}/{settings.qtickets_alert_telegram_chat}"
    if settings.qtickets_alert_urls:
        urls = settings.qtickets_alert_urls.get_secret_value().split()
        found |= {f"url {number}": url for number, url in enumerate(urls, 1)}
    return found


def _webhook(url: str) -> str:
    """Return a webhook as apprise's URL, which marks the webhook's own parameters with a minus."""
    parts = urlsplit(url)
    scheme = {"https": "jsons", "http": "json"}[parts.scheme]
    query = "&".join(f"-{quote(k)}={quote(v)}" for k, v in parse_qsl(parts.query))
    return f"{scheme}://{parts.netloc}{parts.path or '/'}" + (f"?{query}" if query else "")


def _send_alerts(settings: AlertSettings, event: Event) -> None:
    """Deliver the messages that an event causes; log any failure, and raise nothing."""
    if not targets(settings):
        return
    try:
        _handle(settings, _redacted(event, settings))
    except (OSError, Timeout) as error:
        logger.warning("Alerts could not be sent: %s", error)
    except Exception as error:
        logger.warning("Alerts could not be sent (%s): a bug.", type(error).__name__)
        logger.debug("Alerts could not be sent", exc_info=True)


def _handle(settings: AlertSettings, event: Event) -> None:
    with _kept_state(settings) as kept:
        kept.state, messages = decide(
            kept.state,
            event,
            datetime.now(timezone.utc),
            targets=list(targets(settings)),
            stale_hours=settings.qtickets_stale_hours,
        )
        for message in messages:
            if _deliver(settings, message):
                kept.state = record_delivery(kept.state, message)


def _send_digest(settings: Settings) -> None:
    """Send the daily digest if it is due; log any failure, and raise nothing."""
    if settings.qtickets_digest_at is None or not targets(settings):
        return
    from pipelines.operations.digest import digest, is_due

    try:
        with _kept_state(settings) as kept:
            now = datetime.now(timezone.utc)
            if not is_due(settings, now, kept.state.last_digest):
                return
            text = digest(settings, now)
            sent = [_deliver(settings, Message(name, DIGEST, text)) for name in targets(settings)]
            if any(sent):
                kept.state = replace(kept.state, last_digest=now)
    except (OSError, RunError, Timeout) as error:
        logger.warning("The daily digest could not be sent: %s", error)


@dataclass
class _Kept:
    state: AlertState


@contextmanager
def _kept_state(settings: AlertSettings) -> Iterator[_Kept]:
    """Yield the state of alerts, and keep what it has become.

    Where it cannot be kept, in a folder that is read-only or belongs to somebody else, alerts are
    sent all the same: twice is better than not at all.
    """
    path = settings.qtickets_home / "alerts.json"
    try:
        path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
        lock = FileLock(path.with_suffix(".lock"), timeout=60)
        lock.acquire()
    except OSError as error:
        logger.warning(
            "%s cannot be written (%s): open incidents are reported every time.",
            path,
            error.strerror or type(error).__name__,
        )
        yield _Kept(AlertState())
        return
    try:
        kept = _Kept(_read_state(path))
        before = kept.state
        yield kept
        if kept.state != before or not path.exists():
            _write_state(path, kept.state)
    finally:
        lock.release()


def _redacted(event: Event, settings: AlertSettings) -> Event:
    match event:
        case RunFailed():
            return replace(event, message=_redact(event.message, settings))
        case HealthChecked():
            return HealthChecked(
                tuple(replace(c, message=_redact(c.message, settings)) for c in event.checks)
            )
        case RunSucceeded():
            return event


def _redact(text: str, settings: AlertSettings) -> str:
    return redact_personal_data(redact_secrets(text, settings))


def _deliver(settings: AlertSettings, message: Message) -> bool:
    """Send one message; return False, and log it, if it was not delivered."""
    # The import takes a second, and is needed only if there is a message.
    import apprise

    # Its own log lines may contain addresses, which hold tokens.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    sent_by = " ".join(
        filter(None, (settings.org_name, f"({settings.job_name} on {gethostname()})"))
    )
    is_good_news = message.title in (RECOVERED, DIGEST)
    sender = apprise.Apprise()
    delivered = sender.add(targets(settings)[message.target]) and sender.notify(
        title=f"QTickets: {message.title}",
        body=_redact(f"{message.text}\n{sent_by}", settings),
        notify_type=apprise.NotifyType.SUCCESS if is_good_news else apprise.NotifyType.FAILURE,
        body_format=apprise.NotifyFormat.TEXT,
    )
    if not delivered:
        logger.warning(
            "The alert %r could not be delivered to the %s. Check QTICKETS_ALERT_… and the network;"
            " the next run tries again.",
            message.title,
            message.target,
        )
    return bool(delivered)


def _read_state(path: Path) -> AlertState:
    try:
        stored = json.loads(path.read_text(), object_hook=_present_keys)
        return AlertState(
            {
                kind: Incident(
                    datetime.fromisoformat(incident["since"]),
                    incident["message"],
                    tuple(incident["notified"]),
                )
                for kind, incident in stored["incidents"].items()
            },
            dict(stored["resolved"]),
            _moment(stored["last_success"]),
            _moment(stored.get("last_digest")),
        )
    except FileNotFoundError:
        return AlertState()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        logger.warning(
            "%s cannot be read. It is replaced, and open incidents are reported again.", path
        )
        return AlertState()


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _present_keys(stored: dict[str, Any]) -> dict[str, Any]:
    return {_RENAMED_KEYS.get(key, key): value for key, value in stored.items()}


def _write_state(path: Path, state: AlertState) -> None:
    draft = path.with_suffix(".new")
    content = {
        "incidents": {
            kind: {
                "since": incident.since.isoformat(timespec="seconds"),
                "message": incident.message,
                "notified": list(incident.notified),
            }
            for kind, incident in state.incidents.items()
        },
        "resolved": state.resolved,
        "last_success": state.last_success and state.last_success.isoformat(timespec="seconds"),
        "last_digest": state.last_digest and state.last_digest.isoformat(timespec="seconds"),
    }
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as file:
        json.dump(content, file, ensure_ascii=False, indent=2)
    draft.replace(path)
