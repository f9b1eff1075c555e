"""The dashboard page in a real browser: every number on it equals that of the marts."""

import json
import os
import random
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from copy import deepcopy
from dataclasses import dataclass, replace
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Browser, Page
from pydantic import SecretStr
from rich.console import Console

from bi.definition import definition
from bi.page import SHOWN
from dashboard import DashboardError, PageOptions, write_dashboard
from dashboard.data import as_json, read_page_data
from dashboard.page import render
from local_clickhouse import LocalServer
from pipelines.configuration.environment import Settings
from pipelines.errors import ConfigurationError, ServiceError
from pipelines.operations.page import rewrite_page, write_page
from pipelines.run import run
from pipelines.service.application import PageReader, make_application
from pipelines.service.http_server import serve_http
from pipelines.service.spool import Spool
from pipelines.service.status import LastRun, Status
from pipelines.warehouse.server import Warehouse, open_warehouse
from sandbox import World, serve
from tests.support.clickhouse import drop_databases
from tools.browser import chromium

NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
TODAY = "toDate('2026-06-15')"
Row = dict[str, Any]
Opener = Callable[..., Page]


@dataclass
class Marts:
    """The marts of a small organiser, and the page that the run wrote."""

    settings: Settings
    warehouse: Warehouse
    path: Path
    data: Row

    @property
    def options(self) -> PageOptions:
        return PageOptions(
            database="zakaz",
            time_zone="Europe/Moscow",
            now=self.settings.report_now,
            organiser=self.settings.org_name,
        )

    def read(self) -> Row:
        """Return the data of the page as the browser receives it."""
        with self.warehouse.connect(self.warehouse.transformer) as client:
            data: Row = json.loads(as_json(read_page_data(client, self.options)))
        return data

    def rows(self, sql: str) -> list[Row]:
        with self.warehouse.connect(self.warehouse.transformer) as client:
            result = client.query(sql, settings={"database": "zakaz"})
        return [dict(zip(result.column_names, row, strict=True)) for row in result.result_rows]

    def row(self, sql: str) -> Row:
        (row,) = self.rows(sql)
        return row


@pytest.fixture(scope="module")
def marts(home: Path, server: LocalServer) -> Iterator[Marts]:
    world = World(
        orders=900,
        seed=7,
        start=NOW - timedelta(days=150),
        end=NOW + timedelta(days=60),
        now=NOW,
        tenge_event=True,
    )
    drop_databases(server)
    with serve(world) as service:
        settings = Settings(
            qtickets_token=SecretStr("sandbox-token"),
            qtickets_base_url=service.url,
            qtickets_home=home,
            qtickets_initial_backfill_hours="all",
            report_now=f"{NOW.astimezone(timezone.utc):%Y-%m-%d %H:%M:%S}",
            report_tz="Europe/Moscow",
            org_name="Студия «Свет» & <друзья>",
            clickhouse_host=None,
        )
        with pytest.MonkeyPatch.context() as patch:
            # Without the .env of the checkout.
            patch.chdir(home)
            report = run(settings, Console(quiet=True))
    assert report.page, report.page_problem
    with open_warehouse(settings) as warehouse:
        found = Marts(settings, warehouse, report.page, {})
        found.data = found.read()
        yield found


@pytest.fixture(scope="module")
def planned(marts: Marts) -> Iterator[Row]:
    """The data of the page with a plan for two events and three days of June."""
    events = marts.rows(
        "SELECT event_id, city FROM fact_qtickets_sales_daily WHERE currency = 'RUB'"
        f" AND sales_date > {TODAY} - 30 GROUP BY event_id, city ORDER BY sum(revenue) DESC LIMIT 2"
    )
    plan = [
        f"('2026-06-{day:02}', '{event['event_id']}', '{event['city']}', {day}, {day}000.55)"
        for event in events
        for day in (10, 12, 15)
    ]
    with marts.warehouse.connect(marts.warehouse.transformer) as client:
        client.command(f"INSERT INTO zakaz.plan_sales VALUES {', '.join(plan)}")
        yield marts.read()
        client.command("TRUNCATE TABLE zakaz.plan_sales")


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    with ExitStack() as stack:
        try:
            browser = stack.enter_context(chromium())
        except FileNotFoundError as error:
            if os.environ.get("CI"):
                pytest.fail(str(error))
            pytest.skip(str(error))
        yield browser


