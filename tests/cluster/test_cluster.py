"""A real replicated cluster: the same rows everywhere, also when a replica dies."""

import json
import threading
import time
from datetime import timedelta
from uuid import uuid4

import pytest

from pipelines.transform import build_plan
from tests.cluster.conftest import BACKUPS, DATABASE, ClusterAccount

pytestmark = pytest.mark.xdist_group("cluster")


def test_every_replica_has_the_same_rows_in_replicated_tables(account: ClusterAccount) -> None:
    contents = account.wait_until_equal()

    assert contents[f"{DATABASE}.fact_qtickets_tickets"][0] > 500
    engines = account.replicas[0].query(
        "SELECT DISTINCT engine FROM system.tables"
        f" WHERE database IN ('{DATABASE}', '{DATABASE}_raw') AND engine LIKE '%MergeTree'"
        " AND name != 'dlt_sentinel_table'"
    )
    assert {engine for (engine,) in engines} == {
        "ReplicatedMergeTree",
        "ReplicatedReplacingMergeTree",
    }


def test_the_other_replica_continues_and_is_read_while_tables_are_exchanged(
    account: ClusterAccount,
) -> None:
    sums = f"SELECT sum(revenue), count() FROM {DATABASE}.fact_qtickets_sales_daily"
    expected = account.replicas[0].query(sums)
    read, is_over = [], threading.Event()

    def read_on() -> None:
        while not is_over.is_set():
            read.append(account.replicas[0].query(sums))

    reader = threading.Thread(target=read_on)
    reader.start()
    result = account.command("run", "--full-refresh", replica=2)
    is_over.set()
    reader.join()

    assert result.exit_code == 0, result.output
    assert len(read) > 10
    assert all(found == expected for found in read)
    account.wait_until_equal()


@pytest.mark.usefixtures("control")
def test_a_run_goes_on_without_a_dead_replica_which_then_catches_up(
    account: ClusterAccount,
) -> None:
    _, second = account.replicas
    account.world.sell(tickets=2, price=500)
    second.kill()
    try:
        began = time.monotonic()
        health = json.loads(account.command("check", "--format", "json").output)
        seconds = time.monotonic() - began
        result = account.command()
    finally:
        second.start()

    (found,) = [check for check in health["checks"] if check["name"] == "cluster"]
    assert found["status"] == "error"
    assert found["missing"] and found["missing"][0] in found["message"]
    assert seconds < 20
    assert result.exit_code == 0, result.output
    assert "does not answer. Runs go on without it" in " ".join(result.output.split())
    account.wait_until_equal()
    health = json.loads(account.command("check", "--format", "json").output)
    assert {"name": "cluster", "status": "ok"}.items() <= next(
        check.items() for check in health["checks"] if check["name"] == "cluster"
    )


@pytest.mark.usefixtures("control")
@pytest.mark.parametrize("after_seconds", [4, 7])
def test_a_replica_that_is_killed_during_a_build_leaves_the_next_run_right(
    account: ClusterAccount, after_seconds: float
) -> None:
    _, second = account.replicas
    before = account.wait_until_equal()
    killer = threading.Timer(after_seconds, second.kill)
    killer.start()
    account.command("run", "--full-refresh")
    killer.join()
    second.start()

    result = account.command("run", "--full-refresh")

    assert result.exit_code == 0, result.output
    after = account.wait_until_equal()
    facts = [name for name in before if ".fact_" in name or ".dim_buyers" in name]
    assert {name: after[name] for name in facts} == {name: before[name] for name in facts}
    assert not [name for name in after if "__dbt" in name]


def test_a_partial_rebuild_gives_the_rows_of_a_full_one_on_every_replica(
    account: ClusterAccount, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(build_plan, "PARTIAL_BUILD_FROM_TICKETS", 1)
    monkeypatch.setattr(build_plan, "OVERLAP", timedelta())
    assert account.command("run", "--full-refresh").exit_code == 0
    account.world.sell(tickets=3, price=700)
    account.world.refund(
        next(o["id"] for o in account.world.orders() if o["payed"] and not o["deleted_at"])
    )

    result = account.command("run")
    partial = account.wait_until_equal()
    changed = partial[f"{DATABASE}.int_qtickets_changed"]
    assert account.command("run", "--full-refresh").exit_code == 0
    full = account.wait_until_equal()

    assert result.exit_code == 0, result.output
    assert changed[0] > 0, "everything was rebuilt"
    facts = [name for name in full if ".fact_" in name or ".dim_buyers" in name]
    assert len(facts) > 10
    assert {name: partial[name] for name in facts} == {name: full[name] for name in facts}


@pytest.mark.skipif(not BACKUPS, reason="QTICKETS_TEST_CLUSTER_BACKUPS is not set")
def test_a_restore_gives_every_replica_the_rows_of_the_backup(account: ClusterAccount) -> None:
    name = f"of-the-tests-{uuid4()}"
    assert account.command("run").exit_code == 0
    before = account.wait_until_equal()
    backup = account.command("backup", name, backups=BACKUPS)
    account.world.sell(tickets=2, price=900)
    assert account.command("run").exit_code == 0
    later = account.wait_until_equal()

    result = account.command("restore", name, "--replace", replica=2, backups=BACKUPS)
    restored = account.wait_until_equal()
    assert account.command("run").exit_code == 0

    assert backup.exit_code == 0, backup.output
    assert result.exit_code == 0, result.output
    assert later != before
    kept = [table for table in before if "_raw." in table or ".fact_qtickets_sales" in table]
    assert {table: restored[table] for table in kept} == {table: before[table] for table in kept}
    continued = account.wait_until_equal()
    fact = f"{DATABASE}.fact_qtickets_sales_daily"
    assert continued[fact] == later[fact], "the next run loads the changes since the backup"


def test_a_backup_to_the_disk_of_each_server_is_refused(account: ClusterAccount) -> None:
    result = account.command("backup")

    assert result.exit_code == 2
    assert "every replica reaches" in " ".join(result.output.split())
