"""Alerts, received by a real HTTP server: one per incident, and one when it is resolved."""

import json
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

import pytest
from apprise.plugins.telegram import NotifyTelegram

from sandbox import Fault
from tests.support.account import Account

BOT = "123456789:abcdefghijklmnopqrstuvwxyz123456789"


class Receiver(ThreadingHTTPServer):
    """Answers posts with `status`, and records them if that is 200."""

    def __init__(self) -> None:
        super().__init__(("127.0.0.1", 0), _Handler)
        self.url = f"http://127.0.0.1:{self.server_port}"
        self.received: list[tuple[str, dict[str, Any]]] = []
        self.called: list[str] = []
        """Paths of GET requests, which a monitor gets."""
        self.status = 200

    def taken(self) -> list[tuple[str, str]]:
        """Return (path, title and message) of each post since the last call."""
        posts, self.received = self.received, []
        return [
            (path, f"{post.get('title', '')}\n{post.get('message', post.get('text', ''))}")
            for path, post in posts
        ]


class _Handler(BaseHTTPRequestHandler):
    server: Receiver

    def do_GET(self) -> None:
        self.server.called.append(self.path)
        self.send_response(200)
        self.send_header("Content-Length", "0")
        self.end_headers()

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        if self.server.status == 200:
            self.server.received.append((self.path, json.loads(body)))
        answer = json.dumps({"ok": True, "result": {}}).encode()
        self.send_response(self.server.status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(answer)))
        self.end_headers()
        self.wfile.write(answer)

    def log_message(self, *_: object) -> None:
        pass


@pytest.fixture(scope="module")
def receiver() -> Iterator[Receiver]:
    server = Receiver()
    threading.Thread(target=server.serve_forever, daemon=True).start()
    yield server
    server.shutdown()


@pytest.fixture(autouse=True)
def no_alerts_yet(account: Account, receiver: Receiver) -> Iterator[None]:
    receiver.status, receiver.received = 200, []
    (Path(account.environment["QTICKETS_HOME"]) / "alerts.json").unlink(missing_ok=True)
    account.service.faults.clear()
    yield
    account.service.faults.clear()


def hook(receiver: Receiver) -> dict[str, str]:
    return {"QTICKETS_ALERT_WEBHOOK": f"{receiver.url}/hook/a-secret-path?key=a-secret-key"}


def failing(account: Account, **variables: str) -> int:
    account.service.faults.append(Fault("/orders", kind="status", status=502))
    try:
        return account.command("--skip-marts", **variables).exit_code
    finally:
        account.service.faults.clear()


def test_a_failure_and_the_recovery_are_reported_once_each(
    account: Account, receiver: Receiver
) -> None:
    told = hook(receiver)
    assert failing(account, **told) == 3
    assert failing(account, **told) == 3
    [(path, failure)] = receiver.taken()
    assert account.command("--skip-marts", **told).exit_code == 0
    assert account.command("--skip-marts", **told).exit_code == 0
    [(_, recovery)] = receiver.taken()

    assert path == "/hook/a-secret-path?key=a-secret-key"
    assert "a run failed" in failure
    assert "HTTP 502" in failure
    assert "recovered" in recovery
    assert "HTTP 502" in recovery, "the recovery names the failure"


def test_another_kind_of_failure_is_reported_as_well(account: Account, receiver: Receiver) -> None:
    told = hook(receiver)

    assert failing(account, **told) == 3
    nowhere = {
        "CLICKHOUSE_HOST": "127.0.0.1",
        "CLICKHOUSE_PORT": "9",
        "QTICKETS_PII_SALT": "a salt for tests",
    }
    for _ in range(2):
        assert account.command(**told, **nowhere).exit_code == 4

    assert [text.partition("\n")[2][:30] for _, text in receiver.taken()] == [
        "QTickets did not answer GET /ap"[:30],
        "ClickHouse at 127.0.0.1:9 cann"[:30],
    ]
    assert account.command("--skip-marts", **told).exit_code == 0


def test_stale_data_are_reported_once_by_failing_runs_and_by_the_check(
    account: Account, receiver: Receiver
) -> None:
    told = hook(receiver)
    assert account.command("--skip-marts", **told).exit_code == 0
    stale = {"QTICKETS_STALE_HOURS": "0.0000001"}

    for _ in range(2):
        assert account.command("check", "--alert", **told, **stale).exit_code == 1
    assert account.command("check", **told, **stale).exit_code == 1
    [(_, by_check)] = receiver.taken()
    assert account.command("check", "--alert", **told).exit_code == 0
    assert account.command("check", "--alert", **told).exit_code == 0
    [(_, well_again)] = receiver.taken()
    for _ in range(2):
        assert failing(account, **told, **stale) == 3
    by_runs = [text for _, text in receiver.taken()]
    assert account.command("--skip-marts", **told).exit_code == 0

    assert "the data are stale" in by_check
    assert "recovered" in well_again
    assert [text.partition("\n")[0] for text in by_runs] == [
        "QTickets: a run failed",
        "QTickets: the data are stale",
    ]
    assert len(receiver.taken()) == 1