@pytest.fixture
def open_page(browser: Browser, tmp_path: Path) -> Iterator[Opener]:
    """Return a function that opens a page from a file.

    A script error or a network request fails the test.
    """
    contexts, requests, errors = [], [], []

    def opened(source: Path | Row, *, fragment: str = "", **context: Any) -> Page:
        path = source if isinstance(source, Path) else tmp_path / "dashboard.html"
        if not isinstance(source, Path):
            path.write_text(render(source), encoding="utf-8")
        contexts.append(
            browser.new_context(
                **{"locale": "ru-RU", "viewport": {"width": 1280, "height": 900}, **context}
            )
        )
        page = contexts[-1].new_page()
        page.on("request", lambda request: requests.append(request.url))
        page.on("pageerror", lambda error: errors.append(str(error)))
        page.on("dialog", lambda dialog: errors.append(f"dialog {dialog.message}"))
        page.on(
            "console",
            lambda message: errors.append(message.text) if message.type == "error" else None,
        )
        page.goto(f"{path.as_uri()}#{fragment}")
        page.wait_for_selector("main:not([aria-busy])")
        return page

    yield opened
    for context in contexts:
        context.close()
    assert not errors
    assert [url for url in requests if not url.startswith(("file://", "data:"))] == []


def metrics(page: Page, card: str) -> dict[str, str]:
    """Return the exact numbers of a card. Check that the visible ones equal them, rounded."""
    found = page.eval_on_selector_all(
        f"[data-metric^='{card}.']",
        "all => all.map(one => [one.dataset.metric, one.value, one.textContent])",
    )
    for name, value, text in found:
        visible = visible_number(text)
        assert visible is None or abs(visible - Decimal(value)) < 1, (name, text)
    return {name.partition(".")[2]: value for name, value, _ in found}


def visible_number(text: str) -> Decimal | None:
    """Return the number in a Russian text: "1 234,50 ₽"."""
    digits = "".join(char for char in text if char.isdigit() or char == ",").replace(",", ".")
    return Decimal(digits) if digits else None


def table(page: Page, name: str) -> dict[str, dict[str, Decimal]]:
    """Return the exact numbers of a table by row and column, including rows behind "show all"."""
    more = page.locator(f"#more-{name}")
    if more.count() and "Показать" in more.inner_text():
        more.click()
    rows = page.eval_on_selector_all(
        f"[data-table='{name}'] tbody tr",
        "all => all.map(row => [row.dataset.key, [...row.querySelectorAll('data')]"
        ".map(one => [one.dataset.column, one.value])])",
    )
    return {
        key: {column: Decimal(value) for column, value in cells if value} for key, cells in rows
    }


def sums_by(rows: list[Row], key: str) -> dict[str, dict[str, Decimal]]:
    return {
        str(row[key]): {name: Decimal(value) for name, value in row.items() if name != key}
        for row in rows
    }


LIVE = "event_id IN (SELECT event_id FROM dim_events WHERE NOT is_deleted)"


@pytest.mark.parametrize("currency", ["RUB", "KZT"])
def test_today_and_14_days_are_those_of_the_dashboard_view(
    marts: Marts, open_page: Opener, currency: str
) -> None:
    page = open_page(marts.path, fragment=f"currency={currency}")
    view = marts.row(
        "SELECT sum(tickets_sold_today) AS tickets, sum(revenue_today) AS revenue,"
        " sum(tickets_sold_14d) AS tickets_14, sum(revenue_14d) AS revenue_14"
        f" FROM v_qtickets_sales_dashboard WHERE currency = '{currency}'"
    )
    assert view["tickets_14"] > 0 or currency == "KZT"

    today, days_14 = metrics(page, "today"), metrics(page, "days_14")

    assert (int(today["tickets"]), Decimal(today["revenue"])) == (view["tickets"], view["revenue"])
    assert int(days_14["tickets"]) == view["tickets_14"]
    assert Decimal(days_14["revenue"]) == view["revenue_14"]


@pytest.mark.parametrize("days", [7, 30, 90])
def test_a_period_has_sales_by_day_of_payment_and_refunds_by_their_own_day(
    marts: Marts, open_page: Opener, days: int
) -> None:
    page = open_page(marts.path, fragment=f"period={days}")
    sales = marts.row(
        "SELECT sum(tickets_sold) AS tickets, sum(revenue) AS revenue, sum(orders) AS orders"
        f" FROM fact_qtickets_sales_daily WHERE {LIVE} AND currency = 'RUB'"
        f" AND sales_date > {TODAY} - {days}"
    )
    refunds = marts.row(
        "SELECT sum(tickets_refunded) AS tickets, sum(refunded_amount) AS amount"
        f" FROM fact_qtickets_refunds_daily WHERE {LIVE} AND currency = 'RUB'"
        f" AND refund_date > {TODAY} - {days}"
    )

    assert metrics(page, "period") == {
        "tickets": str(sales["tickets"]),
        "orders": str(sales["orders"]),
        "revenue": f"{sales['revenue']:.2f}",
        "average": f"{sales['revenue'] / sales['tickets']:.2f}",
        "refunded_tickets": str(refunds["tickets"]),
        "refunded": f"{refunds['amount']:.2f}",
    }


