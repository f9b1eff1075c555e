"""Tickets of the Partners API, a separate API with a separate key."""

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipelines.qtickets import app
from sandbox import Server, World, serve

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")


@pytest.fixture(scope="module")
def world() -> World:
    return World(orders=40, seed=7, start=NOW - timedelta(days=9), end=NOW, now=NOW)


@pytest.fixture(scope="module")
def service(world: World) -> Iterator[Server]:
    with serve(world, token="token-7") as server:
        yield server


def dry_run(service: Server, home: Path, tickets: list[int], token: str) -> Result:
    """Make a dry run before any load. It needs no ClickHouse."""
    variables = {
        "QTICKETS_TOKEN": "token-7",
        "QTICKETS_BASE_URL": service.url,
        "QTICKETS_HOME": str(home),
        "QTICKETS_INITIAL_BACKFILL_HOURS": "all",
        "QTICKETS_RETRY_SECONDS": "1",
        "QTICKETS_SKIP_PARTNER_TICKETS": "false",
        "QTICKETS_PARTNERS_BASE_URL": service.partners_url,
        "QTICKETS_PARTNERS_TOKEN": token,
        "QTICKETS_PARTNERS_FIND_REQUESTS": f'[{{"id": {tickets}}}]',
    }
    return CliRunner().invoke(app, ["run", "--dry-run"], env=variables)


@pytest.fixture
def tickets(world: World) -> list[int]:
    """Return three tickets that were sold."""
    sold = [
        ticket["id"] for order in world.orders() if order["payed"] for ticket in order["baskets"]
    ]
    return sold[:3]


def test_a_dry_run_counts_the_tickets(service: Server, tmp_path: Path, tickets: list[int]) -> None:
    result = dry_run(service, tmp_path / "home", tickets, token="token-7")

    assert result.exit_code == 0, result.output
    assert ", 3 partner_tickets" in result.stdout
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(("token", "exit_code"), [("", 2), ("  ", 3)], ids=["empty", "blank"])
def test_a_missing_key_is_named_and_the_token_is_not_blamed(
    service: Server, tmp_path: Path, tickets: list[int], token: str, exit_code: int
) -> None:
    result = dry_run(service, tmp_path / "home", tickets, token)

    assert result.exit_code == exit_code
    assert "QTICKETS_PARTNERS_TOKEN" in result.stderr
    assert "QTICKETS_TOKEN" not in result.stderr


def test_with_a_refused_key_the_tickets_are_skipped(
    service: Server, tmp_path: Path, tickets: list[int]
) -> None:
    result = dry_run(service, tmp_path / "home", tickets, token="another-key")

    assert result.exit_code == 0, result.output
    assert "orders with" in result.stdout
    assert "partner_tickets" not in result.stdout
