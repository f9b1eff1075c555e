"""The options `--resources`, `--full-refresh` and `--quiet`, and invalid options."""

from collections.abc import Callable
from datetime import datetime, timedelta
from typing import Any
from urllib.parse import urlsplit

import pytest
from rich.console import Console

from pipelines.configuration.environment import Settings
from pipelines.run import run
from sandbox import Fault, World, serve
from tests.support.account import Account
from tests.support.clickhouse import Marts


def lose_old_orders(account: Account) -> int:
    """Delete raw orders that no ordinary run reads again; return their number."""
    old = "payed AND payed_at < (SELECT max(payed_at) FROM zakaz_raw.orders) - INTERVAL 8 DAY"
    ids = [row["id"] for row in account.raw(f"SELECT id FROM zakaz_raw.orders FINAL WHERE {old}")]
    listed = ", ".join(map(str, ids))
    account.raw(
        f"ALTER TABLE zakaz_raw.orders DELETE WHERE id IN ({listed}) SETTINGS mutations_sync = 2"
    )
    return len(ids)


def versions(account: Account) -> dict[str, int]:
    """Return the number of rows of each raw table, without old versions."""
    return {
        table: account.raw(f"SELECT count() AS rows FROM zakaz_raw.{table} FINAL")[0]["rows"]
        for table in ("orders", "tickets", "events", "shows", "promo_codes", "discounts")
    }


def test_a_full_refresh_reads_everything_again_without_duplicates(account: Account) -> None:
    marts, rows = account.snapshot(), versions(account)
    seats = account.raw("SELECT count() AS rows FROM zakaz_raw.inventory")[0]["rows"]
    assert lose_old_orders(account) > 20

    assert account.command("--skip-marts").exit_code == 0
    assert versions(account)["orders"] < rows["orders"], "an ordinary run reads only new orders"
    result = account.command("--full-refresh")

    assert result.exit_code == 0, result.output
    assert versions(account) == rows
    assert account.snapshot() == marts
    assert account.raw("SELECT count() AS rows FROM zakaz_raw.inventory")[0]["rows"] >= seats


def test_a_full_refresh_that_fails_half_way_is_finished_by_the_next_run(account: Account) -> None:
    rows = versions(account)
    lost = lose_old_orders(account)
    account.service.faults.append(Fault("/orders", kind="status", status=502))
    try:
        assert account.command("--full-refresh", "--skip-marts").exit_code == 3
    finally:
        account.service.faults.clear()
    assert versions(account)["orders"] == rows["orders"] - lost

    result = account.command("--skip-marts")

    assert result.exit_code == 0, result.output
    assert versions(account) == rows


def test_resources_loads_these_datasets_and_asks_for_no_others(account: Account) -> None:
    asked = len(account.service.requests)

    result = account.command("--resources", "promo_codes, price_shades", "--skip-marts")

    assert result.exit_code == 0, result.output
    lists = {
        urlsplit(path).path.rpartition("/")[2]
        for _, path, *_ in list(account.service.requests)[asked:]
    }
    assert lists == {"promo-codes", "color-themes"}
    metrics = account.rows(
        "SELECT JSONExtract(metrics, 'datasets', 'Array(String)') AS datasets"
        " FROM zakaz.meta_job_runs ORDER BY started_at DESC LIMIT 1"
    )
    assert metrics == [{"datasets": ["price_shades", "promo_codes"]}]


def test_a_first_run_of_some_datasets_leaves_the_orders_to_the_next(
    settings_for: Callable[..., Settings], marts: Marts
) -> None:
    now = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
    world = World(orders=60, seed=2, start=now - timedelta(days=9), end=now, now=now)
    with serve(world) as server:
        only_events: dict[str, Any] = {"qtickets_resources": ("events",)}
        run(settings_for(server.url, **only_events), Console(quiet=True), skip_marts=True)
        assert marts.raw("SELECT count() AS rows FROM zakaz_raw.orders") == [{"rows": 0}]
        assert marts.raw("SELECT count() AS rows FROM zakaz_raw.events")[0]["rows"] > 0

        run(settings_for(server.url), Console(quiet=True), skip_marts=True)

    paid = sum(order["payed"] for order in world.orders())
    rows = marts.raw("SELECT count() AS rows FROM zakaz_raw.orders FINAL WHERE payed")
    assert rows == [{"rows": paid}]


@pytest.mark.parametrize(
    ("flags", "words"),
    [
        (("--resources", "orders,unicorns"), "not unicorns"),
        (("--resources", " , "), "at least one"),
        (("--resources", "partner_tickets"), "QTICKETS_PARTNERS_BASE_URL"),
        (("run", "--resources", "events", "--since", "2026-01-01"), "--since"),
        (("backfill", "--since", "2026-01-01", "--resources", "events"), "--resources"),
        (("backfill", "--until", "2026-01-01"), "--since"),
        (("backfill", "--since", "2026-01-02", "--until", "2025-12-31"), "is before"),
        (("check", "--alert", "--test-alert"), "one at a time"),
        (("backup", "name", "--list"), "--list"),
        (("--resources", "events", "--full-refresh"), "--full-refresh"),
        (("--full-refresh", "--dry-run"), "one at a time"),
        (("--quiet", "--verbose"), "one at a time"),
    ],
)
def test_invalid_flags_are_refused(account: Account, flags: tuple[str, ...], words: str) -> None:
    asked = len(account.service.requests)

    result = account.command(*flags)

    assert result.exit_code == 2
    assert words in result.stderr
    assert len(account.service.requests) == asked


def test_quiet_prints_nothing_unless_something_fails(account: Account) -> None:
    good = account.command("--quiet", "--skip-marts")
    check = account.command("--quiet", "check")
    bad = account.command("--quiet", QTICKETS_TOKEN="wrong")
    bad_check = account.command("--quiet", "check", QTICKETS_TOKEN="wrong")
    assert account.command("--skip-marts").exit_code == 0

    assert (good.exit_code, good.output) == (0, "")
    assert (check.exit_code, check.output) == (0, "")
    assert (bad.exit_code, bad.stdout) == (3, "")
    assert bad.stderr.startswith("Failed: ")
    assert (bad_check.exit_code, bad_check.output) == (1, "")