def test_filters_of_city_event_and_dates_apply_to_every_number(
    marts: Marts, open_page: Opener
) -> None:
    page = open_page(marts.path)
    event = marts.row(
        "SELECT event_id, city, any(event_name) AS name FROM v_sales_latest"
        " WHERE currency = 'RUB' GROUP BY event_id, city ORDER BY sum(revenue) DESC LIMIT 1"
    )

    def expected(where: str) -> dict[str, str]:
        row = marts.row(
            "SELECT sum(tickets_sold) AS tickets, sum(revenue) AS revenue, sum(orders) AS orders"
            f" FROM fact_qtickets_sales_daily WHERE {LIVE} AND currency = 'RUB' AND {where}"
        )
        return {
            "tickets": str(row["tickets"]),
            "revenue": f"{row['revenue']:.2f}",
            "orders": str(row["orders"]),
        }

    def shown(card: str) -> dict[str, str]:
        found = metrics(page, card)
        return {name: found[name] for name in ("tickets", "revenue", "orders")}

    in_city = f"city = '{event['city']}'"
    page.select_option("#city", label=page.evaluate("name => name", _title(event["city"])))
    assert shown("days_14") == expected(f"{in_city} AND sales_date > {TODAY} - 14")
    assert shown("period") == expected(f"{in_city} AND sales_date > {TODAY} - 30")
    assert set(table(page, "cities")) == {event["city"]}

    page.select_option("#event", label=event["name"])
    of_event = f"event_id = '{event['event_id']}'"
    assert shown("period") == expected(f"{of_event} AND sales_date > {TODAY} - 30")
    assert set(table(page, "events")) == {event["event_id"]}

    page.fill("#from", "2026-05-03")
    page.dispatch_event("#from", "change")
    page.fill("#to", "2026-06-10")
    page.dispatch_event("#to", "change")
    between = "sales_date BETWEEN '2026-05-03' AND '2026-06-10'"
    assert shown("period") == expected(f"{of_event} AND {between}")
    page.reload()
    page.wait_for_selector("main:not([aria-busy])")
    assert shown("period") == expected(f"{of_event} AND {between}"), (
        "the filters are kept in the address"
    )

    page.click("#reset")
    assert shown("period") == expected(between)


def _title(city: str) -> str:
    return "-".join(part[0].upper() + part[1:] for part in city.split("-"))


def test_each_table_equals_its_mart(marts: Marts, open_page: Opener) -> None:
    page = open_page(marts.path)
    month = f"{LIVE} AND currency = 'RUB' AND {{}} > {TODAY} - 30"

    def mart(columns: str, table: str, day: str, key: str) -> dict[str, dict[str, Decimal]]:
        where = month.format(day)
        sql = f"SELECT {key} AS key, {columns} FROM {table} WHERE {where} GROUP BY key"
        return sums_by(marts.rows(sql), "key")

    sold = "sum(tickets_sold) AS tickets, sum(revenue) AS revenue"
    by_city = mart(sold, "fact_qtickets_sales_daily", "sales_date", "city")
    assert table(page, "cities") == _sold(by_city)
    by_source = mart(sold, "v_qtickets_sales_utm_daily", "d", "toString(utm_group)")
    assert table(page, "sources") == _sold(by_source)

    page.click("summary >> nth=0")
    by_day = mart(f"{sold}, sum(orders) AS orders", "fact_qtickets_sales_daily", "sales_date",
                  "sales_date")  # fmt: skip
    # It is filled when it opens, in a later turn of the browser.
    page.wait_for_selector("[data-table='days'] tbody tr")
    shown = table(page, "days")
    assert len(shown) == 30
    assert _sold(shown) == _sold(by_day)

    refunds = "sum(tickets_refunded) AS tickets, sum(refunded_amount) AS amount,"
    refunds += " sum(refund_deduction_amount) AS deducted"
    by_event = mart(refunds, "fact_qtickets_refunds_daily", "refund_date", "event_id")
    shown = table(page, "refunds")
    assert shown.pop("total")["amount"] == sum(row["amount"] for row in by_event.values())
    assert shown == by_event

    promos = mart(
        "sum(uses) AS uses, sum(discount_amount) AS discount, sum(revenue) AS revenue",
        "fact_qtickets_promo_daily", "sales_date", "concat(promo_code, ' / ', discount_name)",
    )  # fmt: skip
    shown = table(page, "promos")
    assert shown.pop("total")["uses"] == sum(row["uses"] for row in promos.values())
    assert shown == promos

    attendance = marts.rows(
        "SELECT event_id, sum(tickets_sold) AS tickets, sum(tickets_scanned) AS scanned"
        " FROM fact_qtickets_attendance INNER JOIN dim_shows USING (show_id, event_id)"
        f" WHERE {LIVE} AND NOT is_deleted AND start_date BETWEEN {TODAY} - 29 AND {TODAY}"
        " AND tickets_scanned > 0 GROUP BY event_id"
    )
    assert table(page, "attendance") == sums_by(attendance, "event_id")


