"""The definitions of the marts, each with example rows. All rows are in one world, built once."""

from collections.abc import Iterator
from datetime import date
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from local_clickhouse import LocalServer
from tests.support.marts_world import MartsWorld, event, marts_world, seats, show, ticket

MARCH_30 = "2026-03-30 10:00:00"
TODAY = "2026-03-31 08:00:00"


@pytest.fixture(scope="module")
def world(home: Path, server: LocalServer) -> Iterator[MartsWorld]:
    with marts_world(home) as world:
        _fill(world)
        world.build()
        yield world


def _fill(world: MartsWorld) -> None:
    world.insert(
        "events",
        event(1, name="Ballet", city_name="  МОСКВА "),
        event(2, name="No shows, no city", city_name=None, city_timezone=None),
        event(3, name="Deleted", city_name="Казань", deleted_at=TODAY),
        event(4, name="Two currencies", city_name="Алматы", city_timezone="Asia/Almaty"),
        event(5, name="Past and sold out"),
        event(6, name="Strange city", city_name="Атлантида", city_timezone="Atlantis/Capital"),
        event(7, name="Unreadable"),
    )
    world.insert(
        "shows",
        show(11),
        show(12, start_date="2026-04-21 16:00:00", finish_date="2026-04-21 18:00:00"),
        show(13, start_date="2026-04-22 16:00:00", finish_date=None),
        show(14, deleted_at=TODAY),
        show(31, 3),
        show(41, 4, start_date="2026-04-20 20:00:00"),
        show(51, 5, start_date="2026-03-01 16:00:00", finish_date="2026-03-01 18:00:00"),
        show(52, 5),
        show(61, 6),
        show(71, 7),
        show(72, 7),
    )
    earlier = "2026-03-30 09:00:00"
    world.insert(
        "inventory",
        seats(11, 100, 90, snapshot_at=earlier),
        seats(11, 100, 40),
        seats(11, 50, 50, zone_id="2", price="900"),
        seats(12, 0, 0),
        seats(13, 10, 10),
        seats(14, 1000, 1000),
        seats(51, 70, 7, 5, snapshot_at="2026-03-01 09:00:00"),
        seats(52, 80, 0, 5),
        seats(41, 30, 30, 4),
        seats(61, 20, 20, 6),
        seats(71, 5, 5, 7),
        seats(72, 9, 9, 7, snapshot_at=earlier),
        seats(72, None, None, 7, price="0", zone_id=""),
    )
    # One order with tickets of three shows. One row has two tickets.
    world.order(
        1,
        MARCH_30,
        ticket("500", 11, discount_value="100", checked_at="2026-03-31 07:00:00"),
        ticket("700.55", 12, quantity=2),
        ticket("0", 13),
        utm='{"utm_source":"VK ","utm_campaign":"spring"}',
        buyer_hash="anna",
        promo_code_id=9,
        discount_id=8,
    )
    # A refunded ticket: it leaves the revenue of the sale date, and 50 rubles are deducted from the
    # refund. The service also sets `deleted_at`. The second ticket is cancelled.
    world.order(
        2,
        MARCH_30,
        ticket(
            "300",
            refunded_at="2026-03-31 21:30:00",
            deleted_at="2026-03-31 21:30:00",
            refunded_deduction_amount="50",
        ),
        ticket("300", deleted_at=TODAY),
        ticket("300"),
        buyer_hash="anna",
        utm="[]",
    )
    # An order that was cancelled in full after it was paid, and one that was never paid.
    world.order(3, MARCH_30, ticket("1000"), deleted_at=TODAY, buyer_hash="boris", utm="")
    world.order(4, None, ticket("1000"))
    world.order(5, TODAY, ticket("250.25"), utm=None)
    world.order(6, MARCH_30, ticket("10", 21), event_id=2)
    world.order(7, MARCH_30, ticket("20", 31), event_id=3)
    world.order(8, MARCH_30, ticket("30", 41), event_id=4)
    world.order(9, MARCH_30, ticket("9000", 41), event_id=4, currency_id="KZT")
    world.order(10, MARCH_30, ticket("77", 991), event_id=99)
    # The 14 days are today and the 13 days before: in Moscow the 18th is included, the 17th is not.
    world.order(11, "2026-03-17 21:00:00", ticket("1", 61), event_id=6)
    world.order(12, "2026-03-17 20:59:59", ticket("2", 61), event_id=6)
    # A newer version of order 13 has one ticket fewer: the newest version counts.
    world.order(13, MARCH_30, ticket("5", 71), ticket("6", 71), event_id=7)
    world.fetched_at = "2026-03-31 09:30:00"
    world.order(13, MARCH_30, ticket("5", 71), event_id=7)
    world.insert(
        "promo_codes", {"id": 9, "code": "Spring-2026", "is_active": True, "discount_id": 8}
    )
    world.insert("discounts", {"id": 8, "name": "Ten percent", "deleted_at": TODAY})


