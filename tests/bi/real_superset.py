"""The Superset pack in a real Superset: `make test-superset`. It is not part of the suite.

Superset is in an environment of its own, given by SUPERSET_VENV. The pack is imported, the data of
each chart is compared with that of ClickHouse, and each dashboard is opened in a browser. The
screenshots are written to docs/images.
"""

import json
import os
import socket
import subprocess
import time
from collections.abc import Iterator
from contextlib import contextmanager
from datetime import date, datetime, timezone
from pathlib import Path
from typing import Any

import httpx
import pytest
from playwright.sync_api import FloatRect, Page, Response
from pydantic import SecretStr
from rich.console import Console

from bi import superset
from bi.__main__ import WORKBOOK
from bi.definition import Chart, definition
from bi.options import Options
from local_clickhouse import LocalServer, running_server
from pipelines.configuration.environment import Settings
from pipelines.run import run
from sandbox import demo_world, serve
from tests.bi.datalens_sql import DataLensDataset
from tests.support.clickhouse import query
from tests.support.paths import PROJECT
from tools.browser import chromium

Json = dict[str, Any]

DEFINITION = definition()
DATASETS = {
    name: DataLensDataset(entry["dataset"])
    for name, entry in json.loads(WORKBOOK.read_text())["export"]["entries"]["dataset"].items()
}
IMAGES = PROJECT / "docs" / "images"
CONFIG = """
SECRET_KEY = "for this test only, and the server listens on loopback"
SQLALCHEMY_DATABASE_URI = "sqlite:///{home}/superset.db"
WTF_CSRF_ENABLED = False
TALISMAN_ENABLED = False
RATELIMIT_ENABLED = False
"""
PLAN = """INSERT INTO zakaz.plan_sales
SELECT sales_date, event_id, '', sum(tickets_sold), sum(revenue) * 1.1
FROM zakaz.fact_qtickets_sales_daily WHERE sales_date > today() - 60 GROUP BY ALL"""
FAILURES = ("Unexpected error", "An error occurred", "DB engine Error", "is required")


@pytest.fixture(scope="module")
def clickhouse(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LocalServer]:
    """The server with the marts of the demo, up to now."""
    home = tmp_path_factory.mktemp("demo")
    with running_server(home, database="zakaz") as server:
        with serve(demo_world()) as api:
            settings = Settings(
                qtickets_token=SecretStr("sandbox-token"),
                qtickets_base_url=api.url,
                qtickets_home=home,
                qtickets_initial_backfill_hours="all",
                clickhouse_host=None,
            )
            run(settings, Console())
        query(server, "transformer", PLAN)
        yield server


@pytest.fixture(scope="module")
def address(tmp_path_factory: pytest.TempPathFactory) -> Iterator[str]:
    """The address of a new Superset."""
    home = tmp_path_factory.mktemp("superset")
    config = home / "superset_config.py"
    config.write_text(CONFIG.format(home=home))
    binaries = Path(os.environ["SUPERSET_VENV"]).resolve() / "bin"
    environment = os.environ | {
        "SUPERSET_CONFIG_PATH": str(config),
        "SUPERSET_HOME": str(home),
        "FLASK_APP": "superset.app:create_app()",
        "PATH": f"{binaries}:{os.environ['PATH']}",
    }
    admin = "--username admin --firstname A --lastname B --email a@example.com --password admin"
    for arguments in ("db upgrade", f"fab create-admin {admin}", "init"):
        command = [str(binaries / "superset"), *arguments.split()]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.returncode == 0, done.stderr[-3000:]
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    command = [str(binaries / "gunicorn"), "--bind", f"127.0.0.1:{port}", "--threads", "8"]
    command += ["--timeout", "120", "superset.app:create_app()"]
    with (home / "log").open("w") as log:
        process = subprocess.Popen(command, env=environment, stdout=log, stderr=log)
    try:
        _wait_for(f"http://127.0.0.1:{port}/health", process, home / "log")
        yield f"http://127.0.0.1:{port}"
    finally:
        process.terminate()
        process.wait(timeout=30)


def _wait_for(url: str, process: "subprocess.Popen[bytes]", log: Path) -> None:
    for _ in range(240):
        assert process.poll() is None, log.read_text()[-3000:]
        try:
            if httpx.get(url).status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.5)
    raise AssertionError(log.read_text()[-3000:])


