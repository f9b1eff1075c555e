"""`compact` removes data that nothing reads, and changes no number of the marts."""

from collections.abc import Iterator
from datetime import timezone
from pathlib import Path

import pytest

from pipelines.configuration.environment import Settings
from pipelines.transform.dbt_build import build_marts
from pipelines.warehouse.server import open_warehouse
from tests.support.account import Account

HISTORY = "zakaz.fact_qtickets_inventory_history"


@pytest.fixture(scope="module")
def years(account: Account) -> Iterator[Account]:
    """The account with 90 days of snapshots of seats. Some shows have none in the afternoon."""
    assert account.command("--skip-marts").exit_code == 0
    account.raw("CREATE TABLE zakaz_raw.kept AS zakaz_raw.inventory")
    account.raw("INSERT INTO zakaz_raw.kept SELECT * FROM zakaz_raw.inventory")
    account.raw(
        "INSERT INTO zakaz_raw.inventory SELECT i.* REPLACE ("
        " snapshot_at - INTERVAL 20 * n MINUTE AS snapshot_at,"
        " _fetched_at - INTERVAL 20 * n MINUTE AS _fetched_at,"
        " free_quantity + n AS free_quantity)"
        " FROM (SELECT * FROM zakaz_raw.inventory FINAL) AS i"
        " CROSS JOIN (SELECT number AS n FROM numbers(1, 6480)"
        # All snapshots around the ages at which thinning starts, else one in two hours.
        " WHERE n % 6 = 0 OR n BETWEEN 480 AND 560 OR n BETWEEN 4280 AND 4400) AS moments"
        # The seats of these shows are not read after midday: their last snapshot of a day is older.
        " WHERE NOT (i.show_id % 3 = 0 AND toHour(i.snapshot_at - INTERVAL 20 * n MINUTE) > 12)"
    )
    yield account
    account.raw("EXCHANGE TABLES zakaz_raw.inventory AND zakaz_raw.kept")
    account.raw("DROP TABLE zakaz_raw.kept SYNC")


def built(account: Account) -> list[dict[str, object]]:
    """Rebuild the history as of the world's present moment, and return its rows."""
    settings = Settings(
        **{  # type: ignore[arg-type]
            "qtickets_home": Path(account.environment["QTICKETS_HOME"]),
            "report_now": report_now(account),
        }
    )
    with open_warehouse(settings) as warehouse:
        names = "int_qtickets_show_snapshots fact_qtickets_inventory_history"
        build_marts(settings, warehouse, "--select", names)
    return account.rows(f"SELECT * FROM {HISTORY} ORDER BY ALL")


def report_now(account: Account) -> str:
    return f"{account.world.now.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}"


def test_snapshots_get_fewer_with_age_and_the_history_stays(years: Account) -> None:
    account = years
    history = built(account)
    rows = account.raw("SELECT count() AS rows FROM zakaz_raw.inventory FINAL")[0]["rows"]
    whole = {
        (row["event_id"], row["snapshot_ts"]): (row["tickets_total"], row["tickets_left"])
        for row in account.rows("SELECT * FROM zakaz.stg_qtickets_api_inventory_raw")
    }

    result = account.command("compact", REPORT_NOW=report_now(account))

    assert result.exit_code == 0, result.output
    left = account.raw("SELECT count() AS rows FROM zakaz_raw.inventory")[0]["rows"]
    assert left < rows * 0.7
    assert built(account) == history
    ages = [account.world.now - row["snapshot_ts"] for row in history]  # type: ignore[operator]
    assert max(ages).days > 80
    now = account.rows("SELECT * FROM zakaz.stg_qtickets_api_inventory_raw")
    for row in now:
        key = (row["event_id"], row["snapshot_ts"])
        assert (row["tickets_total"], row["tickets_left"]) == whole[key], (
            "a snapshot lost a part of its event"
        )
    assert len(now) < len(whole)
    again = account.command("compact", REPORT_NOW=report_now(account))
    assert again.exit_code == 0, again.output
    assert "inventory" not in again.stdout, "nothing is left to remove"


def test_old_versions_records_and_states_are_removed_and_the_next_run_continues(
    account: Account,
) -> None:
    assert account.command().exit_code == 0
    marts = account.snapshot()
    account.raw(
        "INSERT INTO zakaz_raw.orders SELECT * REPLACE (_fetched_at - INTERVAL 1 DAY"
        " AS _fetched_at, 'an older version' AS buyer_hash) FROM zakaz_raw.orders FINAL"
    )
    account.rows(
        "INSERT INTO zakaz.meta_job_starts SELECT 'qtickets_api', generateUUIDv4(),"
        " now() - INTERVAL 500 DAY, 'live'"
    )
    # Old states of 150 runs.
    account.raw(
        "INSERT INTO zakaz_raw._dlt_pipeline_state SELECT s.* REPLACE ("
        " s.version - 1000 - n AS version, s.created_at - INTERVAL 50 DAY AS created_at,"
        " toString(1500000000.5 + n) AS _dlt_load_id)"
        " FROM (SELECT * FROM zakaz_raw._dlt_pipeline_state ORDER BY version DESC LIMIT 1) AS s"
        " CROSS JOIN (SELECT number AS n FROM numbers(150)) AS runs"
    )
    account.raw(
        "INSERT INTO zakaz_raw._dlt_loads SELECT l.* REPLACE (toString(1500000000.5 + n) AS"
        " load_id, l.inserted_at - INTERVAL 50 DAY AS inserted_at)"
        " FROM (SELECT * FROM zakaz_raw._dlt_loads LIMIT 1) AS l"
        " CROSS JOIN (SELECT number AS n FROM numbers(150)) AS runs"
    )
    runs = account.rows("SELECT * FROM zakaz.meta_job_runs ORDER BY started_at")

    result = account.command("compact")

    assert result.exit_code == 0, result.output
    [orders] = account.raw(
        "SELECT count() AS rows, uniqExact(id) AS orders, countIf(buyer_hash LIKE 'an older%')"
        " AS old FROM zakaz_raw.orders"
    )
    assert orders["rows"] == orders["orders"]
    assert orders["old"] == 0
    assert account.rows("SELECT * FROM zakaz.meta_job_runs ORDER BY started_at") == runs
    old = "SELECT count() AS rows FROM zakaz.meta_job_starts WHERE started_at < now() - 86400 * 400"
    assert account.rows(old) == [{"rows": 0}]
    for table in ("_dlt_pipeline_state", "_dlt_loads"):
        [left] = account.raw(f"SELECT count() AS rows FROM zakaz_raw.{table}")
        assert 100 <= left["rows"] < 150, table
    asked = len(account.service.requests)
    assert account.command().exit_code == 0
    bodies = [body for _, _, body, _ in list(account.service.requests)[asked:]]
    assert "payed_at" in str(bodies)
    assert "1970-01-01" not in str(bodies), "the cursor was lost"
    assert account.snapshot() == marts
