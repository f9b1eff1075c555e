"""Every mart of sales equals its recomputation from the service's answers, at three stages."""

from collections.abc import Callable, Iterator
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from itertools import groupby
from typing import Any
from zoneinfo import ZoneInfo

import pytest

from pipelines.configuration.environment import Settings
from pipelines.loading.reconciliation import _LoadedOrders
from pipelines.transform import build_plan
from pipelines.transform.dbt_build import build_marts
from pipelines.warehouse.server import Warehouse, open_warehouse
from sandbox import World, serve
from tests.support.clickhouse import DATABASE, Marts
from tests.support.expected import actual_dashboard, dashboard
from tests.support.recomputed_marts import UTM, Facts, Recomputed, Row, as_text
from tests.support.runs import MODELS_ONLY, Runner
from tests.support.worlds import EVENING, NOW, happen, utc_text, world_until

MOSCOW, TOKYO = "Europe/Moscow", "Asia/Tokyo"
PLACE = ("event_id", "city", "currency")
# Seats in total and left at each load, by show.
History = dict[int, list[tuple[int | None, int | None]]]


def season_ticket(basket: Row, shows: list[int], *, refunded: str, at: str) -> Row:
    """Return a season ticket with two nested related tickets.

    Args:
        refunded: "one" of the related tickets, "all", or "".
    """
    related = [
        basket | {"id": basket["id"] * 10 + place, "show_id": show, "price": price, "quantity": 1}
        for place, (show, price) in enumerate(zip(shows, (500.01, 500.24), strict=True))
    ]
    main = basket | {"price": 1000.25, "quantity": 1, "related_baskets": related}
    ended = {"refunded_at": at, "deleted_at": at}
    if refunded == "one":
        related[0] |= ended
    return main | ended if refunded == "all" else main


def shape(world: World) -> None:
    """Change orders into what the world has not: midnights, other currencies, season tickets."""
    live = [
        order
        for order in world.orders()
        if order["payed"]
        and not order["deleted_at"]
        and not order.get("secondary_orders")
        and not order.get("primary_orders")
        and all(not ticket["refunded_at"] for ticket in order["baskets"])
    ]
    orders = iter(live)
    moments = (
        *("2026-05-31T23:59:59+03:00", "2026-06-01T00:00:00+03:00", "2026-02-28T18:30:00+03:00"),
        *("2025-12-31T23:59:59+03:00", "2026-01-01T00:00:00+03:00", "2025-12-31T15:00:00+00:00"),
    )
    for moment in moments:
        world.change(next(orders)["id"], payed_at=moment)
    for currency in ("USD", "EUR", "USD"):
        world.change(next(orders)["id"], currency_id=currency)
    # An exchanged order whose tickets came alive, and orders without a client.
    world.change(next(orders)["id"], secondary_orders=[{"id": 1}])
    world.change(next(orders)["id"], client_id=0, client=None)
    world.change(next(orders)["id"], backend_user_id=7)
    at = world.now.isoformat(timespec="seconds")
    for refunded in ("", "one", "all"):
        order = next(orders)
        event = next(event for event in world.events() if event["id"] == order["event_id"])
        shows = [show["id"] for show in (event["shows"] * 2)[:2]]
        ticket = season_ticket(order["baskets"][0], shows, refunded=refunded, at=at)
        world.change(order["id"], baskets=[ticket], price=1000.25)


def more_changes(world: World, stage: int) -> None:
    for number in range(3):
        happen(world, 10 * stage + number)
    cancelled = [
        order
        for order in world.orders()
        if order["payed"]
        and order["deleted_at"]
        and not order.get("secondary_orders")
        and not any(ticket["refunded_at"] for ticket in order["baskets"])
    ]
    world.restore(cancelled[stage]["id"])
    order_id, ticket_id = next(
        (order["id"], ticket["id"])
        for order in world.orders()
        if order["payed"] and not order["deleted_at"]
        for ticket in order["baskets"]
        if not ticket["checked_at"] and not ticket["deleted_at"] and not ticket["related_baskets"]
    )
    world.scan(ticket_id)
    # A scan does not change the time of the order, by which runs find changes.
    world.change(order_id)


