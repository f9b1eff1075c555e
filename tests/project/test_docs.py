"""The documents are correct: links, variables, commands, exit codes, alerts and SQL."""

import re
from collections.abc import Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from local_clickhouse import LocalServer
from pipelines.configuration.environment import Settings
from pipelines.errors import ExitCode
from pipelines.warehouse.job_log import create_job_tables
from tests.support.marts_world import MartsWorld, marts_world, ticket
from tests.support.paths import PROJECT
from tests.support.runs import DASHBOARD_ONLY

HIDDEN = {".git", ".venv", ".venv-check", ".pytest_cache", "node_modules", ".qtickets"}
DOCUMENTS = sorted(
    path for path in PROJECT.rglob("*.md") if not HIDDEN & set(path.relative_to(PROJECT).parts)
)
RUNBOOK = (PROJECT / "docs" / "runbook.md").read_text()

# These are set by options of `run` and by tests.
NOT_FOR_PEOPLE = {"QTICKETS_OFFLINE", "QTICKETS_RESOURCES", "QTICKETS_CHANGED_SINCE", "REPORT_NOW"}
VARIABLES = {name.upper() for name in Settings.model_fields} - NOT_FOR_PEOPLE


def without_code(text: str) -> str:
    return re.sub(r"```.*?```|`[^`\n]*`", "", text, flags=re.S)


def anchors(path: Path) -> set[str]:
    """Return the anchors that GitHub generates for the headings of a document."""
    headings = re.findall(
        r"^#+ (.*)$", re.sub(r"```.*?```", "", path.read_text(), flags=re.S), re.M
    )
    return {re.sub(r"[^\w\- ]", "", text.lower()).strip().replace(" ", "-") for text in headings}


def links(path: Path) -> list[str]:
    return re.findall(r"\]\(([^)\s]+)\)", without_code(path.read_text()))


@pytest.mark.parametrize("path", DOCUMENTS, ids=[str(p.relative_to(PROJECT)) for p in DOCUMENTS])
def test_every_link_of_a_document_leads_somewhere(path: Path) -> None:
    broken = []
    for link in links(path):
        target, _, anchor = link.partition("#")
        if re.match(r"\w+:", target):
            continue
        file = (path.parent / target) if target else path
        if not file.exists() or (anchor and anchor not in anchors(file)):
            broken.append(link)
    assert broken == []


def test_the_documents_have_links() -> None:
    assert len(DOCUMENTS) > 10
    assert sum(len(links(path)) for path in DOCUMENTS) > 50


def test_the_configuration_lists_every_variable_and_no_other() -> None:
    text = (PROJECT / "docs" / "configuration.md").read_text()
    rows = re.findall(r"^\| `([A-Z_]+)` \|", text, re.M)

    assert len(rows) == len(set(rows))
    assert set(rows) == {name.upper() for name in Settings.model_fields}


def test_the_example_of_a_configuration_has_variables_that_exist() -> None:
    text = (PROJECT / ".env.example").read_text()
    named = set(re.findall(r"^#?\s*([A-Z][A-Z_]+)=", text, re.M))

    assert "QTICKETS_TOKEN" in named
    assert named <= VARIABLES


@pytest.mark.parametrize("path", DOCUMENTS, ids=[str(p.relative_to(PROJECT)) for p in DOCUMENTS])
def test_no_document_names_a_variable_that_does_not_exist(path: Path) -> None:
    named = set(re.findall(r"\b((?:QTICKETS|CLICKHOUSE)_[A-Z_]*[A-Z])\b", path.read_text()))
    known = VARIABLES | NOT_FOR_PEOPLE | {f"{name}_FILE" for name in VARIABLES}

    assert named - known == set()


def test_no_document_runs_a_module_that_does_not_exist() -> None:
    packages = {folder.parent.name for folder in PROJECT.glob("*/__init__.py")}
    # The changelog also names commands of former versions.
    texts = [path.read_text() for path in DOCUMENTS if path.name != "CHANGELOG.md"]
    found = {module for text in texts for module in re.findall(r"python -m ([\w.]*\w)", text)}
    ours = {module for module in found if module.partition(".")[0] in packages}

    assert ours >= {"local_clickhouse", "sandbox"}
    for module in ours:
        path = PROJECT / module.replace(".", "/")
        assert (path / "__main__.py").exists() or path.with_suffix(".py").exists(), module


# The runbook --------------------------------------------------------------------------------------


