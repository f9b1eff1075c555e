"""A real replicated cluster: the same rows everywhere, also when a replica dies."""

import json
import threading
import time

import pytest

from tests.cluster.conftest import DATABASE, ClusterAccount

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


def test_a_backup_to_the_disk_of_each_server_is_refused(account: ClusterAccount) -> None:
    result = account.command("backup")

    assert result.exit_code == 2
    assert "every replica reaches" in " ".join(result.output.split())
