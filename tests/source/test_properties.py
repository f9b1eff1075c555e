"""Properties of windows, walks and conversions that must hold for any input."""

import json
import os
from collections.abc import Callable
from datetime import datetime, timedelta, timezone
from decimal import Decimal
from email.utils import format_datetime
from itertools import pairwise
from typing import Any
from unittest.mock import patch

import pytest
from hypothesis import assume, example, given, settings
from hypothesis import strategies as st
from requests import Request, Response

import pipelines.loading.history
from pipelines.loading.history import parts_of_history
from qtickets_source.api.filters import Condition
from qtickets_source.api.pagination import KeysetPaginator
from qtickets_source.errors import BadRow
from qtickets_source.observations import Findings
from qtickets_source.privacy import redact_json
from qtickets_source.rows.columns import convert_fast, json_text, to_arrow
from qtickets_source.rows.context import RowContext
from qtickets_source.rows.orders import order_tables
from qtickets_source.rows.schema import ORDERS, TICKETS, Column
from qtickets_source.state.periods import Window, covered, merged, months

Row = dict[str, Any]

settings.register_profile("quick", max_examples=60, deadline=None, derandomize=True, database=None)
settings.load_profile(os.environ.get("HYPOTHESIS_PROFILE", "quick"))

BEGINNING = datetime(2024, 1, 1, tzinfo=timezone.utc)
moments = st.integers(0, 800 * 24).map(lambda hours: BEGINNING + timedelta(hours=hours))
windows = st.tuples(moments, st.one_of(st.none(), moments)).filter(
    lambda window: window[1] is None or window[0] < window[1]
)


# -- windows --------------------------------------------------------------------------------------


@given(moments, moments)
def test_months_cut_a_period_without_gap_or_overlap(since: datetime, until: datetime) -> None:
    parts = list(months(since, until))

    if since >= until:
        assert parts == []
        return
    assert parts[0][0] == since and parts[-1][1] == until
    assert all(start < end for start, end in parts)
    for (_, end), (start, _) in pairwise(parts):
        assert end == start
        assert (end.day, end.hour, end.minute) == (1, 0, 0)
    assert all(len({start.month, (end - timedelta(seconds=1)).month}) == 1 for start, end in parts)


@given(moments, moments)
def test_slow_history_is_loaded_month_by_month_and_fast_history_in_growing_parts(
    since: datetime, until: datetime
) -> None:
    one_by_one = list(months(since, until))

    with patch.object(pipelines.loading.history, "SECONDS_PER_PART", 0):
        assert list(parts_of_history(since, until)) == one_by_one
    with patch.object(pipelines.loading.history, "SECONDS_PER_PART", 1e9):
        parts = list(parts_of_history(since, until))

    # 1 month, 2 months, 4 months, …
    starts = [one_by_one[2**n - 1][0] for n in range(len(one_by_one)) if 2**n <= len(one_by_one)]
    assert [start for start, _ in parts] == starts
    assert [end for _, end in parts] == [*starts[1:], *(end for _, end in one_by_one[-1:])]


@given(st.lists(windows, max_size=8), st.lists(moments, max_size=20))
def test_merged_windows_cover_the_same_moments_with_the_fewest_windows(
    given_windows: list[Window], probes: list[datetime]
) -> None:
    result = merged(given_windows)

    edges = [edge for window in given_windows for edge in window if edge]
    for moment in [*probes, *edges, *(edge - timedelta(seconds=1) for edge in edges)]:
        assert covered(result, moment) == covered(given_windows, moment)
    assert merged(result) == result
    assert merged(reversed(given_windows)) == result
    for (_, end), (start, _) in pairwise(result):
        assert end is not None and end < start


# -- a walk while the list changes ----------------------------------------------------------------