def vanish(world: World, warehouse: Warehouse) -> tuple[int, datetime]:
    """Let an old order vanish, as a reconciliation marks it; return it and when that was sure."""
    # Runs do not read an order again that changed long ago.
    order = min(
        (
            order
            for order in world.orders()
            if order["payed"] and not order["deleted_at"] and not order.get("secondary_orders")
        ),
        key=lambda order: order["updated_at"],
    )
    moment = datetime.now(timezone.utc)
    _LoadedOrders(warehouse).mark_vanished([order["id"]], moment)
    return order["id"], moment


def compare(
    world: World, marts: Marts, zone: str, vanished: dict[int, datetime], history: History
) -> None:
    """Check every mart of sales against its recomputation."""
    expected = Recomputed(world.orders(), world.events(), zone, vanished)

    def check(name: str, keys: tuple[str, ...], facts: Facts) -> None:
        columns = list(next(iter(facts.values())))
        found = {
            tuple(plain(row[key]) for key in keys): {c: plain(row[c]) for c in columns}
            for row in marts.rows(f"SELECT * FROM {DATABASE}.{name}")
        }
        assert found.keys() == facts.keys(), name
        differing = {
            key: {c: (found[key][c], fact[c]) for c in columns if found[key][c] != fact[c]}
            for key, fact in facts.items()
            if found[key] != fact
        }
        assert not differing, (name, zone, dict(list(differing.items())[:3]))

    tickets = {(row["order_id"], row["ticket_id"]): row for row in expected.tickets}
    without_buyer = {
        key: {name: value for name, value in row.items() if name != "buyer"}
        for key, row in tickets.items()
    }
    check("fact_qtickets_tickets", ("order_id", "ticket_id"), without_buyer)
    daily = ("sales_date", *PLACE)
    check("fact_qtickets_sales_daily", daily, expected.sales(*daily))
    check("fact_qtickets_sales_utm_daily", (*daily, *UTM), expected.sales(*daily, *UTM))
    check("v_qtickets_sales_utm_daily", ("d", *PLACE, *UTM), expected.utm_view())
    check("v_plan_vs_fact", daily, expected.plan_and_sales({}))
    by_show = ("sales_date", "show_id", *PLACE)
    check("fact_qtickets_sales_by_show_daily", by_show, expected.sales(*by_show))
    dated = ("entry_date", "entry_type", *PLACE)
    check("fact_qtickets_ledger_daily", dated, expected.ledger())
    check("fact_qtickets_refunds_daily", ("refund_date", *PLACE), expected.refunds())
    promo = ("sales_date", "event_id", "city", "promo_code_id", "discount_id", "currency")
    check("fact_qtickets_promo_daily", promo, expected.promo())
    shows = ("show_id", "event_id", "city")
    check("fact_qtickets_attendance", shows, expected.attendance())
    check("dim_events", ("event_id",), expected.events_over(EVENING))
    check("dim_shows", ("show_id",), expected.show_times(EVENING))
    buyers = expected.buyers()
    rows = marts.rows(f"SELECT {', '.join(buyers[0])} FROM {DATABASE}.dim_buyers")
    found = [{name: plain(value) for name, value in row.items()} for row in rows]
    assert as_text(found) == as_text(buyers)
    check_pace(marts, expected.pace(EVENING))
    check_views(marts, expected, zone)
    check_dashboard(world, marts, zone, vanished)
    check_seats(world, marts)
    check_history(marts, history)
    check_calendar(marts)


def check_pace(marts: Marts, facts: Facts) -> None:
    compared = set()
    rows = marts.rows(f"SELECT * FROM {DATABASE}.fact_qtickets_sales_pace")
    assert {(r["show_id"], r["currency"], r["days_before_show"]) for r in rows} == facts.keys()
    for row in rows:
        fact = facts[row["show_id"], row["currency"], row["days_before_show"]]
        share = fact["usual_share"]
        assert {name: row[name] for name in fact if name != "usual_share"} == {
            name: value for name, value in fact.items() if name != "usual_share"
        }
        assert row["usual_share"] == (None if share is None else pytest.approx(share, abs=2e-4))
        if row["tickets_expected"] is not None:
            expected = row["tickets_so_far"] / row["usual_share"]
            assert row["tickets_expected"] == pytest.approx(expected, abs=0.51)
        compared.add(row["compared_with"])
    assert compared > {"none"}, "nothing is compared"


