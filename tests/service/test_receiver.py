"""The receiver of webhooks and its spool: what is accepted, what is kept, and what is refused."""

import os
import sqlite3
import subprocess
import time
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path
from typing import Any, cast

import orjson
import pytest
import requests
from pydantic import SecretStr
from starlette.applications import Starlette
from starlette.routing import Route

from pipelines.configuration.environment import Settings
from pipelines.service import spool as spool_module
from pipelines.service.application import PageReader, make_application
from pipelines.service.demo import open_demo
from pipelines.service.http_server import serve_http
from pipelines.service.spool import Hint, Spool, SpoolError
from pipelines.service.status import LastRun, Status
from pipelines.service.webhooks import LARGEST_BODY, Receiver, is_signed
from sandbox import Webhooks
from sandbox.server.webhooks import webhook_body, webhook_headers
from tests.support.worlds import small_world

SECRET = "the secret of the cabinet"


@pytest.fixture
def spool(tmp_path: Path) -> Iterator[Spool]:
    spool = Spool(tmp_path / "spool.db")
    yield spool
    spool.close()


@pytest.fixture
def hinted() -> list[None]:
    return []


@pytest.fixture
def receiver(spool: Spool, hinted: list[None]) -> Receiver:
    return Receiver(spool, SECRET, lambda: hinted.append(None))


@pytest.fixture
def address(receiver: Receiver) -> Iterator[str]:
    app = Starlette(routes=[Route("/webhooks/qtickets", receiver.receive, methods=["POST"])])
    with serve_http(app, "127.0.0.1:0") as url:
        yield f"{url}/webhooks/qtickets"


def post(address: str, body: bytes, event_type: str = "payed", **headers: str) -> int:
    signed = webhook_headers(event_type, body, SECRET) | {
        name.replace("_", "-"): value for name, value in headers.items()
    }
    return requests.post(address, data=body, headers=signed, timeout=10).status_code


def pending(spool: Spool) -> list[int]:
    return [order.order_id for order in spool.take(1000, not_read_since=1e12)]


def test_a_signed_webhook_is_acknowledged_once_its_hint_is_on_the_disk(
    address: str, spool: Spool, tmp_path: Path, hinted: list[None]
) -> None:
    order = small_world().orders(0, 1)[0]

    assert post(address, webhook_body("payed", order)) == 200

    with sqlite3.connect(tmp_path / "spool.db") as other:
        rows = other.execute("SELECT order_id, event_type, received, read FROM hints").fetchall()
    assert rows == [(order["id"], "payed", 1, 0)]
    assert hinted == [None]


def test_nothing_of_a_webhook_is_kept_but_the_id_the_type_and_the_time(
    address: str, spool: Spool, tmp_path: Path
) -> None:
    world = small_world()
    for order in world.orders():
        assert post(address, webhook_body("payed", order)) == 200
    spool.close()

    kept = b"".join(path.read_bytes() for path in tmp_path.glob("spool.db*"))
    assert not [text for text in world.personal_data() if len(text) > 5 and text.encode() in kept]


@pytest.mark.parametrize(
    ("body", "headers", "status", "result"),
    [
        (b'{"id": 5}', {"X_Signature": "0" * 40}, 403, "forged"),
        (b'{"id": 5}', {"X_Signature": ""}, 403, "forged"),
        (b'{"id": 5}', {"X_Signature": "ключ".encode().decode("latin-1")}, 403, "forged"),
        (b"not JSON", {}, 400, "invalid"),
        (b"[5]", {}, 400, "invalid"),
        (b'{"id": true}', {}, 400, "invalid"),
        (b'{"id": -1}', {}, 400, "invalid"),
        (b'{"id": 1e300}', {}, 400, "invalid"),
        (b'{"id": "5; DROP TABLE hints"}', {}, 400, "invalid"),
        (b" " * (LARGEST_BODY + 1), {}, 413, "too_large"),
    ],
    ids=range(10),
)
def test_anything_else_is_refused_and_not_kept(
    address: str,
    spool: Spool,
    receiver: Receiver,
    body: bytes,
    headers: dict[str, str],
    status: int,
    result: str,
) -> None:
    assert post(address, body, **headers) == status
    assert receiver.counts.results == {result: 1}
    assert pending(spool) == []