class ModelService:
    """Orders that change while they are listed: id → second of the last change."""

    def __init__(self, orders: dict[int, int], per_page: int, changes: list[list[int]]) -> None:
        self.orders, self.per_page = dict(orders), per_page
        self.changes = iter(changes)
        self.now = 1000

    def moment(self, second: int) -> datetime:
        return BEGINNING + timedelta(seconds=second)

    def answer(self, body: Row) -> Response:
        """Return the current page; then let time pass, with new and changed orders."""
        conditions = [
            Condition(
                line["column"],
                line["operator"],
                datetime.fromisoformat(line["value"])
                if line["column"] == "updated_at"
                else line["value"],
            )
            for line in body["where"]
        ]
        rows = [
            {"id": id_, "updated_at": self.moment(self.orders[id_]).isoformat()}
            for id_ in sorted(self.orders)
        ]
        matches = [row for row in rows if all(condition.matches(row) for condition in conditions)]
        page = matches[: self.per_page]
        payload = {"data": page, "paging": {"perPage": self.per_page, "total": len(matches)}}
        response = Response()
        response.headers["Date"] = format_datetime(self.moment(self.now), usegmt=True)
        response.json = lambda **_: payload  # type: ignore[method-assign]
        self.now += 1
        for id_ in next(self.changes, []):
            self.orders[id_] = self.now
        return response

    def walk(self, since: int, closed_by: str | None) -> list[Row]:
        paginator = KeysetPaginator(
            "orders",
            [Condition("updated_at", ">=", self.moment(since))],
            "get_body",
            closed_by=closed_by,
        )
        request, received = Request(), []
        paginator.init_request(request)
        while paginator.has_next_page:
            assert request.json
            response = self.answer(request.json)
            rows = response.json()["data"]
            paginator.update_state(response, rows)
            paginator.update_request(request)
            received += rows
            assert len(received) < 1000, "the walk does not end"
        return received


order_ids = st.integers(1, 40)


@given(
    st.dictionaries(order_ids, st.integers(0, 999), max_size=30),
    st.integers(1, 5),
    st.lists(st.lists(order_ids, max_size=4), max_size=20),
    st.integers(0, 999),
)
@example({1: 500, 2: 500, 3: 500}, 2, [[1], [3]], 500)
def test_two_walks_hold_the_newest_state_of_every_order_whatever_happens_meanwhile(
    orders: dict[int, int], per_page: int, changes: list[list[int]], since: int
) -> None:
    service = ModelService(orders, per_page, changes)
    began_at = service.now

    first = service.walk(since, closed_by="updated_at")
    service.changes = iter([])
    second = service.walk(began_at, closed_by="updated_at")

    newest: dict[int, str] = {}
    for row in first + second:
        newest[row["id"]] = max(newest.get(row["id"], ""), row["updated_at"])
    assert newest == {
        id_: service.moment(second_).isoformat()
        for id_, second_ in service.orders.items()
        if second_ >= since
    }
    for walk in (first, second):
        received = [row["id"] for row in walk]
        assert received == sorted(set(received)), "an order came twice"


@given(
    st.dictionaries(order_ids, st.integers(0, 999), max_size=30),
    st.integers(1, 5),
    st.lists(st.lists(order_ids, max_size=4), max_size=20),
)
def test_a_walk_gives_every_order_that_stays_in_the_list_exactly_once(
    orders: dict[int, int], per_page: int, changes: list[list[int]]
) -> None:
    touched = {id_ for change in changes for id_ in change}
    service = ModelService(orders, per_page, changes)

    received = [row["id"] for row in service.walk(0, closed_by="updated_at")]

    assert set(orders) - touched <= set(received) and len(received) == len(set(received))


# -- from an order to rows ------------------------------------------------------------------------

PERSON = "Фамилия-Имя"
money = st.one_of(
    st.integers(0, 10**12),
    st.decimals(0, 10**12, places=2),
    st.integers(0, 10**6).map(str),
    st.decimals(0, 10**9, places=2).map(str),
)
scalars = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(),
    st.decimals(allow_nan=False, allow_infinity=False),
    st.text(),
    st.just("half a smile \ud83d"),
)
anything: st.SearchStrategy[Any] = st.recursive(
    st.one_of(scalars, st.just([]), st.just({}), st.just("")),
    lambda inner: st.one_of(
        st.lists(inner, max_size=3), st.dictionaries(st.text(max_size=8), inner, max_size=3)
    ),
    max_leaves=6,
)


def names(table: Any, *kinds: str) -> list[str]:
    return [column.name for column in table.field_columns if column.kind in kinds]


