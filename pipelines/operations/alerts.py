"""Alerts: a webhook, a Telegram chat, or whatever else apprise can reach, once for each trouble.

What was said is kept in `QTICKETS_HOME/alerts.json`, so that a ClickHouse that is down is reported
once too. An alert never changes how a run ends: what cannot be delivered is logged, and tried again
by the next run.
"""

import json
import logging
import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import datetime, timezone
from pathlib import Path
from socket import gethostname
from typing import Any
from urllib.parse import parse_qsl, quote, urlsplit

from filelock import FileLock, Timeout

from pipelines.configuration.environment import AlertSettings, read_alert_settings
from pipelines.errors import BusyError, ConfigurationError, ExitCode, RunError
from pipelines.operations.check import Health
from pipelines.operations.redaction import without_people, without_secrets

logger = logging.getLogger(__name__)


@dataclass
class _Trouble:
    """Something that is wrong, since when, and whom it was told."""

    since: str
    message: str
    told: list[str] = field(default_factory=list)


@dataclass
class _Told:
    """The state that is kept: troubles by kind, and who is still to hear that they are over."""

    troubles: dict[str, _Trouble] = field(default_factory=dict)
    over: dict[str, str] = field(default_factory=dict)
    """By target, the message of a recovery that could not be delivered yet."""
    last_good: str | None = None


@contextmanager
def alerting(settings: AlertSettings) -> Iterator[None]:
    """Tells about a run that fails inside, about data grown stale by it, and about a recovery.

    Neither a run that finds another one under way nor one that is interrupted is a trouble.
    """
    if not targets(settings):
        yield
        return
    try:
        yield
    except BusyError:
        raise
    except RunError as error:
        _safely(_failed, settings, int(error.exit_code), str(error))
        raise
    except Exception as error:
        _safely(_failed, settings, int(ExitCode.BUG), f"{type(error).__name__}: a bug")
        raise
    _safely(_succeeded, settings)


def alert_configuration(env_file: Path | None, error: ConfigurationError) -> None:
    """Tells of a configuration with which no run can begin, if it says where alerts go."""
    settings = read_alert_settings(env_file)
    if settings and targets(settings):
        _safely(_failed, settings, int(error.exit_code), str(error))


def alert_health(settings: AlertSettings, health: Health) -> None:
    """Tells what `check` found wrong, and what is well again."""
    if targets(settings):
        _safely(_examined, settings, health)


def send_test(settings: AlertSettings) -> dict[str, bool]:
    """Sends a message to every target; by its name, whether it was delivered."""
    text = f"A test from {gethostname()}: alerts arrive here."
    return {
        name: _deliver(settings, name, url, "QTickets: a test", text)
        for name, url in targets(settings).items()
    }


def targets(settings: AlertSettings) -> dict[str, str]:
    """By name, where alerts go, as apprise's URLs."""
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
    """The address of a webhook as apprise wants it; its own parameters begin with a minus there."""
    parts = urlsplit(url)
    scheme = {"https": "jsons", "http": "json"}[parts.scheme]
    query = "&".join(f"-{quote(k)}={quote(v)}" for k, v in parse_qsl(parts.query))
    return f"{scheme}://{parts.netloc}{parts.path or '/'}" + (f"?{query}" if query else "")


def _failed(settings: AlertSettings, exit_code: int, message: str) -> None:
    with _told(settings) as told:
        told.over.clear()
        now = datetime.now(timezone.utc)
        data_of = told.last_good or _iso(now)
        told.last_good = data_of
        _tell(settings, told, f"failure {exit_code}", "a run failed", message)
        hours = (now - datetime.fromisoformat(data_of)).total_seconds() / 3600
        if hours > settings.qtickets_stale_hours:
            stale = f"No run has been good for {hours:.0f} hours. Last trouble: {message}"
            _tell(settings, told, "stale", "the data are stale", stale)


def _succeeded(settings: AlertSettings) -> None:
    with _told(settings) as told:
        told.last_good = _iso(datetime.now(timezone.utc))
        over = [kind for kind in told.troubles if kind == "stale" or kind.startswith("failure")]
        _tell_over(settings, told, over, "A run was good again.")