def test_a_body_that_does_not_say_how_long_it_is_is_cut_off_at_the_limit(
    address: str, spool: Spool
) -> None:
    def endless() -> Iterator[bytes]:
        for _ in range(LARGEST_BODY // 50_000 + 40):
            yield b" " * 50_000

    try:
        status = requests.post(address, data=endless(), timeout=10).status_code
    except requests.ConnectionError:
        status = 413  # The connection was closed while the client still sent.
    assert status == 413
    assert pending(spool) == []


@pytest.mark.parametrize("type_", ["", "x" * 41, "pay ed", "<script>"])
def test_an_unusual_type_is_not_kept(
    address: str, spool: Spool, type_: str, tmp_path: Path
) -> None:
    assert post(address, b'{"id": "17"}', type_) == 200

    with sqlite3.connect(tmp_path / "spool.db") as other:
        assert other.execute("SELECT order_id, event_type FROM hints").fetchall() == [(17, "other")]


def test_the_signature_is_that_of_the_documentation() -> None:
    # From RFC 2202, test case 2.
    digest = "effcdf6ae5eb2fa2d27416d5f184df9c259a7c79"
    assert is_signed(b"what do ya want for nothing?", digest.upper(), b"Jefe")


def test_without_a_secret_every_order_is_accepted_as_a_hint(spool: Spool) -> None:
    receiver = Receiver(spool, None, lambda: None)
    app = Starlette(routes=[Route("/", receiver.receive, methods=["POST"])])
    with serve_http(app, "127.0.0.1:0") as url:
        assert requests.post(url, data=b'{"id": 3}', timeout=10).status_code == 200
    assert pending(spool) == [3]


def test_503_and_a_reason_while_the_disk_is_full_then_200_again(
    address: str, spool: Spool, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    spool._db.execute(f"PRAGMA max_page_count={spool._read('PRAGMA page_count')[0][0]}")
    statuses = [post(address, orjson.dumps({"id": id_})) for id_ in range(1, 600)]

    assert statuses[-1] == 503
    assert "database or disk is full" in receiver.counts.problem
    assert len(pending(spool)) == statuses.count(200)

    spool._db.execute("PRAGMA max_page_count=100000")
    assert post(address, b'{"id": 1000}') == 200
    assert receiver.counts.problem == ""


@pytest.mark.skipif(os.geteuid() != 0, reason="mounting a small disk is for root")
def test_a_disk_that_is_full_is_answered_with_503_and_told(
    tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    subprocess.run(["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", disk], check=True)
    try:
        spool = Spool(disk / "webhooks.db")
        receiver = Receiver(spool, SECRET, lambda: None)
        status = Status(last_run=LastRun(5e9, 1, ""), last_ok_at=5e9)
        settings = Settings(qtickets_token=SecretStr("t" * 20))
        app = make_application(settings, status, spool, receiver, cast(PageReader, None))
        with serve_http(app, "127.0.0.1:0") as url:
            hook = f"{url}/webhooks/qtickets"
            assert post(hook, b'{"id": 1}') == 200
            with (disk / "filler").open("wb", buffering=0) as filler, suppress(OSError):
                while filler.write(b"x" * 4096):
                    pass
            statuses = [post(hook, orjson.dumps({"id": id_})) for id_ in range(2, 400)]

            assert statuses[-1] == 503
            assert len(pending(spool)) == 1 + statuses.count(200)
            assert "full" in receiver.counts.problem
            assert len(caplog.records) == 1, "it is told once, not for each webhook"
            ready = requests.get(f"{url}/ready", timeout=10)
            assert ready.status_code == 503
            assert "503" in ready.json()["problems"][0]

            (disk / "filler").unlink()
            assert post(hook, b'{"id": 1000}') == 200
            assert requests.get(f"{url}/ready", timeout=10).status_code == 200
        kept = pending(spool)
        spool.close()
        assert pending(Spool(disk / "webhooks.db")) == kept
    finally:
        subprocess.run(["umount", "--lazy", disk], check=True)


def test_forged_and_replayed_webhooks_do_not_make_the_spool_grow(
    spool: Spool, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(spool_module, "MOST_PENDING", 4)
    for number in range(1000):
        spool.add([Hint(number % 3, "payed")], float(number))

    assert sorted(pending(spool)) == [0, 1, 2]
    spool.add([Hint(4, "payed")], 1.0)
    with pytest.raises(SpoolError, match="wait"):
        spool.add([Hint(5, "payed")], 1.0)


def test_an_order_is_read_again_only_if_a_hint_came_after_the_reading_began(spool: Spool) -> None:
    spool.add([Hint(1, "payed"), Hint(2, "payed")], 100.0)
    taken = spool.take(10, not_read_since=1000)
    spool.add([Hint(2, "refunded")], 101.0)

    spool.done(taken, 102.0)

    assert pending(spool) == [2]
    assert spool.take(10, not_read_since=101) == []
    assert spool.named_since(101.0) == {2}
    spool.forget(200.0)
    assert spool.named_since(0) == {2}


def test_hints_outlive_the_process(tmp_path: Path) -> None:
    Spool(tmp_path / "spool.db").add([Hint(9, "checked")], 1.0)

    assert pending(Spool(tmp_path / "spool.db")) == [9]


def test_the_sandbox_delivers_every_edit_signed_and_again_until_it_is_accepted(
    address: str, spool: Spool, receiver: Receiver
) -> None:
    world = small_world()
    with Webhooks(address, SECRET, retry_after=lambda number: 0.01) as webhooks:
        world.listeners.append(webhooks.send)
        sold = world.sell()
        world.scan(world.order(sold)["baskets"][0]["id"])
        world.refund(sold)
        exchanged = world.exchange(world.sell())
        assert webhooks.wait()
        assert webhooks.counters["delivered"] == webhooks.counters["created"]
    assert {sold, exchanged} < set(pending(spool))
    assert set(receiver.counts.results) == {"accepted"}


def test_the_sandbox_gives_up_after_ten_further_tries(address: str, receiver: Receiver) -> None:
    with Webhooks(address, "another secret", retry_after=lambda number: 0.0) as webhooks:
        webhooks.send("payed", small_world().orders(0, 1)[0])
        assert webhooks.wait()
    assert webhooks.counters["expired"] == 1
    assert receiver.counts.results == {"forged": 11}


def test_the_sandbox_loses_and_doubles_on_demand(address: str, receiver: Receiver) -> None:
    order: dict[str, Any] = small_world().orders(0, 1)[0]
    with Webhooks(
        address, SECRET, loss=0.3, doubled=0.3, disorder_seconds=0.05, seed=5
    ) as webhooks:
        for _ in range(100):
            webhooks.send("updated", order)
        assert webhooks.wait()
    sent = webhooks.counters["delivered"]
    assert 15 < webhooks.counters["lost"] < 45
    assert sent == 100 - webhooks.counters["lost"] + webhooks.counters["doubled"]
    assert receiver.counts.results == {"accepted": sent}


def test_the_demo_sells_tickets_and_sends_their_webhooks(
    address: str, spool: Spool, receiver: Receiver, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("pipelines.service.demo.SECONDS_BETWEEN_SALES", (0.0, 0.05))
    with open_demo(address, SECRET) as service:
        deadline = time.monotonic() + 60
        while len(pending(spool)) < 3:
            assert time.monotonic() < deadline
            time.sleep(0.05)
        sold = pending(spool)[0]
        answer = requests.get(
            f"{service.base_url}/orders/{sold}",
            headers={"Authorization": f"Bearer {service.token}"},
            timeout=10,
        )

    assert set(receiver.counts.results) == {"accepted"}
    assert answer.json()["data"]["payed"]
