"""What the dbt project promises of every model: a grain, descriptions, and who may read it."""

import re
from collections.abc import Iterator
from fnmatch import fnmatch
from pathlib import Path
from typing import Any

import pytest
import yaml

from local_clickhouse import LocalServer
from local_clickhouse.grants import PUBLIC
from pipelines.configuration.environment import DBT_PROJECT
from qtickets_source.rows.schema import ALL_TABLES
from tests.support.marts_world import MartsWorld, event, marts_world, seats, show, ticket
from tests.support.paths import PROJECT

MODELS: dict[str, dict[str, Any]] = {
    model["name"]: model | {"folder": path.parent.name}
    for path in sorted((DBT_PROJECT / "models").rglob("*.yml"))
    for model in yaml.safe_load(path.read_text()).get("models", ())
}


@pytest.fixture(scope="module")
def world(home: Path, server: LocalServer) -> Iterator[MartsWorld]:
    with marts_world(home) as world:
        world.insert("events", event(1))
        world.insert("shows", show(11))
        world.insert("inventory", seats(11, 100, 40))
        world.order(1, "2026-03-30 10:00:00", ticket("500"), buyer_hash="a")
        world.build_models()
        yield world


@pytest.mark.parametrize("name", MODELS)
def test_every_model_stands_beside_its_sql_and_has_a_tested_grain(name: str) -> None:
    model = MODELS[name]

    sql = (DBT_PROJECT / "models" / model["folder"] / f"{name}.sql").read_text()
    tested = model
    if "materialized='published'" in sql:
        # It has the parts of the model that it selects from.
        tested = MODELS[re.findall(r"ref\('(\w+)'\)", sql)[0]]
    assert any("unique_grain" in test for test in tested.get("data_tests", ())), name
    assert model["description"]
    assert all(column["description"].strip() for column in model["columns"])


def test_the_reader_may_read_exactly_the_public_models() -> None:
    readable = {name for name in MODELS if any(fnmatch(name, pattern) for pattern in PUBLIC)}

    assert readable == {
        name for name, model in MODELS.items() if model["folder"] in ("marts", "dashboard")
    }


def test_bi_tools_see_the_descriptions_of_tables_and_columns(world: MartsWorld) -> None:
    for name, model in MODELS.items():
        comments = {
            row["name"]: row["comment"]
            for row in world.rows(
                "SELECT name, comment FROM system.columns"
                f" WHERE database = 'zakaz' AND table = '{name}'"
            )
        }
        described = {column["name"] for column in model["columns"]}
        assert described <= set(comments), name
        assert all(comments[column] for column in described), name
    table = world.row(
        "SELECT comment FROM system.tables"
        " WHERE database = 'zakaz' AND name = 'fact_qtickets_sales_daily'"
    )
    assert table["comment"] == MODELS["fact_qtickets_sales_daily"]["description"]


def test_the_slow_tests_of_grains_succeed(world: MartsWorld) -> None:
    run = world.dbt("test", "--selector", "slow_tests")

    assert run.success, run
    assert len(run.statuses) == 4


def test_every_column_of_a_raw_table_is_described() -> None:
    path = DBT_PROJECT / "models" / "staging" / "_sources.yml"
    (source,) = yaml.safe_load(path.read_text())["sources"]
    described = {
        table["name"]: [column["name"] for column in table["columns"]]
        for table in source["tables"]
        if table["name"] != "_dlt_loads"
    }

    assert described == {t.name: [column.name for column in t.columns] for t in ALL_TABLES}


def test_no_mart_reads_a_source_and_no_staging_view_another() -> None:
    for path in (DBT_PROJECT / "models").rglob("*.sql"):
        sql = path.read_text()
        if path.parent.name in ("marts", "dashboard"):
            assert "source(" not in sql, path.name
        if path.parent.name == "staging":
            assert "ref('stg_" not in sql, path.name


def test_tables_compared_with_the_last_build_are_rebuilt_after_the_comparison() -> None:
    """dbt runs two models at once: one that is not ordered after another may run before it."""
    sql = {path.stem: path.read_text() for path in (DBT_PROJECT / "models").rglob("*.sql")}
    compared = set(re.findall(r"'identifier': '(\w+)'", sql["int_qtickets_changed"]))

    # is_changed() reads int_qtickets_changed.
    after = {name for name in sql if re.search(r"is_changed\(|'int_qtickets_changed'", sql[name])}
    assert compared
    assert compared <= after


def test_the_exposure_of_the_page_names_the_marts_that_its_queries_read() -> None:
    text = (DBT_PROJECT / "models" / "exposures.yml").read_text()
    exposures = {each["name"]: each for each in yaml.safe_load(text)["exposures"]}
    queries = " ".join(path.read_text() for path in (PROJECT / "dashboard/sql").glob("*.sql"))
    read = {name for name in MODELS if re.search(rf"\b{name}\b", queries)}

    assert exposures["html_page"]["depends_on"] == [f"ref('{name}')" for name in sorted(read)]
    for each in exposures.values():
        assert each["url"].startswith("http")
        assert each["owner"]["name"]