DAY_OF_BALLET = (
    "SELECT * FROM zakaz.fact_qtickets_sales_daily"
    " WHERE event_id = '1' AND sales_date = '2026-03-30'"
)


def test_sold_tickets_are_paid_neither_refunded_nor_cancelled_and_free_ones_count(
    world: MartsWorld,
) -> None:
    day = world.row(DAY_OF_BALLET)

    assert day["tickets_sold"] == 1 + 2 + 1 + 1
    assert day["revenue"] == Decimal("500") + 2 * Decimal("700.55") + Decimal("300")
    assert (day["orders"], day["city"], day["currency"]) == (2, "москва", "RUB")
    assert day["discount_amount"] == 100


def test_gross_less_refunds_less_cancellations_is_revenue_and_deductions_are_separate(
    world: MartsWorld,
) -> None:
    day = world.row(DAY_OF_BALLET)

    assert (day["refunded_amount"], day["tickets_refunded"]) == (300, 1)
    assert (day["cancelled_amount"], day["tickets_cancelled"]) == (300 + 1000, 2)
    assert day["refund_deduction_amount"] == 50
    assert day["gross_revenue"] - 300 - 1300 == day["revenue"]


def test_a_refund_is_in_the_second_ledger_on_the_day_of_the_refund(world: MartsWorld) -> None:
    refund = world.row("SELECT * FROM zakaz.fact_qtickets_refunds_daily")

    # 21:30 UTC on 31 March is 1 April in Moscow.
    assert refund["refund_date"] == date(2026, 4, 1)
    assert (refund["refunded_amount"], refund["paid_back_amount"]) == (300, 250)
    assert refund["first_sales_date"] == refund["last_sales_date"] == date(2026, 3, 30)


def test_an_order_with_tickets_of_three_shows_is_counted_once_and_shared_between_them(
    world: MartsWorld,
) -> None:
    shows = world.rows(
        "SELECT show_id, tickets_sold, revenue, average_price"
        " FROM zakaz.fact_qtickets_inventory_by_show WHERE event_id = '1' ORDER BY show_id"
    )

    assert [(s["show_id"], s["tickets_sold"], s["revenue"]) for s in shows] == [
        (11, 3, Decimal("500") + 300 + Decimal("250.25")),
        (12, 2, Decimal("1401.10")),
        (13, 1, 0),
        (14, 0, 0),
    ]
    assert shows[3]["average_price"] is None


def test_currencies_are_never_added(world: MartsWorld) -> None:
    rows = world.rows(
        "SELECT currency, revenue_14d FROM zakaz.v_qtickets_sales_dashboard"
        " WHERE event_id = '4' ORDER BY currency"
    )

    assert [(r["currency"], r["revenue_14d"]) for r in rows] == [("KZT", 9000), ("RUB", 30)]


def test_utm_facts_add_up_to_the_days_and_a_missing_source_is_unknown(world: MartsWorld) -> None:
    groups = world.rows(
        "SELECT utm_source, utm_campaign, utm_group, tickets_sold, revenue"
        " FROM zakaz.v_qtickets_sales_utm_daily"
        " WHERE event_id = '1' AND d = '2026-03-30' ORDER BY utm_group"
    )

    assert [tuple(group.values()) for group in groups] == [
        ("", "", "unknown", 1, Decimal("300.00")),
        ("VK ", "spring", "vk", 4, Decimal("1901.10")),
    ]


