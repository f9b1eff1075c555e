"""Cassettes: the client replays them offline, runs load them, and they have no personal data."""

import re
import socket
from collections.abc import Callable
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner, Result

from local_clickhouse import LocalServer
from pipelines.qtickets import app
from qtickets_source.errors import (
    AccessRefused,
    NotFound,
    QTicketsError,
    ServiceUnavailable,
    UnexpectedAnswer,
)
from qtickets_source.rows.columns import flag
from qtickets_source.rows.context import RowContext
from qtickets_source.rows.orders import order_tables
from sandbox import World
from tests.support.clickhouse import DATABASE, Marts, query
from tests.support.expected import actual_daily, actual_dashboard, dashboard, sales_daily
from tests.support.retry_clock import RetryClock
from tools.recording import (
    CASES,
    CASSETTES,
    CLIENT,
    EVENT,
    LATELY,
    NOW,
    ORDER,
    SHOW,
    TOKEN,
    client_for,
    organiser,
    played,
    record,
)

Row = dict[str, Any]


@pytest.fixture
def no_network(monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(*_: Any, **__: Any) -> None:
        raise AssertionError("a test with a cassette used the network")

    for name in ("connect", "connect_ex", "sendto", "bind"):
        monkeypatch.setattr(socket.socket, name, refuse)
    for name in ("create_connection", "getaddrinfo"):
        monkeypatch.setattr(socket, name, refuse)


@pytest.fixture(scope="module")
def world() -> World:
    """The organiser that the cassettes were recorded from."""
    return organiser()


def read(name: str) -> tuple[Any, Any]:
    """Return the rows that the client reads from a cassette, and the cassette."""
    with played(name) as cassette:
        return CASES[name].read(client_for(CASES[name])), cassette


def ids(rows: list[Row]) -> list[int]:
    return [row["id"] for row in rows]


def since_lately(world: World, column: str) -> list[Row]:
    return [row for row in world.orders() if (row[column] or "") >= LATELY.isoformat()]


def listed(world: World, name: str) -> list[Row]:
    table = world.tables[name]
    return table.rows(table.chunk(0, world.timestamp).keys.tolist(), world.timestamp)


FULL_LISTS: dict[str, Callable[[World], list[Row]]] = {
    "orders": lambda world: since_lately(world, "payed_at"),
    "orders_walk": lambda world: since_lately(world, "updated_at"),
    "orders_none": lambda world: [],
    "events": lambda world: world.events(),
    "discounts": lambda world: listed(world, "discounts"),
    "promo_codes": lambda world: listed(world, "promo-codes"),
    "color_themes": lambda world: world.color_themes(),
}


@pytest.mark.parametrize("name", FULL_LISTS)
def test_a_recorded_list_is_read_in_full_and_in_order(
    name: str, world: World, no_network: None
) -> None:
    rows, cassette = read(name)

    assert ids(rows) == ids(FULL_LISTS[name](world))
    assert all("_fetched_at" in row for row in rows)
    assert cassette.all_played


def test_the_recorded_lists_have_several_pages(no_network: None) -> None:
    assert {name: len(read(name)[1]) for name in ("orders", "orders_walk", "discounts")} == {
        "orders": 3,
        "orders_walk": 4,
        "discounts": 4,
    }


def test_single_rows_are_read_from_cassettes(world: World, no_network: None) -> None:
    order, event, client = (read(name)[0] for name in ("order", "event", "client"))

    assert (order["id"], event["id"], client["id"]) == (ORDER, EVENT, CLIENT)
    assert order["price"] == world.order(ORDER)["price"]
    assert [show["id"] for show in event["shows"]] == [
        show["id"] for show in world.events()[0]["shows"]
    ]


def test_seats_are_read_flat_and_by_zone_with_the_same_sums(world: World, no_network: None) -> None:
    flat, by_zone = read("seats")[0], read("seats_by_zone")[0]
    plan = world.seats(SHOW) or []

    zones = [seat for zone in by_zone["zones"].values() for seat in zone["seats"].values()]
    for seats in (list(flat.values()), zones):
        for name in ("max_quantity", "free_quantity"):
            assert sum(seat[name] for seat in seats if not flag(seat["disabled"])) == sum(
                seat[name] for seat in plan if not seat["disabled"]
            )


def test_barcodes_are_a_bare_list_and_clients_are_read_by_id(
    world: World, no_network: None
) -> None:
    tickets, clients = read("barcodes")[0], read("clients")[0]

    assert len(tickets) == len(world.barcodes(SHOW) or []) > 0
    assert len({ticket["barcode"] for ticket in tickets}) == len(tickets)
    assert ids(clients) == sorted(ids(clients))
    assert {order["client_id"] for order in world.orders()} <= set(ids(clients))


def test_a_recorded_account_contains_all_its_money(world: World, no_network: None) -> None:
    account, cassette = read("account")

    _, tickets = order_tables(account["orders"], RowContext(b"salt"))

    assert cassette.all_played
    assert sum(row["price"] * row["quantity"] for row in tickets.to_pylist()) == sum(
        Decimal(str(ticket["price"])) * ticket["quantity"]
        for order in world.orders()
        for ticket in order["baskets"]
    )
    assert any(row["refunded_at"] for row in tickets.to_pylist())
    assert any(order["payed_at"] and order["payed_at"][:10] == f"{NOW:%Y-%m-%d}" for order in (
        account["orders"]
    ))  # fmt: skip
    shows = [show["id"] for event in account["events"] for show in event["shows"]]
    assert all(f"shows/{show}/seats" in account for show in shows)


ERRORS: dict[str, tuple[type[QTicketsError], str]] = {
    "200_web_page": (UnexpectedAnswer, "a web page instead of JSON"),
    "200_no_data": (UnexpectedAnswer, "without `data`"),
    "301": (UnexpectedAnswer, "redirected"),
    "400": (UnexpectedAnswer, "HTTP 400"),
    "401": (AccessRefused, "refused the token: HTTP 401"),
    "403": (AccessRefused, "refused the token: HTTP 403"),
    "404_no_such_order": (NotFound, "no such row"),
    "404_no_such_path": (UnexpectedAnswer, "no endpoint /api/rest/v1/events/"),
    "503_application": (ServiceUnavailable, "the shape of a request"),
    "504_gateway": (ServiceUnavailable, "HTTP 504"),
}


@pytest.mark.parametrize("name", ERRORS)
def test_a_recorded_failure_raises_its_own_error(name: str, no_network: None) -> None:
    error, words = ERRORS[name]

    with played(name) as cassette, pytest.raises(error, match=words):
        CASES[name].read(client_for(CASES[name]))

    # After a time-out, one more asks for a page of the service's own size.
    assert cassette.play_count == len(cassette) == (2 if name == "504_gateway" else 1)


@pytest.mark.parametrize("name", [name for name in CASES if name.endswith("_then_200")])
def test_a_recorded_temporary_failure_is_retried(
    name: str, no_network: None, retry_clock: RetryClock
) -> None:
    rows, cassette = read(name)

    assert ids(rows) == [ORDER]
    assert cassette.play_count == len(cassette) == 2
    assert len(retry_clock.waits) == 1


# -- the contents of the cassettes ----------------------------------------------------------------


def texts() -> dict[str, str]:
    return {path.name: path.read_text() for path in sorted(CASSETTES.iterdir())}


def test_cases_and_cassettes_correspond() -> None:
    assert set(texts()) == {f"{name}.yaml" for name in CASES}
    assert {name for name in CASES if name[0].isdigit()} == {
        *ERRORS,
        *(name for name in CASES if name.endswith("_then_200")),
    }


def test_the_cassettes_are_small_enough_to_read() -> None:
    sizes = {name: len(text.encode()) for name, text in texts().items()}

    assert sum(sizes.values()) < 600_000
    assert sizes["orders.yaml"] < 150_000
    assert max(sizes.values()) < 300_000


@pytest.mark.parametrize(
    "pattern",
    [
        r"(?i)authorization|bearer|cookie",
        r"[\w.+-]+@[\w-]+\.\w+",
        r"(?<![\d.])(\+7|8)[\s(-]*\d{3}[\s)-]*\d{3}[\s-]*\d{2}[\s-]*\d{2}(?!\d)",
        r"\d{4,6}[*•xX]{4,}\d{2,4}",
        r"/(pay|cancel-order|ticket)/",
        r"https?://(?!qtickets\.ru/api/rest/v1/)",
        r"127\.0\.0\.1|localhost|sandbox",
        r'"uniqid":"[^"]',
        r'"barcode":"(?!barcode-\d+")',
        r'"(email|phone|surname|middlename|client_\w*name|inn|kpp|comment)":"[^"]',
    ],
)
def test_no_cassette_contains_tokens_personal_data_links_or_barcodes(pattern: str) -> None:
    found = {
        name: match[0] for name, text in texts().items() if (match := re.search(pattern, text))
    }

    assert found == {}


def test_no_personal_data_of_the_organiser_is_in_the_cassettes(world: World) -> None:
    everything = "\n".join(texts().values())

    secrets = {secret for secret in world.personal_data() if len(secret) > 5} | {TOKEN}
    assert len(secrets) > 200
    assert {secret for secret in secrets if secret in everything} == set()


def test_recording_again_gives_the_same_bytes(tmp_path: Path) -> None:
    record(tmp_path)

    again = {path.name: path.read_text() for path in tmp_path.iterdir()}
    # Compared by name first: a difference of long texts takes minutes to print.
    assert [name for name, text in texts().items() if again.get(name) != text] == []
    assert again.keys() == texts().keys()


# -- runs with a cassette -------------------------------------------------------------------------


@pytest.fixture
def only_this_machine(monkeypatch: pytest.MonkeyPatch) -> None:
    connect = socket.socket.connect

    def careful(self: socket.socket, address: Any) -> None:
        assert isinstance(address, str) or address[0] in ("127.0.0.1", "::1", "localhost"), address
        connect(self, address)

    monkeypatch.setattr(socket.socket, "connect", careful)


@pytest.fixture
def environment(home: Path, empty_server: LocalServer) -> dict[str, str]:
    """Return an environment that sets only the data folder."""
    return {"QTICKETS_HOME": str(home)}


def command(environment: dict[str, str], *arguments: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env=environment)


def newest_rows(marts: Marts) -> dict[str, list[Row]]:
    """Return the newest rows of the raw tables, without the time of the load."""
    return {
        table: marts.raw(
            f"SELECT * EXCEPT (_fetched_at, _dlt_load_id) FROM zakaz_raw.{table} FINAL ORDER BY ALL"
        )
        for table in ("orders", "tickets", "events", "shows", "inventory", "promo_codes")
    }


def test_an_offline_run_builds_the_marts_and_a_second_one_changes_nothing(
    environment: dict[str, str], marts: Marts, world: World, only_this_machine: None
) -> None:
    first = command(environment, "--offline")

    assert first.exit_code == 0, first.output
    lines = first.stdout.strip().splitlines()
    assert lines[0].startswith("OFFLINE: recorded answers from ")
    assert "as of 2026-06-15 10:00:00 UTC. The live service is not called." in lines[0]
    assert lines[-1].startswith("These were recorded numbers, offline.")
    shows = [show["id"] for event in world.events() for show in event["shows"]]
    board = marts.rows("SELECT * FROM zakaz.v_qtickets_sales_dashboard")
    daily = marts.rows("SELECT * FROM zakaz.fact_qtickets_sales_daily")
    assert actual_daily(daily) == sales_daily(world.orders(), world.events())
    assert actual_dashboard(board) == dashboard(
        world.orders(), world.events(), world.now, {show: world.seats(show) for show in shows}
    )
    assert sum(row["tickets_sold_today"] for row in board) > 0
    before = newest_rows(marts)

    again = ("--offline", str(CASSETTES / "account.yaml"), "--skip-marts")
    second = command(environment, *again)

    assert second.exit_code == 0, second.output
    assert newest_rows(marts) == before
    starts = marts.rows("SELECT mode FROM zakaz.meta_job_starts")
    assert [row["mode"] for row in starts] == ["offline", "offline"]


def test_offline_data_are_never_mixed_with_others_and_can_be_dropped(
    environment: dict[str, str], marts: Marts, empty_server: LocalServer
) -> None:
    live = {**environment, "QTICKETS_TOKEN": "a-token", "QTICKETS_BASE_URL": "http://127.0.0.1:9"}
    assert command(live, "--offline", "--skip-marts").exit_code == 0

    for others in (environment, live):
        refused = command(others)
        assert refused.exit_code == 2
        assert "hold offline data" in refused.stderr and "qtickets.py drop-demo" in refused.stderr
    dropped = command(environment, "drop-demo")

    assert dropped.exit_code == 0, dropped.output
    left = query(empty_server, "loader", "SHOW DATABASES")
    assert not {f"{DATABASE}_raw", DATABASE} & {row["name"] for row in left}


def test_an_offline_dry_run_counts_the_recorded_account(
    environment: dict[str, str], world: World
) -> None:
    result = command(environment, "--offline", "--dry-run")

    assert result.exit_code == 0, result.output
    paid = [order for order in world.orders() if order["payed_at"]]
    counted = re.search(r"3 new or changed events with 6 shows, (\d+) orders", result.stdout)
    # Orders of the last two hours are counted twice: as new, and as changed.
    assert counted and len(paid) <= int(counted[1]) <= len(paid) + 2
    assert "no ClickHouse writes" in result.stdout


BROKEN = {
    "missing": (None, "No such file"),
    "no yaml": ("a: [", "not a cassette"),
    "no recording": ("- 1\n- 2\n", "not a cassette"),
    "no answers": ("interactions: []\n", "not a cassette"),
    "a recorded failure": ((CASSETTES / "403.yaml").read_text(), "not a cassette"),
    "a part of an account": ((CASSETTES / "orders.yaml").read_text(), "no complete account"),
    "cut short": ((CASSETTES / "account.yaml").read_text()[:50_000], "not a cassette"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_an_unusable_cassette_is_reported_in_one_line(
    name: str, environment: dict[str, str], tmp_path: Path
) -> None:
    text, words = BROKEN[name]
    cassette = tmp_path / "recording.yaml"
    if text is not None:
        cassette.write_text(text)

    result = command(environment, "--offline", str(cassette))

    (line,) = [line for line in result.stderr.splitlines() if line.strip()]
    assert result.exit_code == 2
    assert line.startswith("Failed: --offline ") and words in line


def test_a_recording_without_the_option_is_refused(environment: dict[str, str]) -> None:
    result = command(environment, "some.yaml")

    assert result.exit_code == 2
    assert "No such command 'some.yaml'" in result.stderr