class Superset:
    """The API of Superset."""

    def __init__(self, address: str, server: LocalServer) -> None:
        self._http = httpx.Client(base_url=address, timeout=120)
        login = {"username": "admin", "password": "admin", "provider": "db"}
        token = self._http.post("/api/v1/security/login", json=login).json()["access_token"]
        self._http.headers["Authorization"] = f"Bearer {token}"
        self._reader = server.logins["reader"]
        self._options = Options(
            host=server.host, port=server.http_port, secure=False, user=self._reader.user
        )

    def load(self, *, assets: bool = False) -> None:
        """Import the pack."""
        pack = superset.pack(DEFINITION, self._options, assets=assets)
        passwords = {"databases/QTickets.yaml": self._reader.password}
        kind, name = ("assets", "bundle") if assets else ("dashboard", "formData")
        answer = self._http.post(
            f"/api/v1/{kind}/import/",
            files={name: ("superset.zip", pack, "application/zip")},
            data={"passwords": json.dumps(passwords), "overwrite": "true"},
        )
        assert answer.status_code == 200, answer.text

    def all(self, kind: str) -> list[Json]:
        """Return all objects of a kind."""
        answer = self._http.get(f"/api/v1/{kind}/", params={"q": "(page_size:100)"})
        found: list[Json] = answer.json()["result"]
        return found

    def ids(self) -> dict[str, int]:
        """Return the id of each object that the import made."""
        kinds = ("database", "dataset", "chart", "dashboard")
        return {each["uuid"]: each["id"] for kind in kinds for each in self.all(kind)}

    def data(self, chart: int, **where: str) -> list[Json]:
        """Return the rows of a chart, filtered as by selectors."""
        context = json.loads(
            self._http.get(f"/api/v1/chart/{chart}").json()["result"]["query_context"]
        )
        for name, value in where.items():
            filters = context["queries"][0]["filters"]
            filters.append({"col": name, "op": "IN", "val": [value]})
        answer = self._http.post("/api/v1/chart/data", json=context)
        assert answer.status_code == 200, answer.text
        saved = self._http.get(f"/api/v1/chart/{chart}/data/")
        assert saved.status_code == 200, saved.text
        rows: list[Json] = answer.json()["result"][0]["data"]
        return rows


@pytest.fixture(scope="module")
def pack(address: str, clickhouse: LocalServer) -> Superset:
    """Superset with the pack."""
    loaded = Superset(address, clickhouse)
    loaded.load()
    return loaded


def test_a_second_import_changes_nothing(pack: Superset) -> None:
    first = pack.ids()
    assert len(first) == 1 + len(DEFINITION.datasets) + len(DEFINITION.charts) + len(
        DEFINITION.dashboards
    )
    pack.load()
    assert pack.ids() == first
    pack.load(assets=True)
    assert pack.ids() == first


@pytest.mark.parametrize("chart", DEFINITION.charts.values(), ids=lambda chart: chart.id)
def test_a_chart_has_the_numbers_of_the_mart(
    pack: Superset, clickhouse: LocalServer, chart: Chart
) -> None:
    columns = [f"dim_{name}" for name in chart.fields if name in chart.dataset.dimensions]
    measures = [f"measure_{each.id}" for each in chart.measures]
    where = {"dim_currency": "RUB"} if "currency" in chart.dataset.dimensions else {}
    sql = DATASETS[chart.dataset.id].sql(measures, columns, where)
    (id_,) = (
        each["id"] for each in pack.all("chart") if each["slice_name"] == chart.name["ru"]
        and each["datasource_name_text"].endswith(chart.dataset.name["ru"])
    )  # fmt: skip

    found = _by_dimension(pack.data(id_, **where), columns, measures)
    expected = _by_dimension(query(clickhouse, "transformer", sql), columns, measures)

    if chart.kind == "bar":
        expected = {key: row for key, row in expected.items() if row[measures[0]] is not None}
        assert len(found) == min(len(expected), superset.BARS)
        assert set(found) <= set(expected)
    else:
        assert set(found) == set(expected)
    for key in found:
        for name, value in expected[key].items():
            if isinstance(value, str) or value is None:
                assert found[key][name] == value, (key, name)
            else:
                # The time passes between two readings of an age.
                tolerance = 0.1 if name == "measure_age" else 0
                near = pytest.approx(float(value), rel=1e-9, abs=tolerance)
                assert float(found[key][name]) == near, (key, name)
    assert any(value for values in found.values() for value in values.values()) or not found