def test_the_dashboard_has_every_event_that_is_not_deleted_with_0_where_nothing_was_sold(
    world: MartsWorld,
) -> None:
    rows = world.rows("SELECT * FROM zakaz.v_qtickets_sales_dashboard ORDER BY event_id")

    assert {row["event_id"] for row in rows} == {"1", "2", "4", "5", "6", "7", "99"}
    idle = next(row for row in rows if row["event_id"] == "5")
    assert (idle["tickets_sold_today"], idle["revenue_today"], idle["revenue_14d"]) == (0, 0, 0)
    assert idle["currency"] == "RUB"
    ballet = next(row for row in rows if row["event_id"] == "1")
    assert (ballet["tickets_sold_today"], ballet["revenue_today"]) == (1, Decimal("250.25"))


def test_fourteen_days_are_today_and_the_thirteen_before(world: MartsWorld) -> None:
    row = world.row("SELECT * FROM zakaz.v_sales_14d WHERE event_id = '6'")

    assert (row["tickets_sold"], row["revenue"]) == (1, 1)
    days = world.rows("SELECT sales_date FROM zakaz.v_sales_latest WHERE event_id = '6'")
    assert days == [{"sales_date": date(2026, 3, 18)}]


def test_capacity_counts_open_shows_at_their_latest_snapshot(world: MartsWorld) -> None:
    totals = {
        row["event_id"]: (row["tickets_total"], row["tickets_left"])
        for row in world.rows("SELECT * FROM zakaz.dim_events")
    }

    assert totals["1"] == (100 + 50 + 0 + 10, 40 + 50 + 0 + 10)
    assert totals["5"] == (80, 0), "a past show is not counted, and a sold-out show has 0 left"
    assert totals["2"] == (None, None), "0 is for sold out, and this event has no show to sell"
    assert totals["7"] == (None, None), "one unreadable show makes the sum unknown"
    assert totals["99"] == (None, None)


def test_a_deleted_event_keeps_its_sales_and_leaves_the_dashboard(world: MartsWorld) -> None:
    assert world.row("SELECT revenue FROM zakaz.v_sales_14d WHERE event_id = '3'")["revenue"] == 20
    assert world.row("SELECT is_deleted FROM zakaz.dim_events WHERE event_id = '3'") == {
        "is_deleted": 1
    }
    latest = world.rows("SELECT event_id FROM zakaz.fact_qtickets_inventory_latest")
    assert "3" not in {row["event_id"] for row in latest}


def test_sales_of_an_event_that_is_not_listed_are_shown_and_reported(world: MartsWorld) -> None:
    row = world.row("SELECT * FROM zakaz.v_qtickets_sales_dashboard WHERE event_id = '99'")

    assert (row["event_name"], row["city"], row["revenue_14d"]) == ("event 99", "unknown", 77)


def test_the_newest_answer_decides_which_tickets_an_order_has(world: MartsWorld) -> None:
    assert world.row(
        "SELECT tickets_sold, revenue FROM zakaz.v_sales_14d WHERE event_id = '7'"
    ) == {
        "tickets_sold": 1,
        "revenue": Decimal(5),
    }


def test_the_local_start_of_a_show_is_in_the_time_zone_of_its_city(world: MartsWorld) -> None:
    shows = {row["show_id"]: row for row in world.rows("SELECT * FROM zakaz.dim_shows")}

    assert shows[11]["start_local"] == "2026-04-20 19:00"
    assert (shows[41]["start_local"], shows[41]["start_local_date"]) == (
        "2026-04-21 01:00",
        date(2026, 4, 21),
    )
    assert shows[41]["start_date"] == date(2026, 4, 20), "the date is in the reporting time zone"
    assert shows[61]["time_zone"] == "Europe/Moscow", "an invalid zone falls back to Moscow"


def test_a_promo_code_has_its_number_of_uses_and_its_discount(world: MartsWorld) -> None:
    promo = world.row("SELECT * FROM zakaz.fact_qtickets_promo_daily")

    assert (promo["promo_code"], promo["discount_name"]) == ("Spring-2026", "Ten percent")
    assert (promo["uses"], promo["tickets_sold"], promo["discount_amount"]) == (1, 4, 100)
    statuses = world.row(
        "SELECT codes.status AS code, discounts.status AS discount"
        " FROM zakaz.stg_qtickets_api_promo_codes_raw AS codes,"
        " zakaz.stg_qtickets_api_discounts_raw AS discounts"
    )
    assert statuses == {"code": "active", "discount": "deleted"}


