"""Season tickets in the shapes that the documentation leaves open, from JSON to the marts."""

from collections.abc import Iterator
from datetime import datetime, timezone
from decimal import Decimal
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from local_clickhouse import LocalServer
from qtickets_source.observations import Findings
from qtickets_source.rows.context import RowContext
from qtickets_source.rows.orders import order_tables
from tests.support.marts_world import MartsWorld, event, marts_world, show

Row = dict[str, Any]

PAID = "2026-03-30T13:00:00+03:00"
LATER = "2026-03-31T10:00:00+03:00"
READ_AT = datetime(2026, 3, 31, 9, tzinfo=timezone.utc)
PRICES = (Decimal("500.01"), Decimal("500.24"))
SHAPES = {"listed by id": 1, "nested": 2, "nested and listed": 3, "without prices of their own": 4}
"""Event of each shape; its shows are 11 and 12, 21 and 22, and so on."""

_ids = count(1)


def basket(show_id: int, price: Decimal, **fields: Any) -> Row:
    return {"id": next(_ids), "show_id": show_id, "quantity": 1, "price": price, **fields}


def season_ticket(shape: str, *, refunded: str = "", scanned: bool = False) -> list[Row]:
    """Return the `baskets` of an order of one season ticket with two related tickets.

    Args:
        shape: One of `SHAPES`.
        refunded: "one": the first related ticket; "all": the season ticket as a whole.
        scanned: The second related ticket was scanned.
    """
    event_id = SHAPES[shape]
    has_prices = shape != "without prices of their own"
    related = [
        basket(10 * event_id + place, price if has_prices else Decimal(0))
        for place, price in enumerate(PRICES, start=1)
    ]
    main = basket(10 * event_id + 1, sum(PRICES, Decimal(0)))
    if refunded == "one":
        related[0] |= {"refunded_at": LATER, "deleted_at": LATER}
    if refunded == "all":
        main |= {"refunded_at": LATER, "deleted_at": LATER}
    if scanned:
        related[1] |= {"checked_at": LATER}
    is_nested = shape != "listed by id"
    main["related_baskets"] = related if is_nested else [ticket["id"] for ticket in related]
    return [main] if shape in ("nested", "without prices of their own") else [main, *related]


def insert(world: MartsWorld, event_id: int, baskets: list[Row]) -> None:
    order = {
        "id": next(_ids),
        "event_id": event_id,
        "payed": True,
        **dict.fromkeys(("payed_at", "created_at", "updated_at"), PAID),
        "currency_id": "RUB",
        "_fetched_at": READ_AT,
        "baskets": baskets,
    }
    tables = order_tables([order], RowContext(b"salt", frozenset(), Findings()))
    for name, table in zip(("orders", "tickets"), tables, strict=True):
        rows = (
            table.drop_columns(["services", "refunds"]).to_pylist()
            if name == "tickets"
            else (table.to_pylist())
        )
        world.insert(name, *({key: as_json(value) for key, value in row.items()} for row in rows))


def as_json(value: Any) -> Any:
    if isinstance(value, datetime):
        return f"{value:%Y-%m-%d %H:%M:%S}"
    return str(value) if isinstance(value, Decimal) else value


@pytest.fixture(scope="module")
def world(home: Path, server: LocalServer) -> Iterator[MartsWorld]:
    with marts_world(home) as world:
        for shape, event_id in SHAPES.items():
            world.insert("events", event(event_id))
            world.insert(
                "shows", show(10 * event_id + 1, event_id), show(10 * event_id + 2, event_id)
            )
            insert(world, event_id, season_ticket(shape, scanned=True))
            insert(world, event_id, season_ticket(shape, refunded="one"))
            insert(world, event_id, season_ticket(shape, refunded="all"))
        world.build()
        yield world


@pytest.mark.parametrize("shape", SHAPES)
def test_revenue_is_that_of_the_related_tickets_and_each_season_ticket_is_one(
    world: MartsWorld, shape: str
) -> None:
    sold = world.row(
        "SELECT sum(tickets_sold) AS tickets, sum(revenue) AS revenue, sum(gross_revenue) AS gross,"
        " sum(refunded_amount) AS refunded FROM zakaz.fact_qtickets_sales_daily"
        f" WHERE event_id = '{SHAPES[shape]}'"
    )

    whole = sum(PRICES)
    has_prices = shape != "without prices of their own"
    # Without prices of their own, the money follows the season ticket, which is still sold.
    revenue = whole + PRICES[1] if has_prices else 2 * whole
    assert sold == {
        "tickets": 2,
        "revenue": revenue,
        "gross": 3 * whole,
        "refunded": 3 * whole - revenue,
    }
    if has_prices:
        assert revenue == Decimal("1500.49")


@pytest.mark.parametrize("shape", SHAPES)
def test_entrances_are_those_of_the_related_tickets_on_their_shows(
    world: MartsWorld, shape: str
) -> None:
    shows = world.rows(
        "SELECT show_id % 10 AS show, tickets_sold, tickets_scanned"
        " FROM zakaz.fact_qtickets_attendance"
        f" WHERE event_id = '{SHAPES[shape]}' ORDER BY show"
    )

    assert shows == [
        {"show": 1, "tickets_sold": 1, "tickets_scanned": 0},
        {"show": 2, "tickets_sold": 2, "tickets_scanned": 1},
    ]


def test_the_fact_of_tickets_tells_season_tickets_from_related_ones(world: MartsWorld) -> None:
    rows = world.rows(
        "SELECT is_season_ticket, main_ticket_id != 0 AS is_related, sum(quantity) AS quantity,"
        " sum(entrances) AS entrances, count() AS rows FROM zakaz.fact_qtickets_tickets"
        " GROUP BY ALL ORDER BY ALL"
    )

    assert rows == [
        {"is_season_ticket": 0, "is_related": 1, "quantity": 0, "entrances": 24, "rows": 24},
        {"is_season_ticket": 1, "is_related": 0, "quantity": 12, "entrances": 0, "rows": 12},
    ]


def test_the_ledger_adds_up_to_revenue(world: MartsWorld) -> None:
    ledger = world.row(
        "SELECT sumIf(amount, entry_type != 'refund_retained') AS amount FROM"
        " zakaz.fact_qtickets_ledger_daily"
    )
    revenue = world.row("SELECT sum(revenue) AS amount FROM zakaz.fact_qtickets_sales_daily")

    assert ledger == revenue
