"""What `serve` answers over HTTP, and to whom; when it reads hinted orders."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import pytest
import requests
from pydantic import SecretStr

from pipelines.configuration.environment import Settings
from pipelines.errors import ConfigurationError
from pipelines.service.application import PageReader, make_application
from pipelines.service.http_server import serve_http
from pipelines.service.process import serve_forever
from pipelines.service.resident import due_orders, next_slot
from pipelines.service.spool import Hint, PendingOrder, Spool
from pipelines.service.status import LastRun, Status
from pipelines.service.webhooks import Receiver
from pipelines.service.worker import LogOptions

TOKEN = "a-page-token-of-32-characters-00"


class Reader:
    """A reader of marts that are empty."""

    def data(self) -> dict[str, Any]:
        return {"about": {"organiser": "<Театр>"}, "sales": {}}

    def live(self) -> dict[str, Any]:
        return {"sales": [], "seats": []}


@pytest.fixture
def status() -> Status:
    return Status()


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "webhooks.db")
    yield spool
    spool.close()


def settings(**given: Any) -> Settings:
    return Settings(qtickets_token=SecretStr("t" * 20), **given)


def served(status: Status, spool: Spool, *, signed: bool = True, **given: Any) -> Any:
    receiver = Receiver(spool, "secret", lambda: None) if signed else None
    app = make_application(settings(**given), status, spool, receiver, cast(PageReader, Reader()))
    return serve_http(app, "127.0.0.1:0")


@pytest.mark.parametrize("path", ["/", "/data", "/live", "/metrics"])
def test_without_a_token_only_this_machine_itself_reads_sales(
    status: Status, spool: Spool, path: str
) -> None:
    with served(status, spool) as url:
        assert requests.get(url + path, timeout=10).status_code == 200
        for headers in (
            {"X-Forwarded-For": "203.0.113.9"},
            {"Forwarded": "for=203.0.113.9"},
            {"Via": "1.1 proxy"},
            {"Host": "tickets.example.ru"},
            {"Host": "127.0.0.1.example.ru"},
        ):
            answer = requests.get(url + path, headers=headers, timeout=10)
            assert answer.status_code == 403, headers


@pytest.mark.parametrize("path", ["/", "/data", "/live", "/metrics"])
def test_with_a_token_everybody_needs_it(status: Status, spool: Spool, path: str) -> None:
    with served(status, spool, qtickets_page_token=TOKEN) as url:
        assert requests.get(url + path, timeout=10).status_code == 403
        wrong = {"Authorization": "Bearer " + TOKEN[:-1]}
        assert requests.get(url + path, headers=wrong, timeout=10).status_code == 403
        right = {"Authorization": f"Bearer {TOKEN}", "X-Forwarded-For": "203.0.113.9"}
        assert requests.get(url + path, headers=right, timeout=10).status_code == 200


def test_the_token_in_the_address_becomes_a_cookie(status: Status, spool: Spool) -> None:
    with served(status, spool, qtickets_page_token=TOKEN) as url, requests.Session() as browser:
        page = browser.get(f"{url}/?token={TOKEN}", timeout=10)

        assert page.status_code == 200
        assert page.url == f"{url}/", "the token does not stay in the history"
        cookie = page.history[0].headers["set-cookie"].lower()
        assert "httponly" in cookie
        assert "samesite=strict" in cookie
        assert browser.get(f"{url}/live", timeout=10).status_code == 200


def test_the_served_page_may_ask_its_own_server_only(status: Status, spool: Spool) -> None:
    with served(status, spool) as url:
        page = requests.get(url, timeout=10)

    policy = page.headers["content-security-policy"]
    assert "connect-src 'self'" in policy
    assert "default-src 'none'" in policy
    assert policy.replace("'", "&#x27;") in page.text or policy in page.text
    assert page.headers["cache-control"] == "no-store"
    assert page.headers["x-frame-options"] == "DENY"
    assert "&lt;Театр&gt;" in page.text


def test_health_is_about_the_process_and_ready_about_the_data(status: Status, spool: Spool) -> None:
    with served(status, spool) as url:

        def ready() -> tuple[int, list[str]]:
            answer = requests.get(f"{url}/ready", timeout=10)
            return answer.status_code, answer.json()["problems"]

        assert requests.get(f"{url}/health", timeout=10).json()["status"] == "ok"
        assert ready() == (503, ["The first run has not ended."])
        status.last_run, status.last_ok_at = LastRun(5e9, 9.0, ""), 5e9
        assert ready() == (200, [])
        spool.add([Hint(1, "payed")], 1.0)
        assert ready() == (503, ["Orders that webhooks named have not been read for long."])
        status.last_run = LastRun(5e9, 9.0, "token abc rejected")
        assert ready()[1][0] == "The last run failed."


def test_metrics_count_webhooks_by_result(status: Status, spool: Spool) -> None:
    with served(status, spool) as url:
        requests.post(f"{url}/webhooks/qtickets", data=b'{"id": 1}', timeout=10)
        lines = requests.get(f"{url}/metrics", timeout=10).text.splitlines()

    assert 'qtickets_webhooks_total{result="forged"} 1' in lines
    assert "qtickets_pending_orders 0" in lines
    names = {line.split()[2] for line in lines if line.startswith("# TYPE")}
    assert {line.split("{")[0].split()[0] for line in lines if line[0] != "#"} == names


def test_without_a_secret_webhooks_are_refused_so_that_the_service_keeps_them(
    status: Status, spool: Spool
) -> None:
    with served(status, spool, signed=False) as url:
        answer = requests.post(f"{url}/webhooks/qtickets", data=b'{"id": 1}', timeout=10)
    assert answer.status_code == 503
    assert "QTICKETS_WEBHOOK_SECRET" in answer.text
    assert spool.pending_count() == 0


def test_an_address_in_use_is_named(status: Status, spool: Spool) -> None:
    with served(status, spool) as url:
        taken = url.removeprefix("http://")
        with (
            pytest.raises(ConfigurationError, match=taken),
            serve_http(cast(Any, None), taken),
        ):
            pass


def test_a_secret_and_open_webhooks_exclude_each_other() -> None:
    both = settings(qtickets_webhook_secret="secret", qtickets_webhook_open=True)
    with pytest.raises(ConfigurationError, match="one at a time"):
        serve_forever(both, cast(Any, None), LogOptions())


def waiting(*ages: float) -> list[PendingOrder]:
    return [PendingOrder(number, 1, 1000 - age) for number, age in enumerate(ages)]


@pytest.mark.parametrize(
    ("ages", "read_now"),
    [
        ([], 0),
        ([0.5], 0),
        ([1.5], 1),
        ([1.5] + [0.1] * 20, 1),
        # Many wait until they fill a request of 100, but not for long.
        ([5] * 60, 0),
        ([16] * 60, 60),
        ([5] * 130, 100),
        ([16] * 130, 130),
        ([16] * 100 + [1] * 30, 100),
        ([3] * 9, 9),
        ([3] * 10, 0),
    ],
)
def test_few_hinted_orders_are_read_at_once_and_many_in_full_requests(
    ages: list[float], read_now: int
) -> None:
    assert len(due_orders(waiting(*ages), 1000)) == read_now


@pytest.mark.parametrize(
    ("every", "minute", "following"), [(30, 0, 30), (30, 29.9, 30), (1, 5, 6), (50, 1439, 1440)]
)
def test_runs_are_scheduled_from_midnight(every: int, minute: float, following: float) -> None:
    midnight = 20_000 * 86400
    assert next_slot(midnight + minute * 60, every) == midnight + following * 60