def informational(table: Any) -> st.SearchStrategy[Row]:
    optional = [c.name for c in table.field_columns if not c.required]
    chosen = [name for name in optional if name in names(table, "flag", "text", "json")]
    return st.fixed_dictionaries({}, optional=dict.fromkeys(chosen, anything))


def personal(table: Any) -> Row:
    """Return a row with personal data in every field that must not be loaded."""
    return {name: f"{PERSON} {name} ivan@example.ru" for name in table.withheld}


@st.composite
def tickets(draw: Callable[..., Any]) -> Row:
    return {
        **personal(TICKETS),
        "id": draw(st.integers(1, 10**9)),
        "show_id": 5,
        "quantity": draw(st.integers(0, 50)),
        "price": draw(money),
        **draw(informational(TICKETS)),
    }


@st.composite
def orders(draw: Callable[..., Any]) -> Row:
    return {
        **personal(ORDERS),
        "id": draw(st.integers(1, 10**9)),
        "event_id": 7,
        "payed": draw(st.sampled_from([True, False, 0, 1, "0", "1"])),
        "payed_at": draw(st.sampled_from([None, "", "2025-11-03T18:41:20+03:00"])),
        "created_at": "2025-11-03T18:40:00+03:00",
        "currency_id": "RUB",
        **draw(informational(ORDERS)),
        "baskets": draw(st.lists(tickets(), max_size=3, unique_by=lambda ticket: ticket["id"])),
        "_fetched_at": BEGINNING,
    }


def an_order(**more: Any) -> Row:
    ticket = {"id": 11, "show_id": 5, "quantity": 1, "price": 100}
    order = {
        "id": 1,
        "event_id": 7,
        "payed": True,
        "payed_at": "2025-11-03T18:41:20+03:00",
        "created_at": "2025-11-03T18:40:00+03:00",
        "currency_id": "RUB",
        "baskets": [ticket],
        "_fetched_at": BEGINNING,
    }
    return order | more


def context(*allowed: str) -> RowContext:
    return RowContext(b"salt", frozenset(allowed), Findings())


@given(st.lists(orders(), max_size=4))
def test_orders_become_rows_with_all_their_money_and_ids_and_no_personal_data(
    given_orders: list[Row],
) -> None:
    expected = sum(
        (
            Decimal(str(ticket["price"])) * ticket["quantity"]
            for order in given_orders
            for ticket in order["baskets"]
        ),
        Decimal(0),
    )

    order_rows, ticket_rows = order_tables(given_orders, context())

    rows = ticket_rows.to_pylist()
    assert sum((row["price"] * row["quantity"] for row in rows), Decimal(0)) == expected
    assert [row["id"] for row in order_rows.to_pylist()] == [o["id"] for o in given_orders]
    assert [(row["order_id"], row["id"]) for row in rows] == [
        (order["id"], ticket["id"]) for order in given_orders for ticket in order["baskets"]
    ]
    text = json.dumps(order_rows.to_pylist() + rows, default=str, ensure_ascii=False)
    assert PERSON not in text and "ivan@" not in text


too_exact = st.decimals(0, 1000, places=3).filter(lambda d: d != d.quantize(Decimal("0.01")))
BAD = {
    "integer": st.one_of(
        st.booleans(),
        st.text(st.characters(codec="ascii", categories=["L", "P"]), min_size=1),
        st.decimals(0, 10**6, places=1).filter(lambda d: d != int(d)),
        st.integers(min_value=2**63),
        st.just({"ru": 1}),
        st.just([1]),
    ),
    "money": st.one_of(
        st.booleans(),
        st.sampled_from(["free", "1,5", "NaN", "Infinity", "1e99", "10 руб.", "--"]),
        too_exact,
        too_exact.map(str),
        st.integers(min_value=10**16),
        st.just({"RUB": 1}),
        st.just([100]),
        st.just(float("nan")),
    ),
    "timestamp": st.one_of(
        st.booleans(),
        st.integers(),
        st.decimals(allow_nan=False, allow_infinity=False),
        st.sampled_from(
            [
                *("soon", "2025-11-03", "2025-11-03T18:41:20", "0000-00-00 00:00:00", "1.5"),
                *("-0001-11-30T00:00:00+02:30", "0001-01-01T00:00:00+03:00"),
                *("2025-13-01T00:00:00Z", "later"),
            ]
        ),
        st.just([]),
        st.just({"date": "2025-11-03T18:41:20+03:00"}),
    ),
}
BAD_FIELDS = [
    (table.name, column.name, column.kind)
    for table in (ORDERS, TICKETS)
    for column in table.field_columns
    if column.kind in BAD and not column.lenient
]