def _examined(settings: AlertSettings, health: Health) -> None:
    found: dict[str, str] = {}
    for check in health.checks:
        if check.status != "error":
            continue
        kind = "stale" if check.name.startswith("freshness") else f"check {check.name}"
        found[kind] = f"{found[kind]} {check.message}" if kind in found else check.message
    with _told(settings) as told:
        if any(kind.startswith("failure") for kind in told.troubles):
            # The run itself has told that.
            found.pop("check last_run", None)
        for kind, message in found.items():
            title = "the data are stale" if kind == "stale" else f"{kind} failed"
            _tell(settings, told, kind, title, message)
        # Whether the data are stale is known only where ClickHouse could be asked.
        judged = any(check.name.startswith("freshness") for check in health.checks)
        over = [
            kind
            for kind in told.troubles
            if kind not in found and (kind.startswith("check") or (kind == "stale" and judged))
        ]
        _tell_over(settings, told, over, "All that was checked is well again.")


def _tell(settings: AlertSettings, told: _Told, kind: str, title: str, message: str) -> None:
    """Says that something is wrong to those who have not heard it yet."""
    message = _presentable(message, settings)
    trouble = told.troubles.setdefault(kind, _Trouble(_iso(datetime.now(timezone.utc)), message))
    for name, url in targets(settings).items():
        if name not in trouble.told and _deliver(settings, name, url, _title(title), message):
            trouble.told.append(name)


def _tell_over(settings: AlertSettings, told: _Told, kinds: Iterable[str], message: str) -> None:
    """Says that troubles are over, once, to those who heard of them."""
    for kind in list(kinds):
        trouble = told.troubles.pop(kind)
        for name in trouble.told:
            before = told.over.get(name, message)
            told.over[name] = f"{before}\nIt was, since {trouble.since}: {trouble.message}"
    known = targets(settings)
    for name, text in list(told.over.items()):
        if name not in known or _deliver(settings, name, known[name], _title("recovered"), text):
            del told.over[name]


def _presentable(text: str, settings: AlertSettings) -> str:
    return without_people(without_secrets(text, settings))


def _title(what: str) -> str:
    return f"QTickets: {what}"


def _deliver(settings: AlertSettings, name: str, url: str, title: str, message: str) -> bool:
    """Sends one message; False, and a line in the log, if it was not delivered."""
    # A second, and only needed when there is something to say.
    import apprise

    # Its own lines may name addresses, which hold tokens.
    logging.getLogger("apprise").setLevel(logging.CRITICAL)
    who = " ".join(filter(None, (settings.org_name, f"({settings.job_name} on {gethostname()})")))
    sender = apprise.Apprise()
    kind = apprise.NotifyType.SUCCESS if "recovered" in title else apprise.NotifyType.FAILURE
    body = _presentable(f"{message}\n{who}", settings)
    delivered = sender.add(url) and sender.notify(
        title=title, body=body, notify_type=kind, body_format=apprise.NotifyFormat.TEXT
    )
    if not delivered:
        logger.warning("An alert could not be delivered to the %s: %s", name, title)
    return bool(delivered)


@contextmanager
def _told(settings: AlertSettings) -> Iterator[_Told]:
    """What was said, read and written back under a lock."""
    path = settings.qtickets_home / "alerts.json"
    path.parent.mkdir(mode=0o700, parents=True, exist_ok=True)
    with FileLock(path.with_suffix(".lock"), timeout=60):
        told = _read(path)
        yield told
        _write(path, told)


def _read(path: Path) -> _Told:
    try:
        kept = json.loads(path.read_text())
        troubles = {kind: _Trouble(**trouble) for kind, trouble in kept["troubles"].items()}
        return _Told(troubles, dict(kept["over"]), kept["last_good"])
    except FileNotFoundError:
        return _Told()
    except (OSError, ValueError, KeyError, TypeError, AttributeError):
        logger.warning("%s cannot be read: alerts begin anew.", path)
        return _Told()


def _write(path: Path, told: _Told) -> None:
    draft = path.with_suffix(".new")
    content = {
        "troubles": {kind: vars(trouble) for kind, trouble in told.troubles.items()},
        "over": told.over,
        "last_good": told.last_good,
    }
    with os.fdopen(os.open(draft, os.O_CREAT | os.O_TRUNC | os.O_WRONLY, 0o600), "w") as file:
        json.dump(content, file, ensure_ascii=False, indent=2)
    draft.replace(path)


def _safely(tell: Any, settings: AlertSettings, *arguments: Any) -> None:
    """Whatever happens while alerting, the run ends as it would have."""
    try:
        tell(settings, *arguments)
    except (OSError, Timeout) as error:
        logger.warning("Alerts: %s", error)
    except Exception as error:
        logger.warning("Alerts failed: %s", type(error).__name__)
        logger.debug("Alerts failed", exc_info=True)


def _iso(moment: datetime) -> str:
    return moment.isoformat(timespec="seconds")