def check_views(marts: Marts, expected: Recomputed, zone: str) -> None:
    today = EVENING.astimezone(ZoneInfo(zone)).date()
    first = str(today - timedelta(days=13))
    recent = {
        key: fact
        for key, fact in expected.sales("sales_date", *PLACE).items()
        if first <= key[0] <= str(today)
    }
    totals: dict[tuple[Any, ...], list[Any]] = {}
    for (_, *place), fact in recent.items():
        total = totals.setdefault(tuple(place), [0, Decimal(0)])
        total[0] += fact["tickets_sold"]
        total[1] += fact["revenue"]
    for view, columns in (
        ("mv_qtickets_sales_latest", "tickets_sold_14d, revenue_14d"),
        ("v_sales_14d", "tickets_sold, revenue"),
    ):
        rows = marts.rows(f"SELECT event_id, city, currency, {columns} FROM {DATABASE}.{view}")
        values = [tuple(row.values()) for row in rows]
        assert {value[:3]: list(value[3:]) for value in values} == totals, (view, zone)
    rows = marts.rows(
        "SELECT toString(sales_date), event_id, city, currency, tickets_sold, revenue"
        f" FROM {DATABASE}.v_sales_latest"
    )
    assert {tuple(row.values())[:4]: tuple(row.values())[4:] for row in rows} == {
        key: (fact["tickets_sold"], fact["revenue"]) for key, fact in recent.items()
    }


def check_dashboard(world: World, marts: Marts, zone: str, vanished: dict[int, datetime]) -> None:
    """Check every figure of the dashboard."""
    orders = [order for order in world.orders() if order["id"] not in vanished]
    seats = {show["id"]: world.seats(show["id"]) for e in world.events() for show in e["shows"]}
    rows = marts.rows(f"SELECT * FROM {DATABASE}.v_qtickets_sales_dashboard")
    assert actual_dashboard(rows) == dashboard(orders, world.events(), EVENING, seats, zone)


def check_plan(world: World, marts: Marts, zone: str, vanished: dict[int, datetime]) -> None:
    """Plan a day with sales and one without, and check the plan against sales."""
    expected = Recomputed(world.orders(), world.events(), zone, vanished)
    listed = [ticket for ticket in expected.tickets if ticket["city"] != "unknown"]
    event, city = listed[0]["event_id"], listed[0]["city"]
    currency = expected.events[int(event)]["currency_id"]
    days = [ticket["sales_date"] for ticket in listed if ticket["event_id"] == event]
    marts.rows(
        f"INSERT INTO {DATABASE}.plan_sales VALUES ('{min(days)}', '{event}', '', 3, 4500.5),"
        f" ('2027-01-01', '{event}', ' {city.upper()}', 7, 7000)"
    )
    plan = {
        (min(days), event, city, currency): (3, Decimal("4500.50")),
        ("2027-01-01", event, city, currency): (7, Decimal(7000)),
    }
    facts = expected.plan_and_sales(plan)
    found = {}
    for row in marts.rows(f"SELECT * FROM {DATABASE}.v_plan_vs_fact"):
        key = tuple(str(row[name]) for name in ("sales_date", *PLACE))
        found[key] = {name: row[name] for name in facts[key]}
        for what in ("tickets", "revenue"):
            percent, planned = row[f"diff_{what}_pct"], row[f"plan_{what}"]
            assert (percent is None) == (planned == 0)
            if planned:
                assert percent == pytest.approx(
                    float(100 * row[f"diff_{what}"] / planned), abs=0.01
                )
    assert found == facts


def check_history(marts: Marts, history: History) -> None:
    """Check the seats of each show over the loads; a load may skip a show that sold nothing."""
    found: History = {}
    for row in marts.rows(
        f"SELECT * FROM {DATABASE}.fact_qtickets_inventory_history ORDER BY show_id, snapshot_ts"
    ):
        found.setdefault(row["show_id"], []).append((row["tickets_total"], row["tickets_left"]))

    def changes(seats: History) -> History:
        return {show: [counts for counts, _ in groupby(each)] for show, each in seats.items()}

    assert changes(found) == changes(history)


def remember_seats(world: World, history: History) -> None:
    """Add the seats of the shows that were not over at the load to the history."""
    for event in world.events():
        for show in event["shows"]:
            ends = show["finish_date"] or show["start_date"] or show["open_date"]
            if show["deleted_at"] or (ends and datetime.fromisoformat(ends) < world.now):
                continue
            seats = world.seats(show["id"])
            if seats is not None:
                offered = [seat for seat in seats if not seat["disabled"]]
                counts = [
                    sum(seat[name] for seat in offered)
                    for name in ("max_quantity", "free_quantity")
                ]
                history.setdefault(show["id"], []).append((counts[0], counts[1]))