@pytest.mark.parametrize("table, field, kind", BAD_FIELDS)
@settings(max_examples=15)
@given(st.data())
def test_a_bad_amount_date_or_id_is_an_error_that_names_the_row_and_the_field(
    table: str, field: str, kind: str, data: st.DataObject
) -> None:
    bad = data.draw(BAD[kind])
    order = an_order()
    (order if table == "orders" else order["baskets"][0])[field] = bad

    with pytest.raises(BadRow) as refused:
        order_tables([an_order(id=2, baskets=[]), order], context())

    row_id = bad if field == "id" else 1 if table == "orders" else 11
    assert f"{table[:-1]} {row_id}: `{field}`" in str(refused.value)


REQUIRED = [
    (table.name, column.name)
    for table in (ORDERS, TICKETS)
    for column in table.field_columns
    if column.required and column.name != "id"
]


@pytest.mark.parametrize("table, field", REQUIRED)
@pytest.mark.parametrize("how", ["missing", "null"])
def test_fields_that_money_and_counts_depend_on_are_required(
    table: str, field: str, how: str
) -> None:
    order = an_order()
    row = order if table == "orders" else order["baskets"][0]
    row[field] = None
    if how == "missing":
        del row[field]

    with pytest.raises(BadRow, match=f"`{field}` is missing"):
        order_tables([order], context())


@given(anything)
def test_json_text_equals_the_output_of_pythons_own_encoder(value: Any) -> None:
    assume(value not in (None, [], {}, ""))

    own = json.dumps(redact_json(value), ensure_ascii=False, separators=(",", ":"), default=str)

    assert json_text(value) == own.encode("utf-8", "replace").decode()


def in_column(column: Column, values: list[Any]) -> list[Any]:
    """Return values as a column stores them."""
    array = to_arrow(column, values, convert_fast(column.kind, values), "row", range(len(values)))
    return list(array.to_pylist())


@given(
    st.sampled_from(["integer", "money", "timestamp", "flag", "text", "json"]),
    st.lists(
        st.one_of(anything, money, st.sampled_from(["2025-11-03T18:41:20+03:00", "2299-12-31"])),
        max_size=4,
    ),
)
def test_a_value_is_converted_the_same_way_alone_and_with_others(
    kind: Any, values: list[Any]
) -> None:
    column = Column("field", kind)

    def alone(value: Any) -> Any:
        return in_column(column, [value])[0]

    try:
        together = in_column(column, values)
    except BadRow:
        bad = [value for value in values if _is_refused(column, value)]
        assert bad
        return
    assert together == [alone(value) for value in values]


def _is_refused(column: Column, value: Any) -> bool:
    try:
        in_column(column, [value])
    except BadRow:
        return True
    return False


def test_a_date_beyond_the_range_of_a_table_becomes_the_latest_possible() -> None:
    for text in ("9999-12-31T23:59:59-03:00", "2999-01-01T00:00:00+03:00"):
        (moment,) = in_column(Column("active_to", "timestamp"), [text])
        assert moment == datetime(2299, 12, 31, tzinfo=timezone.utc)


# -- the answers change ---------------------------------------------------------------------------

plain_scalars = st.one_of(
    st.booleans(),
    st.integers(0, 10**8 - 1),
    st.sampled_from(["vip", "row_3:A-12.b", "2026-06-15", "2026-06-15T13:00:00+03:00", "1500.50"]),
)


@given(st.sampled_from(["loyalty_level", "sales_channel", "vip2"]), plain_scalars)
def test_a_new_field_becomes_a_text_column_and_is_reported(name: str, value: Any) -> None:
    some = context()

    order_rows, ticket_rows = order_tables(
        [an_order(**{name: value}), an_order(id=2)],
        some,
    )

    expected = value if isinstance(value, str) else json.dumps(value)
    assert order_rows[name].to_pylist() == [expected, None]
    assert str(order_rows.schema.field(name).type) == "string"
    assert some.findings.new_columns == {f"orders.{name}"}
    assert name not in ticket_rows.column_names


