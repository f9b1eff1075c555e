"""`docs` writes one page with every model and the lineage from raw tables to dashboards."""

import json
from pathlib import Path
from typing import Any

import pytest
from typer.testing import CliRunner

from pipelines.qtickets import app
from tests.support.account import Account

ORDERS = "source.qtickets.qtickets_raw.orders"
DASHBOARD = "model.qtickets.v_qtickets_sales_dashboard"


@pytest.fixture(scope="module")
def page(account: Account) -> str:
    """Return the page that `docs` writes for an account with marts."""
    result = CliRunner().invoke(app, ["docs", "--no-open"], env=account.environment)
    assert result.exit_code == 0, result.output
    path = Path(account.environment["QTICKETS_HOME"]) / "docs" / "index.html"
    assert str(path) in result.output
    return path.read_text()


def embedded(page: str, artifact: str) -> dict[str, Any]:
    """Return the manifest or the catalog that is embedded in the page."""
    at = page.index(f'"https://schemas.getdbt.com/dbt/{artifact}/')
    start = page.rindex('{"metadata"', 0, at)
    found: dict[str, Any] = json.JSONDecoder().raw_decode(page, start)[0]
    return found


def downstream(manifest: dict[str, Any], node: str) -> set[str]:
    found, waiting = set(), [node]
    while waiting:
        for child in manifest["child_map"][waiting.pop()]:
            if child not in found:
                found.add(child)
                waiting.append(child)
    return found


def test_the_lineage_leads_from_orders_to_the_dashboard_and_its_exposures(page: str) -> None:
    manifest = embedded(page, "manifest")

    reached = downstream(manifest, ORDERS)

    assert DASHBOARD in reached
    assert set(manifest["exposures"]) <= reached
    assert set(manifest["exposures"]) == {
        "exposure.qtickets.datalens_dashboard",
        "exposure.qtickets.html_page",
    }
    assert "exposure.qtickets.datalens_dashboard" in manifest["child_map"][DASHBOARD]


def test_the_page_begins_with_the_overview_of_this_project_and_has_every_column(page: str) -> None:
    manifest, catalogue = embedded(page, "manifest"), embedded(page, "catalog")

    start_pages = [
        doc["block_contents"]
        for doc in manifest["docs"].values()
        if doc["name"] == "__overview__" and doc["package_name"] == "qtickets"
    ]
    assert len(start_pages) == 1
    assert "Ticket sales, from QTickets to the dashboard" in start_pages[0]
    models = {name for name in manifest["nodes"] if name.startswith("model.")}
    assert models <= set(catalogue["nodes"])
    assert {"event_id", "revenue_today"} <= set(catalogue["nodes"][DASHBOARD]["columns"])
    assert ORDERS in catalogue["sources"]


def test_the_page_has_no_secrets(page: str, account: Account) -> None:
    secrets = [login.password for login in account.server.logins.values()]
    assert len(secrets) > 1
    assert not [secret for secret in (*secrets, "token-11") if secret in page]
