"""Use in other projects: the dlt source as a copied folder, the dbt project as a package."""

import json
import re
import shutil
import sys
from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import dlt
import pytest

from local_clickhouse import LocalServer
from pipelines.configuration.environment import Settings
from qtickets_source import QTicketsConfiguration, qtickets_source, settings
from qtickets_source.rows import schema as tables
from tests.support.marts_world import MartsWorld, event, marts_world, show, ticket
from tests.support.paths import PROJECT
from tests.support.source_example import SOURCE_README, call, load_the_example


def dbt(folder: Path, *commands: list[str]) -> str:
    """Run dbt commands in another folder, in one process, because importing dbt is slow.

    Returns:
        What dbt printed.
    """
    script = """
import json, sys
from dbt.cli.main import dbtRunner
for command in json.loads(sys.argv[1]):
    assert dbtRunner().invoke(command).success, command
"""
    return call(folder, sys.executable, "-c", script, json.dumps(commands))


@pytest.mark.slow
def test_the_source_copied_into_another_folder_loads_into_files_as_its_readme_says(
    tmp_path: Path,
) -> None:
    shutil.copytree(
        PROJECT / "qtickets_source",
        tmp_path / "qtickets_source",
        ignore=shutil.ignore_patterns("__pycache__"),
    )
    load_the_example(tmp_path, sys.executable)


def resources_of_the_readme() -> Iterator[dict[str, str]]:
    """Yield the rows of the table of resources in the README, as dicts by its header."""
    lines = re.findall(r"^\|(.*)\|$", SOURCE_README, re.M)
    header, _, *rows = [[cell.strip() for cell in line.split("|")] for line in lines]
    for row in rows:
        yield dict(zip(header, row, strict=True))


def test_the_table_of_resources_is_what_the_source_has(tmp_path: Path) -> None:
    dlt.pipeline("only_looked_at", pipelines_dir=str(tmp_path))
    source = qtickets_source(
        QTicketsConfiguration(
            token="token", pii_salt="a salt that is not used", base_url="http://127.0.0.1:9"
        )
    )
    rows = {row["resource"].strip("`"): row for row in resources_of_the_readme()}

    assert list(rows) == [
        name for name in source.resources if name in rows or not name.endswith("_pages")
    ]
    raw = {table.name: table for table in tables.ALL_TABLES}
    for name, row in rows.items():
        assert row["switch"].split(";")[0] == (
            "on" if source.resources[name].selected else "off"
        ), name
        into = re.search(r"append to `(\w+)`", row["disposition"])
        table = raw[into[1] if into else name]
        assert tuple(re.findall(r"`(\w+)`", row["key"])) == table.key, name
        assert row["disposition"].startswith("append")
        for variable in re.findall(r"QTICKETS_\w+", row["switch"]):
            assert variable.lower() in Settings.model_fields
    paths = {value for name, value in vars(settings).items() if name.endswith("_PATH")}
    endpoints = {row["endpoint"].strip("`").removeprefix("GET /") for row in rows.values()}
    assert endpoints == paths


@pytest.fixture(scope="module")
def world(server: LocalServer, home: Path) -> Iterator[MartsWorld]:
    with marts_world(home) as world:
        world.insert("events", event(1))
        world.insert("shows", show(11))
        # 23:30 in Moscow is the next day in Yekaterinburg, the zone of the other project.
        world.order(1, "2026-03-30 20:30:00", ticket("500", quantity=2))
        world.order(2, "2026-03-30 10:00:00", ticket("300"))
        yield world


def test_another_dbt_project_builds_on_this_one_as_a_package(
    world: MartsWorld, tmp_path: Path
) -> None:
    login = world.warehouse.transformer
    written: dict[str, Any] = {
        "dbt_project.yml": """
            name: theirs
            profile: theirs
            flags:
              send_anonymous_usage_stats: false
              require_ref_prefers_node_package_to_root: true
            vars:
              report_tz: Asia/Yekaterinburg
              qtickets_raw_database: zakaz_raw
              plan_sales_project: theirs
            seeds:
              qtickets:
                plan_sales: {+enabled: false}
        """,
        "packages.yml": f"packages: [{{local: '{PROJECT / 'dbt_project'}'}}]",
        "profiles.yml": f"""
            theirs:
              target: dev
              outputs:
                dev: {{type: clickhouse, host: '{world.warehouse.host}',
                  port: {world.warehouse.port}, user: '{login.user}',
                  password: '{login.password}', schema: zakaz, threads: 2}}
        """,
        "seeds/plan_sales.csv": """
            sales_date,event_id,city,plan_tickets,plan_revenue
            2026-03-31,1,,10,5000
        """,
        "models/their_days.sql": """
            select
                sales_date,
                sum(tickets_sold) as tickets,
                sum(revenue) as revenue,
                any({{ qtickets.report_today() }}) as today
            from {{ ref('qtickets', 'fact_qtickets_sales_daily') }}
            group by sales_date
        """,
        "models/their_plan.sql": """
            select sales_date, plan_tickets, fact_tickets
            from {{ ref('v_plan_vs_fact') }} where plan_tickets > 0
        """,
    }
    for name, text in written.items():
        path = tmp_path / name
        path.parent.mkdir(exist_ok=True)
        margin = re.match(r"\n?( *)", text)
        indent = margin[1] if margin else ""
        path.write_text("\n".join(line.removeprefix(indent) for line in text.split("\n")).strip())
    as_of = '{report_now: "2026-03-31 12:00:00"}'

    printed = dbt(
        tmp_path,
        ["deps"],
        ["build", "--exclude-resource-type", "unit_test", "--vars", as_of],
    )

    days = world.rows("SELECT * FROM zakaz.their_days ORDER BY sales_date")
    assert [(row["sales_date"], row["tickets"], row["revenue"]) for row in days] == [
        (date(2026, 3, 30), 1, Decimal(300)),
        (date(2026, 3, 31), 2, Decimal(1000)),
    ]
    assert days[0]["today"] == date(2026, 3, 31)
    assert world.rows("SELECT * FROM zakaz.their_plan") == [
        {"sales_date": date(2026, 3, 31), "plan_tickets": 10, "fact_tickets": 2}
    ]
    assert "WARN" not in printed.replace("WARN=0", "")
    assert not list((PROJECT / "dbt_project").glob("target")), "dbt wrote into this project"