def _sold(rows: dict[str, dict[str, Decimal]]) -> dict[str, dict[str, Decimal]]:
    return {key: row for key, row in rows.items() if any(row.values())}


def test_events_have_their_sales_and_seats(marts: Marts, open_page: Opener) -> None:
    page = open_page(marts.path, fragment="period=all")
    sales = marts.rows(
        "SELECT event_id, sum(tickets_sold) AS tickets, sum(revenue) AS revenue"
        f" FROM fact_qtickets_sales_daily WHERE {LIVE} AND currency = 'RUB' GROUP BY event_id"
    )
    seats = marts.rows(
        "SELECT event_id, tickets_left AS left FROM v_qtickets_sales_dashboard"
        f" WHERE currency = 'RUB' AND tickets_total > 0 AND end_date >= {TODAY}"
    )

    shown = table(page, "events")

    assert len(seats) > 1
    for row in sales:
        columns = shown[row["event_id"]]
        assert (columns["tickets"], columns["revenue"]) == (row["tickets"], row["revenue"])
    assert {key: row["left"] for key, row in shown.items() if "left" in row} == {
        row["event_id"]: row["left"] for row in seats
    }


def test_pace_compares_each_show_on_sale_with_past_shows(marts: Marts, open_page: Opener) -> None:
    page = open_page(marts.path)
    expected = marts.rows(
        "WITH now AS (SELECT show_id, event_id, city, min(days_before_show) AS days_left,"
        " argMin(tickets_so_far, days_before_show) AS sold, toString(any(compared_with)) AS kind"
        f" FROM fact_qtickets_sales_pace WHERE NOT is_over AND currency = 'RUB' AND {LIVE}"
        " GROUP BY show_id, event_id, city)"
        " SELECT concat(event_id, '@', start_local) AS key, days_left, sold,"
        " if(forecast.show_id = 0, NULL, forecast.tickets_p50) AS expected,"
        " kind, event_id, now.city AS city FROM now INNER JOIN dim_shows USING (show_id, event_id)"
        " LEFT JOIN (SELECT show_id, tickets_p50 FROM fact_qtickets_forecast"
        " WHERE currency = 'RUB') AS forecast ON forecast.show_id = now.show_id"
    )
    shown = table(page, "pace")
    assert len(shown) == len(expected) > 1
    for row in expected:
        columns = shown[row["key"]]
        assert (columns["sold"], columns["days_left"]) == (row["sold"], row["days_left"])
        assert columns.get("expected") == row["expected"]
        if row["kind"] != "none":
            group = "event_id" if row["kind"] == "event" else "city"
            typical = marts.row(
                "SELECT sum(tickets_so_far) / uniqExact(show_id) AS tickets"
                f" FROM fact_qtickets_sales_pace WHERE is_over AND {group} = '{row[group]}'"
                f" AND days_before_show = {row['days_left']}"
            )
            assert columns["typical"] == pytest.approx(
                Decimal(typical["tickets"]), abs=Decimal("0.1")
            )
    assert any(row["kind"] != "none" for row in expected)
    page.locator("[data-table=pace] button").nth(1).click()
    assert page.locator("[data-table=pace] tr.selected").count() == 1


def test_a_plan_is_compared_with_sales_of_the_same_events(
    marts: Marts, planned: Row, open_page: Opener
) -> None:
    page = open_page(planned, fragment="period=7")
    expected = marts.rows(
        "SELECT event_id, sum(plan_tickets) AS plan_tickets, sum(plan_revenue) AS plan_revenue,"
        " sum(fact_tickets) AS actual_tickets, sum(fact_revenue) AS actual_revenue"
        " FROM v_plan_vs_fact WHERE sales_date BETWEEN '2026-06-09' AND '2026-06-15'"
        " AND is_planned GROUP BY event_id HAVING plan_tickets > 0"
    )

    shown = table(page, "plan")

    total = shown.pop("total")
    assert shown == sums_by(expected, "event_id")
    assert total["plan_revenue"] == sum(row["plan_revenue"] for row in expected)


def test_each_number_of_the_definition_is_explained_where_it_stands(
    planned: Row, open_page: Opener
) -> None:
    page = open_page(planned)
    titles = set(page.eval_on_selector_all("[title]", "all => all.map(one => one.title)"))

    measures = [definition().datasets[name].measures[key] for name, key in SHOWN.values()]
    assert [each.id for each in measures if each.meaning["ru"] not in titles] == []