def test_an_alert_that_cannot_be_delivered_is_logged_and_sent_again(
    account: Account, receiver: Receiver
) -> None:
    told = hook(receiver)
    receiver.status = 500
    account.service.faults.append(Fault("/orders", kind="status", status=502))

    result = account.command(**told)

    assert result.exit_code == 3, "an alert does not change the exit code of a run"
    assert "could not be delivered to the webhook" in result.stderr
    assert "HTTP 502" in result.stderr.splitlines()[-1]
    assert "a-secret" not in result.output
    receiver.status = 200
    assert account.command(**told).exit_code == 3
    account.service.faults.clear()
    receiver.status = 500
    assert account.command("--skip-marts", **told).exit_code == 0
    receiver.status = 200
    assert account.command("--skip-marts", **told).exit_code == 0
    assert [text.partition("\n")[0] for _, text in receiver.taken()] == [
        "QTickets: a run failed",
        "QTickets: recovered",
    ]


def test_telegram_and_other_targets_receive_the_same_alerts(
    account: Account, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(NotifyTelegram, "notify_url", f"{receiver.url}/bot")
    told = {
        "QTICKETS_ALERT_TELEGRAM_TOKEN": BOT,
        "QTICKETS_ALERT_TELEGRAM_CHAT": "-1001234567890",
        "QTICKETS_ALERT_URLS": f"json://127.0.0.1:{receiver.server_port}/one"
        f" json://127.0.0.1:{receiver.server_port}/two",
    }

    sent = account.command("check", "--test-alert", **told)
    tests = receiver.taken()
    assert failing(account, **told) == 3
    alerts = receiver.taken()
    assert account.command("--skip-marts", **told).exit_code == 0

    assert sent.exit_code == 0
    assert sent.stdout.splitlines() == [
        "telegram: delivered",
        "url 1: delivered",
        "url 2: delivered",
    ]
    for received in (tests, alerts):
        assert [path for path, _ in received] == [f"/bot{BOT}/sendMessage", "/one", "/two"]
    assert all("HTTP 502" in text for _, text in alerts)


def test_alerts_hold_no_secrets_and_no_personal_data(account: Account, receiver: Receiver) -> None:
    def personal(payload: Any) -> Any:
        someone = {"currentPage": "ivan.petrov@example.ru +7 912 345-67-89"}
        return {**payload, "paging": payload["paging"] | someone}

    account.service.faults += [
        Fault("/events", kind="mutate", change=personal),
        Fault("/events", kind="ignore_where"),
        Fault("/events", kind="ignore_key", key="perPage"),
    ]
    told = hook(receiver) | {"QTICKETS_TOKEN": account.environment["QTICKETS_TOKEN"]}
    assert account.command(**told).exit_code == 3
    account.service.faults.clear()
    [(_, text)] = receiver.taken()
    path = Path(account.environment["QTICKETS_HOME"], "alerts.json")
    kept, mode = path.read_text(), path.stat().st_mode & 0o777
    assert account.command("--skip-marts", **told).exit_code == 0

    assert "received page" in text
    for hidden in ("petrov", "912", "a-secret", account.environment["QTICKETS_TOKEN"]):
        assert hidden not in text
        assert hidden not in kept
    assert "received page" in kept
    assert mode == 0o600


def test_without_configured_targets_nothing_is_sent_or_stored(
    account: Account, receiver: Receiver
) -> None:
    assert failing(account) == 3
    assert account.command("check", "--alert").exit_code == 1
    without = account.command("check", "--test-alert")
    assert account.command("--skip-marts").exit_code == 0

    assert without.exit_code == 2
    assert receiver.taken() == []
    assert not Path(account.environment["QTICKETS_HOME"], "alerts.json").exists()


@pytest.mark.parametrize(
    ("variable", "value"),
    [
        ("QTICKETS_ALERT_WEBHOOK", "hooks.example.ru/a-path"),
        ("QTICKETS_ALERT_TELEGRAM_TOKEN", "a-bot"),
        ("QTICKETS_ALERT_TELEGRAM_CHAT", "my chat"),
    ],
)
def test_invalid_targets_are_configuration_errors(
    account: Account, variable: str, value: str
) -> None:
    result = account.command("check", **{variable: value})

    assert result.exit_code == 2
    assert f"{variable}: expected" in result.stderr
    assert value not in result.stderr


@pytest.mark.parametrize("flags", [(), ("check", "--alert")], ids=" ".join)
def test_an_invalid_configuration_is_reported_once(
    account: Account, receiver: Receiver, flags: tuple[str, ...]
) -> None:
    gone = {"QTICKETS_TOKEN_FILE": "/run/secrets/nowhere", "QTICKETS_TOKEN": "", **hook(receiver)}
    assert account.command(*flags, **gone).exit_code == 2
    [(_, text)] = receiver.taken()
    assert "a run failed" in text and "QTICKETS_TOKEN_FILE" in text and "a-secret" not in text
    assert account.command(*flags, **gone).exit_code == 2
    assert receiver.taken() == []

    assert account.command("--skip-marts", **hook(receiver)).exit_code == 0
    [(_, text)] = receiver.taken()
    assert "recovered" in text


def test_an_invalid_configuration_of_other_commands_causes_no_alert(
    account: Account, receiver: Receiver
) -> None:
    wrong = {"QTICKETS_SINCE_HOURS": "two", **hook(receiver)}
    for flags in (("check",), ("--dry-run",), ("config",)):
        account.command(*flags, **wrong)
    assert receiver.taken() == []
    assert account.command(QTICKETS_SINCE_HOURS="two", QTICKETS_ALERT_WEBHOOK="x").exit_code == 2


def test_a_monitor_is_called_after_each_run_and_told_whether_it_failed(
    account: Account, receiver: Receiver
) -> None:
    monitor = {"QTICKETS_PING_URL": f"{receiver.url}/ping/a-secret-id/"}
    receiver.called.clear()

    assert account.command("--skip-marts", **monitor).exit_code == 0
    account.service.faults.append(Fault("/orders", kind="status", status=403, body="json"))
    result = account.command("--skip-marts", **monitor)
    account.service.faults.clear()
    assert result.exit_code == 3
    assert account.command("--skip-marts", QTICKETS_SINCE_HOURS="x", **monitor).exit_code == 2

    assert receiver.called == [
        "/ping/a-secret-id",
        "/ping/a-secret-id/fail",
        "/ping/a-secret-id/fail",
    ]
    unreachable = {"QTICKETS_PING_URL": "http://127.0.0.1:9/ping/a-secret-id"}
    result = account.command("--skip-marts", **unreachable)
    assert result.exit_code == 0
    assert "a-secret-id" not in result.output


def test_an_alert_is_sent_even_if_its_state_cannot_be_kept(
    account: Account, receiver: Receiver, tmp_path: Path
) -> None:
    (tmp_path / "alerts.lock").mkdir()
    nowhere = {"QTICKETS_HOME": str(tmp_path), "CLICKHOUSE_HOST": "127.0.0.1"}
    nowhere |= {"CLICKHOUSE_PORT": "9", "QTICKETS_PII_SALT": "0123456789abcdef0123"}

    for _ in range(2):
        assert account.command("check", "--alert", **nowhere, **hook(receiver)).exit_code == 1
        assert any("clickhouse" in text for _, text in receiver.taken())


def test_a_digest_is_sent_once_a_day_with_the_numbers_of_the_marts(
    account: Account, receiver: Receiver
) -> None:
    daily = hook(receiver) | {"QTICKETS_DIGEST_AT": "00:00"}

    for _ in range(2):
        assert account.command("--skip-marts", **daily).exit_code == 0

    [(_, text)] = receiver.taken()
    assert "daily digest" in text
    assert len(text) < 1100
    (week,) = account.rows(
        "SELECT sum(tickets_sold) AS tickets, sum(revenue) AS revenue"
        " FROM zakaz.fact_qtickets_sales_daily"
        " WHERE sales_date > toDate(now('Europe/Moscow')) - 7"
    )
    sales = f"7 days: {week['tickets']} tickets, {week['revenue']:,.2f} RUB"
    assert sales in text or (week["tickets"] == 0 and "7 days: no sales" in text)
    (runs,) = account.rows(
        "SELECT count() AS all, countIf(status != 'ok') AS failed FROM zakaz.meta_job_runs"
        " WHERE started_at > now() - INTERVAL 1 DAY"
    )
    # The second run came after the digest.
    assert f"Runs in 24 hours: {runs['all'] - 1}, failed: {runs['failed']}" in text