def test_a_buyer_is_returning_from_the_second_order_on(world: MartsWorld) -> None:
    buyers = {row["buyer_hash"]: row for row in world.rows("SELECT * FROM zakaz.dim_buyers")}

    assert set(buyers) == {"anna", "boris"}
    assert (buyers["anna"]["orders"], buyers["anna"]["kind"]) == (2, "returning")
    boris = buyers["boris"]
    assert (boris["tickets_sold"], boris["orders"], boris["kind"]) == (0, 0, "none")
    assert boris["orders_ever"] == 1


def test_attendance_is_the_share_of_sold_tickets_that_were_scanned(world: MartsWorld) -> None:
    row = world.row("SELECT * FROM zakaz.fact_qtickets_attendance WHERE show_id = 11")

    assert (row["tickets_sold"], row["tickets_scanned"]) == (3, 1)
    assert row["attendance"] == pytest.approx(1 / 3, abs=1e-4)


def test_a_sales_curve_has_every_day_up_to_today_and_ends_at_what_was_sold(
    world: MartsWorld,
) -> None:
    curve = world.rows(
        "SELECT days_before_show, tickets_sold, tickets_so_far FROM zakaz.fact_qtickets_sales_pace"
        " WHERE show_id = 11 ORDER BY days_before_show"
    )

    # The show is on 20 April, today is 31 March.
    assert [day["days_before_show"] for day in curve] == list(range(20, 181))
    assert [tuple(day.values()) for day in curve[:3]] == [(20, 1, 3), (21, 2, 2), (22, 0, 0)]


def test_zones_show_where_seats_are_left(world: MartsWorld) -> None:
    zones = world.rows(
        "SELECT zone_id, price, tickets_total, tickets_left, tickets_taken, sell_through"
        " FROM zakaz.fact_qtickets_inventory_by_zone WHERE show_id = 11 ORDER BY zone_id"
    )

    assert [tuple(zone.values()) for zone in zones] == [
        ("1", Decimal(500), 100, 40, 60, 0.6),
        ("2", Decimal(900), 50, 50, 0, 0.0),
    ]


def test_old_snapshots_are_thinned_to_one_a_day(world: MartsWorld) -> None:
    world.insert(
        "inventory",
        *(
            seats(11, 100, 100 - hour, snapshot_at=f"2026-01-05 {hour:02}:00:00")
            for hour in range(1, 20)
        ),
        *(
            seats(11, 100, minute, snapshot_at=f"2026-03-10 10:{minute}:00")
            for minute in (10, 20, 30)
        ),
    )
    world.build_models("--select", "+fact_qtickets_inventory_history")

    history = world.rows(
        "SELECT toString(snapshot_ts) AS ts, tickets_left"
        " FROM zakaz.fact_qtickets_inventory_history WHERE show_id = 11 ORDER BY ts"
    )
    assert [tuple(row.values()) for row in history] == [
        ("2026-01-05 22:00:00", 81),
        ("2026-03-10 13:30:00", 30),
        ("2026-03-30 12:00:00", 90),
        ("2026-03-31 12:00:00", 90),
    ]