def test_amounts_in_different_currencies_are_never_added(marts: Marts, open_page: Opener) -> None:
    page = open_page(marts.path, fragment="period=all")
    revenue = {
        row["currency"]: row["revenue"]
        for row in marts.rows(
            "SELECT toString(currency) AS currency, sum(revenue) AS revenue"
            f" FROM fact_qtickets_sales_daily WHERE {LIVE} GROUP BY currency"
        )
    }
    assert set(revenue) == {"RUB", "KZT"}
    for label in ("RUB", "KZT", "RUB"):
        page.select_option("#currency", label=label)
        assert Decimal(metrics(page, "period")["revenue"]) == revenue[label]
        assert ("₽" if label == "RUB" else "₸") in page.inner_text(".card.period .hero")


def test_texts_of_the_service_are_never_html(marts: Marts, open_page: Opener) -> None:
    evil = "</script><script>alert(1)</script><img src=x onerror=alert(2)> {{script}} & \"'"
    data = deepcopy(marts.data)
    data["about"]["organiser"] = evil
    data["events"]["name"] = [f"{evil} {index}" for index, _ in enumerate(data["event_ids"])]
    data["cities"] = [f"{evil}{city}" for city in data["cities"]]
    data["utm"] = [[evil, evil, str(index)] for index, _ in enumerate(data["utm"])]
    data["promos"] = [[f"{evil}{index}", evil] for index, _ in enumerate(data["promos"])]
    data["runs"] = {"started": [0], "finished": [1], "status": ["error"], "message": [evil],
                       "warnings": [[evil]]}  # fmt: skip

    page = open_page(data)

    assert evil in page.inner_text("h1")
    assert f"{evil} " in page.inner_text("#events")
    assert evil in page.inner_text("#sources")
    assert evil in page.inner_text(".alerts")
    assert page.locator("main script, main img").count() == 0


def test_nothing_personal_and_nothing_secret_is_on_the_page(marts: Marts) -> None:
    data = marts.data
    text = str(data) + marts.path.read_text(encoding="utf-8").partition('id="data"')[0]
    assert "sandbox-token" not in text
    assert marts.settings.pii_salt(keep=False) not in text
    assert marts.warehouse.transformer.password not in text
    buyers = marts.rows("SELECT buyer_hash FROM dim_buyers")
    assert buyers
    assert not any(row["buyer_hash"] in text for row in buyers)
    assert "@" not in str(data["utm"]) + str(data["promos"])


def test_stale_data_and_failed_runs_are_shown_at_the_top(marts: Marts, open_page: Opener) -> None:
    data = deepcopy(marts.data)
    assert open_page(data).locator(".alert").count() == 0
    data["freshness"]["status"] = ["stale"] * len(data["freshness"]["status"])
    data["runs"] = {
        "started": [1_781_500_000, 1_781_490_000],
        "finished": [1_781_500_010, 1_781_490_010],
        "status": ["error", "ok"],
        "message": ["QTickets refused the token.", ""],
        "warnings": [[], []],
    }
    data["about"]["now_is_fixed"] = False
    data["about"]["generated_at"] -= 10 * 3600

    page = open_page(data)
    alerts = page.inner_text(".alerts")

    assert "Данные устарели" in alerts
    assert "Последний запуск завершился ошибкой" in alerts
    assert "QTickets refused the token." in alerts
    assert "Страница создана 10 часов назад" in alerts
    assert "Последний день" in page.inner_text("#card-today"), (
        "the last day of the data is not today"
    )


LOOKS: dict[str, dict[str, Any]] = {
    "desktop, light, Russian": {"color_scheme": "light", "locale": "ru-RU"},
    "phone, dark, English": {
        "color_scheme": "dark",
        "locale": "en-GB",
        "viewport": {"width": 390, "height": 844},
    },
    "narrow phone": {"viewport": {"width": 320, "height": 640}},
}


@pytest.mark.parametrize("look", LOOKS)
def test_accessibility_has_no_serious_violation(planned: Row, open_page: Opener, look: str) -> None:
    page = open_page(planned, fragment="period=all", **LOOKS[look])
    for summary in page.locator("summary").all():
        summary.click()
    assert page.get_attribute("html", "lang") == ("en" if "English" in look else "ru")
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth"), (
        "no horizontal scrolling"
    )

    violations = Axe().run(page).response["violations"]

    serious = [
        (one["id"], [node["html"][:200] for node in one["nodes"]][:3])
        for one in violations
        if one["impact"] in ("serious", "critical")
    ]
    assert serious == []
    # Where a table is wider than its panel, the keyboard reaches and names it, and nowhere else.
    regions = page.eval_on_selector_all(
        ".scroll",
        "all => all.map(one => [one.scrollWidth > one.clientWidth, one.tabIndex === 0,"
        " !!one.ariaLabel])",
    )
    assert {tuple(region) for region in regions} <= {(True, True, True), (False, False, False)}
    if look == "narrow phone":
        assert [True, True, True] in regions