@pytest.mark.parametrize("code", list(ExitCode), ids=lambda code: code.name)
def test_the_runbook_has_a_chapter_for_each_exit_code(code: ExitCode) -> None:
    assert re.search(rf"^### {int(code)}: ", RUNBOOK, re.M)


def test_the_runbook_explains_each_alert() -> None:
    operations = PROJECT / "pipelines" / "operations"
    alerts = (operations / "incidents.py").read_text()
    checks = [operations / "check.py", *(operations / "checks").glob("*.py")]
    pattern = r'(?:Check|guarded|_disk)\(\s*"(\w+)"'
    names = {name for path in checks for name in re.findall(pattern, path.read_text())}

    assert {"service", "clickhouse", "last_run", "marts", "home_disk"} <= names
    for name in names:
        assert f"| *check {name} failed* |" in RUNBOOK
    for title in ("a run failed", "the data are stale", "recovered"):
        assert f'"{title}"' in alerts
        assert f"| *{title}* |" in RUNBOOK


@pytest.fixture(scope="module")
def world(home: Path, server: LocalServer) -> Iterator[MartsWorld]:
    """A world with sold, refunded and changed tickets of yesterday and today."""
    now = datetime.now(timezone.utc)
    with marts_world(home) as world:
        world.fetched_at = f"{now - timedelta(hours=3):%Y-%m-%d %H:%M:%S}"
        yesterday = f"{now - timedelta(days=1):%Y-%m-%d %H:%M:%S}"
        world.insert("events", {"id": 1, "name": "Премьера", "city_name": "Омск"})
        world.order(1, yesterday, ticket("500"), ticket("700"))
        world.order(2, yesterday, ticket("900", refunded_at=f"{now:%Y-%m-%d %H:%M:%S}"))
        world.order(3, f"{now:%Y-%m-%d %H:%M:%S}", ticket("300"))
        world.fetched_at = f"{now:%Y-%m-%d %H:%M:%S}"
        # The order lost its second ticket: the service no longer sends it.
        world.order(1, yesterday, ticket("500"))
        create_job_tables(world.warehouse)
        world.build(*DASHBOARD_ONLY, now=f"{now:%Y-%m-%d %H:%M:%S}")
        yield world


def runbook_sql() -> list[str]:
    return re.findall(r"```sql\n(.*?)```", RUNBOOK, re.S)


def rows(world: MartsWorld, sql: str, **parameters: Any) -> list[dict[str, Any]]:
    with world.warehouse.connect(world.warehouse.transformer) as client:
        result = client.query(sql, parameters=parameters)
    return [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]


def test_the_runbooks_sql_traces_a_number_to_its_raw_rows(world: MartsWorld) -> None:
    last_runs, _, left_out, dashboard, days, tickets, as_read, versions = runbook_sql()

    assert rows(world, last_runs) == rows(world, left_out) == []
    (shown,) = rows(world, dashboard, event_id="1")
    assert shown["revenue_14d"] == Decimal(800)
    by_day = rows(world, days, event_id="1")
    assert sum(day["revenue"] for day in by_day) == shown["revenue_14d"]
    for day in by_day:
        of_day = rows(world, tickets, event_id="1", sales_date=day["sales_date"])
        sold = [row for row in of_day if row["ticket_state"] == "sold"]
        assert sum(row["amount"] for row in sold) == day["revenue"]
        for order in {row["order_id"] for row in sold}:
            read = rows(world, as_read, order_id=order)
            assert sum(row["price"] * row["quantity"] for row in read) == sum(
                row["amount"] for row in of_day if row["order_id"] == order
            )
    assert len(rows(world, as_read, order_id=1)) == 1, "the lost ticket is not shown"
    assert len(rows(world, versions, order_id=1)) in (1, 2), (
        "a merge may have removed the older version"
    )


def test_the_runbooks_sql_counts_the_rows_that_fail_a_data_test(world: MartsWorld) -> None:
    _, failed, *_ = runbook_sql()
    data_tests = ("test", "--select", "every_ticket_arrived_int_qtickets_tickets_")
    assert world.dbt(*data_tests).success
    assert rows(world, failed) == []

    # An order with two tickets, one of which was not loaded.
    world.order(4, "2026-03-30 10:00:00", ticket("100"), baskets_count=2)

    assert not world.dbt(*data_tests).success
    assert rows(world, failed) == [{"failed_test": data_tests[-1], "rows": 1}]