def check_seats(world: World, marts: Marts) -> None:
    """Check the places of the shows that are not over, by show, zone and event."""
    shows: dict[tuple[Any, ...], list[int]] = {}
    zones: dict[tuple[Any, ...], list[int]] = {}
    events: dict[tuple[Any, ...], list[int]] = {}
    for event in world.events():
        for show in event["shows"]:
            ends = show["finish_date"] or show["start_date"] or show["open_date"]
            if show["deleted_at"] or (ends and datetime.fromisoformat(ends) < EVENING):
                continue
            for seat in world.seats(show["id"]) or ():
                if seat["disabled"]:
                    continue
                for counts, key in (
                    (shows, (show["id"],)),
                    (zones, (show["id"], seat["zone_id"], Decimal(str(seat["price"])))),
                    (events, (str(event["id"]),)),
                ):
                    total = counts.setdefault(key, [0, 0])
                    total[0] += seat["max_quantity"]
                    total[1] += seat["free_quantity"]
    for name, keys, expected in (
        ("fact_qtickets_inventory_by_show", ("show_id",), shows),
        ("fact_qtickets_inventory_by_zone", ("show_id", "zone_id", "price"), zones),
        ("fact_qtickets_inventory_latest", ("event_id",), events),
        ("dim_events", ("event_id",), events),
    ):
        found = {
            tuple(row[key] for key in keys): [row["tickets_total"], row["tickets_left"]]
            for row in marts.rows(f"SELECT * FROM {DATABASE}.{name}")
        }
        differing = {key: (found.get(key), n) for key, n in expected.items() if found[key] != n}
        assert not differing, (name, differing)


def check_calendar(marts: Marts) -> None:
    rows = marts.rows(f"SELECT * FROM {DATABASE}.dim_dates ORDER BY date")
    first = rows[0]["date"]
    assert (first.month, first.day) == (1, 1)
    for number, row in enumerate(rows):
        day = row["date"]
        assert day == first + timedelta(days=number)
        assert (row["iso_year"], row["iso_week"], row["weekday"]) == tuple(day.isocalendar())
        assert (row["year"], row["month"]) == (day.year, day.month)
        assert row["week_start"] == day - timedelta(days=day.weekday())
        assert row["date_year_ago"] == day - timedelta(days=364)


def plain(value: Any) -> Any:
    """Return dates and times as text, without the time zone."""
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return str(value) if hasattr(value, "isoformat") else value


@pytest.fixture
def small_partial_builds(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(build_plan, "PARTIAL_BUILD_FROM_TICKETS", 1)
    monkeypatch.setattr(build_plan, "OVERLAP", timedelta())
    yield


@pytest.mark.usefixtures("small_partial_builds")
@pytest.mark.slow
def test_marts_equal_their_recomputation_after_each_of_three_loads(
    settings_for: Callable[..., Settings],
    run_once: Runner,
    marts: Marts,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    world = world_until(NOW, tenge_event=True)
    vanished: dict[int, datetime] = {}
    history: History = {}
    partial: list[bool] = []

    def build_models(*given: Any, **named: Any) -> Any:
        partial.append(named.get("changed_since") is not None)
        return build_marts(*given, *MODELS_ONLY, **named)

    monkeypatch.setattr("pipelines.run.build_marts", build_models)
    with serve(world) as server:
        # Constant, because the views contain it: with another one, everything is built.
        settings = settings_for(server.url, report_now=utc_text(EVENING))
        for stage in range(3):
            if stage:
                more_changes(world, stage)
            else:
                shape(world)
            if stage == 1:
                with open_warehouse(settings) as warehouse:
                    vanished |= [vanish(world, warehouse)]
            run_once(settings)
            remember_seats(world, history)
            compare(world, marts, MOSCOW, vanished, history)
        assert partial == [False, True, True]
        # As a full build, in the zone of the runs and in another one.
        for zone in (MOSCOW, TOKYO):
            elsewhere = settings.model_copy(update={"report_tz": zone})
            with open_warehouse(elsewhere) as warehouse:
                build_marts(elsewhere, warehouse, *MODELS_ONLY)
            compare(world, marts, zone, vanished, history)
            check_plan(world, marts, zone, vanished)