def test_an_account_without_sales_says_so(marts: Marts, open_page: Opener) -> None:
    tables = marts.rows(
        "SELECT name FROM system.tables WHERE database = 'zakaz' AND engine LIKE '%MergeTree'"
        " AND (name LIKE 'fact_%' OR name LIKE 'dim_%' OR name LIKE 'meta_%')"
    )
    with marts.warehouse.connect(marts.warehouse.transformer) as client:
        for row in tables:
            client.command(f"CREATE TABLE zakaz.kept_{row['name']} AS zakaz.{row['name']}")
            client.command(f"EXCHANGE TABLES zakaz.kept_{row['name']} AND zakaz.{row['name']}")
        try:
            data = marts.read()
        finally:
            for row in tables:
                client.command(f"EXCHANGE TABLES zakaz.kept_{row['name']} AND zakaz.{row['name']}")
                client.command(f"DROP TABLE zakaz.kept_{row['name']} SYNC")

    page = open_page(data)

    assert "Продаж пока нет" in page.inner_text("main")
    assert "NaN" not in page.inner_text("main")


@contextmanager
def processor_time(page: Page) -> Iterator[dict[str, float]]:
    """Measure the processor time of the page's main thread in milliseconds.

    Unlike elapsed time, it does not grow when other processes keep the machine busy.
    """
    session = page.context.new_cdp_session(page)
    session.send("Performance.enable", {"timeDomain": "threadTicks"})

    def used() -> float:
        metrics = session.send("Performance.getMetrics")["metrics"]
        (seconds,) = [one["value"] for one in metrics if one["name"] == "TaskDuration"]
        return float(seconds) * 1000

    measured: dict[str, float] = {}
    before = used()
    yield measured
    measured["milliseconds"] = used() - before
    session.detach()


def test_a_page_of_500_events_and_a_year_is_small_and_fast(marts: Marts, open_page: Opener) -> None:
    page = open_page(_large(marts.data, events=500, days=365))

    size = Path(page.url.partition("#")[0].removeprefix("file://")).stat().st_size
    with processor_time(page) as painting:
        page.reload()
        page.wait_for_selector("main:not([aria-busy])")
    with processor_time(page) as drawing:
        page.evaluate("document.getElementById('period-90').click()")
    paint, draw = painting["milliseconds"], drawing["milliseconds"]
    print(f"{size:,} bytes, the first view {paint:.0f} ms, a filter {draw:.0f} ms")
    assert size < 2_000_000
    assert 0 < paint < 1000
    assert 0 < draw < 1000
    assert page.locator("[data-table=events] tbody tr").count() == 15
    assert page.locator("#event option").count() == 501