def test_a_show_is_compared_with_at_least_three_past_shows_of_its_event(world: MartsWorld) -> None:
    # Tickets sold 10 days before and on the day of each past show: shares 1/4, 1/2 and 3/4.
    past = {501: (1, 3), 502: (2, 2), 503: (3, 1)}
    world.insert("events", event(50, city_name="Омск"), event(51, city_name="Тверь"))
    world.insert(
        "shows",
        *(
            show(id_, 50, start_date="2026-03-20 16:00:00", finish_date="2026-03-20 18:00:00")
            for id_ in past
        ),
        show(504, 50, start_date="2026-04-10 16:00:00", finish_date="2026-04-10 18:00:00"),
        show(511, 51, start_date="2026-04-10 16:00:00", finish_date="2026-04-10 18:00:00"),
    )
    for id_, (early, late) in past.items():
        world.order(id_, "2026-03-10 09:00:00", ticket("9", id_, quantity=early), event_id=50)
        world.order(id_ + 50, "2026-03-20 09:00:00", ticket("9", id_, quantity=late), event_id=50)
    for id_, event_id in ((504, 50), (511, 51)):
        world.order(id_, MARCH_30, ticket("9", id_, quantity=6), event_id=event_id)
    # An earlier payment: shows that sell in the week of the first payment may have sold before it.
    world.order(500, "2026-02-01 09:00:00", ticket("9", 599))
    world.build_models("--select", "+fact_qtickets_sales_pace")

    curve = {
        row["show_id"]: row
        for row in world.rows(
            "SELECT show_id, compared_with, compared_shows, usual_share, tickets_so_far,"
            " tickets_expected FROM zakaz.fact_qtickets_sales_pace"
            " WHERE show_id IN (504, 511) AND days_before_show = 10"
        )
    }

    # Show 504 is compared 10 days before its date, when past shows had sold half of their tickets.
    # It has sold 6, so 12 are expected. `tickets_so_far` is not part of this comparison.
    assert curve[504] | {"tickets_so_far": 0} == {
        "show_id": 504,
        "compared_with": "event",
        "compared_shows": 3,
        "usual_share": 0.5,
        "tickets_so_far": 0,
        "tickets_expected": 12.0,
    }
    # Its event and its city have no past show, so there is no expectation.
    assert curve[511]["compared_with"] == "none"
    assert curve[511]["usual_share"] is None and curve[511]["tickets_expected"] is None


def test_staging_models_of_lists_have_the_status_of_each_row(world: MartsWorld) -> None:
    world.insert("price_shades", {"id": 1, "name": "VIP", "color": "#ff0000"})
    world.insert(
        "clients",
        {"id_hash": "anna", "email_hash": "a@", "phone_hash": "a+"},
        {"id_hash": "never bought", "email_hash": "n@", "phone_hash": None},
    )
    world.insert(
        "barcodes",
        {"barcode_hash": "b1", "show_id": 11, "price": "500"},
        {"barcode_hash": "b2", "show_id": 11, "price": "500", "checked_at": TODAY},
    )
    partner = {"event_id": 1, "show_id": 11, "price": "500"}
    world.insert(
        "partner_tickets",
        {**partner, "id": 1, "barcode_hash": "p1", "paid": True, "paid_at": TODAY},
        {**partner, "id": 2, "barcode_hash": "p2", "paid": False, "reserved_to": TODAY},
        {**partner, "id": 3, "barcode_hash": "p3", "paid": True, "deleted": True},
    )

    def states(table: str, key: str, value: str) -> dict[str, Any]:
        rows = world.rows(f"SELECT {key} AS key, {value} AS value FROM zakaz.{table}")
        return {row["key"]: row["value"] for row in rows}

    assert states("stg_qtickets_api_price_shades_raw", "name", "color") == {"VIP": "#ff0000"}
    buyers = states("stg_qtickets_api_clients_raw", "client_id", "(email_hash, orders)")
    assert buyers["never bought"] == ("n@", 0)
    assert buyers["anna"] == ("a@", 2)
    assert buyers["boris"] == (None, 1), (
        "a buyer without a row in the list of clients has a row as well"
    )
    assert states("stg_qtickets_api_barcodes_raw", "barcode", "status") == {
        "b1": "valid",
        "b2": "scanned",
    }
    assert states("stg_qtickets_api_partner_tickets_raw", "partner_ticket_id", "status") == {
        "1": "paid",
        "2": "reserved",
        "3": "cancelled",
    }


def test_the_unit_tests_of_the_models_succeed(world: MartsWorld) -> None:
    run = world.dbt("test", "--selector", "unit_tests")

    assert run.success, run
    assert run.statuses


def test_the_reader_of_a_dashboard_needs_no_rights_on_raw_data(world: MartsWorld) -> None:
    views = world.rows(
        "SELECT name, create_table_query AS sql FROM system.tables"
        " WHERE database = 'zakaz' AND engine = 'View' AND NOT startsWith(name, 'stg_')"
    )

    assert len(views) == 7
    assert not [view["name"] for view in views if "zakaz_raw" in view["sql"]]