@given(st.lists(anything.filter(lambda value: "@" not in str(value)), min_size=2, max_size=4))
def test_a_new_field_that_changes_its_type_breaks_nothing(values: list[Any]) -> None:
    assume(not any("http" in str(value) for value in values))
    tables = [order_tables([an_order(mood=value)], context())[0] for value in values]

    for table in tables:
        if "mood" in table.column_names:
            assert str(table.schema.field("mood").type) == "string"
    together, _ = order_tables([an_order(mood=value) for value in values], context())
    assert together.num_rows == len(values)


@pytest.mark.parametrize(
    "field, before, after",
    [
        ("utm", [], {"utm_source": "vk"}),
        ("utm", {"utm_source": "vk"}, "vk"),
        ("refunds", [], {"5": {"amount": 100}}),
        ("payment_type_id", "card", 4326371),
        ("payment_type_id", "card", {"ru": "карта", "en": "card"}),
        ("reserved", False, "1"),
    ],
)
def test_a_field_that_changes_from_list_to_object_or_from_text_to_number_breaks_nothing(
    field: str, before: Any, after: Any
) -> None:
    table, _ = order_tables(
        [an_order(**{field: before}), an_order(id=2, **{field: after})], context()
    )
    alone, _ = order_tables([an_order(id=2, **{field: after})], context())

    assert table.num_rows == 2
    assert table.schema == alone.schema
    assert table[field].to_pylist()[1] == alone[field].to_pylist()[0]
    assert alone[field].to_pylist()[0] is not None


def test_an_informational_field_that_disappears_leaves_an_empty_column() -> None:
    with_it, _ = order_tables([an_order(utm={"utm_source": "vk"}, price=5)], context())
    without_it, _ = order_tables([an_order()], context())

    assert without_it.schema == with_it.schema
    assert without_it["utm"].to_pylist() == without_it["price"].to_pylist() == [None]


@pytest.mark.parametrize(
    "name, value",
    [
        ("second_email", "кто-то"),
        ("note", "позвонить Ивану"),
        ("extra", "ivan@example.ru"),
        ("extra", {"who": {"x": ["+7 913 123-45-67"]}}),
        ("extra", "https://qtickets.ru/pay/AbC"),
        ("extra", ["8 (913) 123-45-67"]),
        ("extra", "9131234567"),
        ("extra", 79131234567),
        ("extra", "913 123 45 67"),
        ("extra", 2200123412341234),
        ("extra", "2200 1234 1234 1234"),
        ("extra", "4509 123456"),
        ("extra", "4509123456"),
        ("extra", "Иванов Иван Иванович"),
        ("extra", "Anna Petrova"),
        ("extra", "t.me/anna"),
        ("extra", {"seats": [{"who": "Иван"}]}),
        ("extra", "да"),
        ("extra", "x" * 33),
        *((name, "vip") for name in ("ФИО", "телефон", "guest", "holder", "login", "Имя гостя")),
    ],
)
def test_a_new_field_that_may_be_personal_is_withheld_and_reported_until_it_is_allowed(
    name: str, value: Any
) -> None:
    some, allowing = context(), context(f"orders.{name}")

    withheld, _ = order_tables([an_order(**{name: value})], some)
    allowed, _ = order_tables([an_order(**{name: value})], allowing)

    assert withheld.column_names == ORDERS.arrow_schema().names
    assert some.findings.withheld == {f"orders.{name}"} and not some.findings.new_columns
    assert len(allowed.column_names) == len(withheld.column_names) + 1
    assert allowing.findings.new_columns == {f"orders.{name}"} and not allowing.findings.withheld


def test_an_answer_with_thousands_of_new_fields_makes_fifty_columns_a_run() -> None:
    some = context()
    fields = {f"zone_{number}": number for number in range(2000)}

    rows, _ = order_tables([an_order(**fields)], some)
    again, _ = order_tables([an_order(id=2, **fields)], some)

    assert len(rows.column_names) == len(ORDERS.columns) + 50
    assert again.column_names == rows.column_names
    assert len(some.findings.new_columns) == 50 and len(some.findings.too_many) == 1950