def _large(data: Row, events: int, days: int) -> Row:
    """Return page data in which each event sells for 150 days: 75,000 rows of sales."""
    draw = random.Random(1)
    today = data["about"]["today"]
    large = deepcopy(data)
    large["about"]["first_day"] = today - days
    large["event_ids"] = [str(20_000 + index) for index in range(events)]
    starts = [today - days + draw.randrange(days + 60) for _ in range(events)]
    large["events"] = {
        "name": [f"Спектакль № {index}: «Вишнёвый сад», основная сцена" for index in range(events)],
        "city": [index % len(large["cities"]) for index in range(events)],
        "currency": [0] * events,
        "starts": starts,
        "ends": [day + 2 for day in starts],
        "total": [1000] * events,
        "left": [draw.randrange(1000) for _ in range(events)],
        "deleted": [0] * events,
    }
    large["pace"] = {"shows": {}, "usual": []}
    large["attendance"] = {}
    sales: Row = {name: [] for name in ("day", "event", "city", "currency", "tickets", "revenue",
                                        "orders")}  # fmt: skip
    sources: Row = {name: [] for name in ("day", "event", "city", "currency", "utm", "tickets",
                                     "revenue")}  # fmt: skip
    for event, start in enumerate(starts):
        for day in range(max(start - 150, today - days), min(start, today + 1)):
            tickets = draw.randrange(1, 12)
            row = {"day": day, "event": event, "city": event % len(large["cities"]), "currency": 0,
                   "tickets": tickets, "revenue": tickets * draw.choice((49000, 99000, 150000)),
                   "orders": (tickets + 1) // 2}  # fmt: skip
            for name, value in row.items():
                sales[name].append(value)
            utm = draw.randrange(len(large["utm"]))
            for name, column in sources.items():
                column.append(row[name] if name != "utm" else utm)
    large["sales"], large["sources"] = sales, sources
    return large


def test_the_command_writes_the_page_without_a_run(marts: Marts) -> None:
    before = marts.path.read_bytes()
    marts.path.unlink()
    assert rewrite_page(marts.settings) == marts.path
    assert len(marts.path.read_bytes()) == pytest.approx(len(before), rel=0.01)


def test_without_marts_the_command_says_what_to_do(marts: Marts) -> None:
    elsewhere = replace(marts.warehouse, marts_db="nowhere")
    with pytest.raises(ConfigurationError, match=r"Run first: python pipelines/qtickets\.py"):
        write_page(marts.settings, elsewhere)


def test_a_page_that_cannot_be_written_is_an_error_with_its_path(
    marts: Marts, tmp_path: Path
) -> None:
    path = tmp_path / "missing" / "dashboard.html"
    with (
        marts.warehouse.connect(marts.warehouse.transformer) as client,
        pytest.raises(DashboardError, match=rf"The dashboard {path} cannot be written: No such"),
    ):
        write_dashboard(client, marts.options, path)


def test_after_a_failed_run_the_page_shows_the_error_and_the_previous_numbers(
    marts: Marts, open_page: Opener
) -> None:
    before = metrics(open_page(marts.path), "period")
    unreachable = {"qtickets_base_url": "http://127.0.0.1:9/", "qtickets_retry_seconds": 0.1}

    with pytest.raises(ServiceError):
        run(marts.settings.model_copy(update=unreachable), Console(quiet=True))

    page = open_page(marts.path)
    assert "Последний запуск завершился ошибкой" in page.inner_text(".alert.bad")
    assert metrics(page, "period") == before


# The served page ----------------------------------------------------------------------------------


class Sales(PageReader):
    """A reader of the marts to which a test adds a sale."""

    added: Row | None = None

    def live(self) -> Any:
        found = super().live()
        return found | {"sales": [self.added, *found["sales"]]} if self.added else found

    def data(self) -> Any:
        found = super().data()
        if not self.added:
            return found
        sales = {name: list(column) for name, column in found["sales"].items()}
        sales["revenue"][0] += self.added["amount"]
        return found | {"sales": sales}


@dataclass
class ServedPage:
    page: Page
    status: Status
    reader: Sales

    def refresh(self) -> None:
        """Let the page ask now and not in a few seconds."""
        self.page.evaluate("dispatchEvent(new Event('online'))")


@pytest.fixture
def served(marts: Marts, browser: Browser, tmp_path: Path) -> Iterator[ServedPage]:
    status = Status(last_run=LastRun(1, 1, ""), read_at=1)
    spool, reader = Spool(tmp_path / "webhooks.db"), Sales(marts.settings, marts.warehouse, status)
    app = make_application(marts.settings, status, spool, None, reader)
    with serve_http(app, "127.0.0.1:0") as url:
        context = browser.new_context(locale="ru-RU", viewport={"width": 390, "height": 800})
        page = context.new_page()
        page.goto(f"{url}/#period=all")
        page.wait_for_selector("table[data-table=last_sales] tbody tr")
        yield ServedPage(page, status, reader)
        context.close()


def test_a_served_page_shows_the_last_sales_and_seats_of_the_marts(
    served: ServedPage, marts: Marts
) -> None:
    shown = served.page.eval_on_selector_all(
        "table[data-table=last_sales] tbody tr",
        "rows => rows.map(row => [row.cells[0].textContent,"
        " row.querySelector('[data-column=tickets]').value,"
        " row.querySelector('[data-column=amount]').value])",
    )
    expected = marts.rows(
        "SELECT any(event_name) AS event, sum(quantity) AS tickets, sum(amount) AS amount"
        " FROM fact_qtickets_tickets AS tickets"
        " INNER JOIN dim_events AS events ON tickets.event_id = events.event_id"
        f" WHERE ticket_state = 'sold' AND tickets.sales_date >= {TODAY} - 7"
        " GROUP BY order_id ORDER BY max(sale_ts) DESC, order_id DESC LIMIT 10"
    )
    assert shown == [
        [row["event"], str(row["tickets"]), f"{row['amount']:.2f}"] for row in expected
    ]
    left = served.page.eval_on_selector_all(
        "table[data-table=seats_left] [data-column=left]", "cells => cells.map(c => +c.value)"
    )
    assert left and all(number >= 0 for number in left)
    violations = Axe().run(served.page, "#live").response["violations"]
    assert [(one["id"], [node["target"] for node in one["nodes"]]) for one in violations] == []
    width = served.page.evaluate("document.documentElement.scrollWidth")
    assert width <= 390, "a phone does not scroll sideways"
    # NOW is 15 June; the time of an earlier sale has its date.
    days = marts.rows(
        "SELECT formatDateTime(max(toTimeZone(sale_ts, 'Europe/Moscow')), '%e.%m %R') AS at"
        " FROM fact_qtickets_tickets"
        f" WHERE ticket_state = 'sold' AND sales_date >= {TODAY} - 7"
        " GROUP BY order_id ORDER BY max(sale_ts) DESC, order_id DESC LIMIT 10"
    )
    cells = served.page.eval_on_selector_all(
        "table[data-table=last_sales] tbody tr",
        "rows => rows.map(row => [row.cells[3].firstChild.textContent,"
        " parseInt(row.cells[3].querySelector('small')?.textContent ?? 15)])",
    )
    assert [f"{day}.06 {time}" for time, day in cells] == [row["at"].strip() for row in days]
    assert len({day for _, day in cells}) > 1
    served.page.set_viewport_size({"width": 320, "height": 640})
    served.page.wait_for_timeout(100)
    clipped = served.page.eval_on_selector_all(
        "#live table",
        "tables => tables.filter(table => table.scrollWidth > table.parentNode.clientWidth"
        " && table.parentNode.tabIndex !== 0).map(table => table.dataset.table)",
    )
    assert clipped == []


def test_a_served_page_refreshes_its_numbers_and_keeps_filters_and_place(
    served: ServedPage,
) -> None:
    page = served.page
    before = page.locator("[data-metric='period.revenue']").get_attribute("value")
    page.evaluate("scrollTo(0, 700)")
    sale = {"at": 4_000_000_000, "event": "<b>Новая</b>", "tickets": 2, "amount": 123_450}
    served.reader.added = sale | {"currency": "RUB"}
    served.status.version += 1

    served.refresh()
    page.wait_for_selector("text=<b>Новая</b>")
    page.wait_for_function(
        "value => document.querySelector(\"[data-metric='period.revenue']\").value !== value",
        arg=before,
    )

    after = page.locator("[data-metric='period.revenue']").get_attribute("value")
    assert Decimal(after or 0) - Decimal(before or 0) == Decimal("1234.50")
    assert "period=all" in page.url
    assert page.evaluate("scrollY") == 700
    assert page.locator("#live-news").text_content() == "Продано 2 билета"


def test_a_served_page_does_not_interrupt_who_reads_it(served: ServedPage) -> None:
    page = served.page
    said = (
        "new MutationObserver(() => said.push(document.getElementById('live-news').textContent))"
        ".observe(document.getElementById('live-news'), {childList: true, subtree: true})"
    )
    page.evaluate(f"window.said = []; {said}")
    page.evaluate("window.row = document.querySelector('[data-table=last_sales] tbody tr')")

    def refresh() -> None:
        with page.expect_response("**/live"):
            served.refresh()

    refresh()
    refresh()
    assert page.evaluate("row.isConnected"), "what has not changed is not drawn again"

    sale = {"tickets": 2, "amount": 1, "currency": "RUB"}
    for number in range(4):
        served.reader.added = sale | {
            "at": 4_000_000_000 + number,
            "event": f"Новая {number}",
        }
        served.status.version += 1
        refresh()
        page.wait_for_selector(f"#live tr.selected >> text=Новая {number}")
    assert page.evaluate("said") == ["Продано 2 билета"], "at most one sentence a minute"

    page.context.set_offline(True)
    page.wait_for_function("() => said.length === 2")
    page.context.set_offline(False)
    page.wait_for_function("() => said.length === 3")
    assert [text.split(":")[0] for text in page.evaluate("said")[1:]] == [
        "Нет связи с сервером", "Связь с сервером есть",
    ]  # fmt: skip


def test_a_control_that_keeps_the_focus_does_not_stop_the_refresh(served: ServedPage) -> None:
    page = served.page
    page.locator("#city").focus()
    before = page.locator("[data-metric='period.revenue']").get_attribute("value")
    sale = {"at": 4_000_000_000, "event": "Новая", "tickets": 2, "amount": 100, "currency": "RUB"}
    served.reader.added = sale
    served.status.version += 1

    served.refresh()

    page.wait_for_function(
        "value => document.querySelector(\"[data-metric='period.revenue']\").value !== value",
        arg=before,
    )
    assert page.evaluate("document.activeElement.id") == "city"


def test_a_served_page_says_that_the_network_is_gone_and_recovers(served: ServedPage) -> None:
    page = served.page
    problem = page.locator("#live .alert")
    assert not problem.is_visible()

    page.context.set_offline(True)
    problem.wait_for(state="visible")
    assert "Нет связи" in (problem.text_content() or "")
    assert page.locator("table[data-table=last_sales] tbody tr").count()

    page.context.set_offline(False)
    problem.wait_for(state="hidden")
    served.status.last_run = LastRun(2, 1, "the token was rejected")
    served.refresh()
    problem.wait_for(state="visible")
    assert "token" not in (problem.text_content() or "")