def _by_dimension(rows: list[Json], columns: list[str], measures: list[str]) -> dict[Any, Json]:
    return {
        tuple(_shown(row[name], is_dimension=True) for name in columns): {
            name: _shown(row[name], is_dimension=False) for name in measures
        }
        for row in rows
    }


def _shown(value: Any, *, is_dimension: bool) -> Any:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M}"
    if isinstance(value, date):
        return value.isoformat()
    if is_dimension and isinstance(value, int | float) and value > 100_000_000_000:
        return datetime.fromtimestamp(value / 1000, timezone.utc).date().isoformat()
    return value


@contextmanager
def _page(address: str) -> Iterator[Page]:
    with chromium() as browser:
        page = browser.new_page(viewport={"width": 1600, "height": 3600}, locale="ru-RU")
        page.goto(f"{address}/login/")
        page.fill("#username", "admin")
        page.fill("#password", "admin")
        page.press("#password", "Enter")
        page.wait_for_load_state("networkidle")
        yield page


INK = """canvas => {
  const { data } = canvas.getContext("2d").getImageData(0, 0, canvas.width, canvas.height);
  const colours = new Map();
  for (let i = 0; i < data.length; i += 4)
    if (data[i + 3]) {
      const colour = data[i] << 16 | data[i + 1] << 8 | data[i + 2];
      colours.set(colour, (colours.get(colour) ?? 0) + 1);
    }
  // Axes and labels are grey.
  const coloured = [...colours].filter(([c]) =>
    Math.max(c >> 16, c >> 8 & 255, c & 255) - Math.min(c >> 16, c >> 8 & 255, c & 255) > 40);
  return coloured.reduce((sum, [, count]) => sum + count, 0);
}"""


def _has_marks(page: Page, chart: Chart) -> bool:
    """Return whether a chart shows data: rows of a table, a digit, or a coloured line or bar."""
    holder = page.locator("[data-test=dashboard-component-chart-holder]").filter(
        has=page.locator("[data-test=slice-header]").get_by_text(chart.name["ru"], exact=True)
    )
    if chart.kind == "table":
        return holder.locator("tbody tr td").count() >= len(chart.fields)
    if chart.kind == "indicator":
        return any(character.isdigit() for character in holder.inner_text())
    return any(canvas.evaluate(INK) > 50 for canvas in holder.locator("canvas").all())


def test_every_dashboard_opens(pack: Superset, address: str) -> None:
    refused: list[str] = []

    def note(answer: Response) -> None:
        if answer.status >= 400 and "/chart/data" in answer.url:
            refused.append(answer.url)

    with _page(address) as page:
        page.on("response", note)
        for name in DEFINITION.dashboards:
            page.goto(f"{address}/superset/dashboard/qtickets-{name}/?standalone=1")
            charts = DEFINITION.dashboards[name].charts
            page.get_by_text(charts[0].name["ru"], exact=True).first.wait_for()
            page.wait_for_load_state("networkidle")
            page.wait_for_function("!document.querySelector('[data-test=loading-indicator]')")
            page.wait_for_timeout(6000)
            assert page.locator("[data-test=filter-bar__apply-button]").is_disabled()
            boxes = page.locator("[data-test=dashboard-component-chart-holder]")
            assert boxes.count() == len(charts)
            bottom = page.evaluate(
                "Math.max(...[...document.querySelectorAll("
                "'[data-test=dashboard-component-chart-holder]')]"
                ".map(each => each.getBoundingClientRect().bottom))"
            )
            clip: FloatRect = {"x": 0, "y": 0, "width": 1600, "height": bottom + 16}
            page.screenshot(path=IMAGES / f"superset-{name}.png", clip=clip)
            assert refused == []
            text = page.inner_text("body")
            assert [failure for failure in FAILURES if failure in text] == []
            assert [chart.id for chart in charts if not _has_marks(page, chart)] == []
