"""The numbers of the dashboards, by the SQL that the tool sends, equal the recomputed ones.

The data has two currencies, events in two time zones, an event that is over, one that is sold out,
one whose seats are unknown, and days without a plan.
"""

import json
from collections import defaultdict
from collections.abc import Iterator
from decimal import Decimal
from pathlib import Path
from typing import Any

import pytest

from bi import superset
from bi.__main__ import WORKBOOK
from bi.datalens import user_type
from bi.definition import definition
from bi.options import Options
from local_clickhouse import LocalServer
from tests.bi.datalens_sql import DataLensDataset
from tests.bi.recomputed import MEASURES, Row
from tests.support.account import Account
from tests.support.expected import sales_daily
from tests.support.marts_world import MartsWorld, event, marts_world, seats, show, ticket

DEFINITION = definition()
WORKBOOK_DATASETS = {
    name: entry["dataset"]
    for name, entry in json.loads(WORKBOOK.read_text())["export"]["entries"]["dataset"].items()
}
METHODS = {
    "pickup": "прогноз",
    "curve": "как похожие сеансы",
    "last_week": "как последняя неделя",
}
LATE = "2026-03-30 22:30:00"
"""31 March in Moscow and in Almaty, 30 March in UTC."""


@pytest.fixture(scope="module")
def world(home: Path, server: LocalServer) -> Iterator[MartsWorld]:
    with marts_world(home) as world:
        _fill(world)
        world.build_models()
        _plan(world)
        yield world


def _fill(world: MartsWorld) -> None:
    almaty = {"city_name": "Алматы", "city_timezone": "Asia/Almaty", "currency_id": "KZT"}
    past = {"start_date": "2026-03-20 16:00:00", "finish_date": "2026-03-20 18:00:00"}
    world.insert(
        "events",
        event(1, name="Балет"),
        event(2, name="Two currencies", **almaty),
        event(3, name="Over"),
        event(4, name="Sold out"),
        event(5, name="Unknown seats"),
        event(6, name="Nearly sold out"),
        event(7, name="No places"),
    )
    world.insert(
        "shows",
        *(show(id_, id_ // 10) for id_ in (11, 21, 41, 51, 61, 71)),
        *(show(id_, 3, **past) for id_ in (31, 32, 33)),
        show(34, 3, start_date="2026-03-29 16:00:00", finish_date="2026-03-29 18:00:00"),
    )
    world.insert(
        "inventory",
        seats(11, 100, 40),
        seats(11, 60, 50, zone_id="2", price="900"),
        seats(21, 300, 200, 2, currency_id="KZT"),
        seats(31, 50, 0, 3),
        seats(41, 20, 0, 4),
        seats(51, None, None, 5, price="0", zone_id=""),
        seats(61, 100, 10, 6),
        seats(71, 0, 0, 7),
    )
    promo = {"promo_code_id": 9, "discount_id": 8}
    vk = '{"utm_source":" VK","utm_medium":"cpc","utm_campaign":"spring"}'
    kept: Row = {"refunded_at": "2026-03-31 08:00:00", "refunded_deduction_amount": "7.13"}
    world.order(1, LATE, ticket("333.33", discount_value="33.34"), utm=vk, buyer_hash="a", **promo)
    world.order(2, "2026-03-31 07:00:00", ticket("1000", quantity=2), buyer_hash="a")
    world.order(3, "2026-03-02 07:00:00", ticket("100.10", **kept), ticket("4175"), buyer_hash="b")
    world.order(4, "2026-02-02 07:00:00", ticket("50"), deleted_at="2026-03-05 08:00:00")
    world.order(5, "2026-03-30 09:00:00", ticket("0"), utm=vk, buyer_hash="c")
    kzt = {"event_id": 2, "currency_id": "KZT"}
    world.order(6, LATE, ticket("9000.01", 21, service_fee_amount="90.5"), **kzt)
    world.order(7, "2026-03-29 09:00:00", ticket("700", 21), event_id=2, buyer_hash="b")
    checked: Row = {"checked_at": "2026-03-20 15:30:00"}
    for number, show_id in enumerate((31, 32, 33, 34), start=8):
        tickets = ticket("10", show_id, **checked), ticket("30", show_id)
        world.order(number, "2026-03-10 09:00:00", *tickets, event_id=3)
    world.order(12, "2026-03-30 09:00:00", ticket("77.77", 41), event_id=4, **promo)
    world.insert("promo_codes", {"id": 9, "code": "SPRING", "is_active": True, "discount_id": 8})
    world.insert("discounts", {"id": 8, "name": "Ten percent"})


def _plan(world: MartsWorld) -> None:
    rows = "('2026-03-31', '1', '', 3, 1500.5), ('2026-03-29', '2', '', 0, 0)"
    with world.warehouse.connect(world.warehouse.transformer) as client:
        client.command(f"INSERT INTO zakaz.plan_sales VALUES {rows}")


def queried(world: MartsWorld, dataset: str, measure: str, groups: list[str]) -> dict[Any, Any]:
    """Return the values of a measure by the values of dimensions, by the SQL of DataLens."""
    return {key: row[measure] for key, row in all_queried(world, dataset, groups).items()}


def all_queried(world: MartsWorld, dataset: str, groups: list[str]) -> dict[Any, Row]:
    """Return the values of all measures of a dataset by those of dimensions."""
    guids = [f"dim_{name}" for name in groups]
    measures = [f"measure_{name}" for name in DEFINITION.datasets[dataset].measures]
    sql = DataLensDataset(WORKBOOK_DATASETS[dataset]).sql(measures, guids)
    return _by_group(world.rows(sql), guids)


def _by_group(rows: list[Row], guids: list[str]) -> dict[Any, Row]:
    return {
        tuple(row[guid] for guid in guids): {
            name.removeprefix("measure_"): value
            for name, value in row.items()
            if name.startswith("measure_")
        }
        for row in rows
    }


def rows_of(world: MartsWorld, dataset: str) -> list[Row]:
    """Return the rows of the table of a dataset, with its plain dimensions as `dim_…`."""
    given = DEFINITION.datasets[dataset]
    names = {
        (join.table, row[join.key]): row[join.column]
        for join in given.joins
        for row in world.rows(f"SELECT {join.key}, {join.column} FROM zakaz.{join.table}")
    }
    rows = world.rows(f"SELECT * FROM zakaz.{given.table}")
    for dimension in given.dimensions.values():
        for row in rows:
            if dimension.join:
                value = names.get((dimension.join.table, row[dimension.join.key]))
                row[f"dim_{dimension.id}"] = value
            elif dimension.formula in row:
                row[f"dim_{dimension.id}"] = row[dimension.formula]
            elif dimension.id == "method":
                row["dim_method"] = METHODS[row["method"]]
    return rows


def test_every_measure_is_recomputed() -> None:
    assert set(MEASURES) == {
        name for dataset in DEFINITION.datasets.values() for name in dataset.measures
    }


def groupings(dataset: str) -> list[list[str]]:
    """Return the sets of dimensions by which the measures of a dataset are compared."""
    dimensions = DEFINITION.datasets[dataset].dimensions
    plain = [name for name in dimensions if name in ("currency", "event", "days_before_show")]
    found = [[], plain[:1], plain, [name for name in plain if name != "event"]]
    if "show" in dimensions:
        found.append([*plain, "show"])
    if "method" in dimensions:
        found.append(["horizon", "method"])
    return found


@pytest.mark.parametrize("dataset", DEFINITION.datasets)
def test_every_measure_is_that_of_the_mart(world: MartsWorld, dataset: str) -> None:
    rows = rows_of(world, dataset)
    compared: dict[str, list[Any]] = defaultdict(list)
    for groups in groupings(dataset):
        found = all_queried(world, dataset, groups)
        grouped: dict[Any, list[Row]] = defaultdict(list)
        for row in rows:
            grouped[tuple(row[f"dim_{name}"] for name in groups)].append(row)
        assert set(found) == set(grouped)
        for key, of_group in grouped.items():
            for measure, compute in MEASURES.items():
                if measure not in found[key]:
                    continue
                value, expected = found[key][measure], compute(of_group)
                if measure == "age" and value:  # the time passes between two readings
                    value, expected = round(value), round(expected)
                if isinstance(expected, float):
                    assert value == pytest.approx(expected, rel=1e-9), (measure, groups, key)
                else:
                    assert value == expected, (measure, groups, key)
                compared[measure].append(value)
    empty = [measure for measure, values in compared.items() if not any(values)]
    assert empty == [], "only empty values are compared"


@pytest.mark.parametrize("dataset", DEFINITION.datasets)
def test_superset_has_the_numbers_of_datalens(world: MartsWorld, dataset: str) -> None:
    given = DEFINITION.datasets[dataset]
    for groups in [*groupings(dataset), list(given.dimensions)]:
        guids = [f"dim_{name}" for name in groups]
        columns = [*guids]
        columns += [
            f"{superset.measure_sql(given, measure)} AS measure_{measure.id}"
            for measure in given.measures.values()
        ]
        by = f" GROUP BY {', '.join(guids)}" if guids else ""
        sql = f"SELECT {', '.join(columns)} FROM ({superset.query(given, Options())}){by}"
        found = _by_group(world.rows(sql), guids)
        expected = all_queried(world, dataset, groups)
        for values in [*found.values(), *expected.values()]:
            for name, value in values.items():
                if given.measures[name].unit == "time" and value:
                    values[name] = str(value)[:16]
                if name == "age" and value:
                    values[name] = round(value)
        assert found == expected, groups


def test_money_of_several_currencies_is_not_added(world: MartsWorld) -> None:
    both = queried(world, "sales", "revenue", [])
    each = queried(world, "sales", "revenue", ["currency"])

    assert both == {(): None}
    rubles = Decimal("333.33") + 2000 + 4175 + 700 + 4 * 40 + Decimal("77.77")
    assert each == {("RUB",): rubles, ("KZT",): Decimal("9000.01")}


def test_seats_of_an_event_with_two_currencies_are_counted_once(world: MartsWorld) -> None:
    assert queried(world, "now", "seats_left", []) == {(): None}
    by_currency = queried(world, "now", "seats_left", ["currency", "event"])

    assert by_currency["KZT", "Two currencies"] == by_currency["RUB", "Two currencies"] == 200


def test_a_share_of_money_keeps_its_digits(world: MartsWorld) -> None:
    share = queried(world, "sales", "refund_share", ["event", "currency"])["Балет", "RUB"]

    gross = Decimal("333.33") + 2000 + Decimal("100.10") + 4175 + 50
    assert share == pytest.approx(float(Decimal("100.10") / gross), rel=1e-12)
    assert round(share, 2) != round(share, 4)


def test_a_plan_is_held_against_the_sales_that_it_plans(world: MartsWorld) -> None:
    done = queried(world, "plan", "plan_done", ["event", "currency"])
    of_all = queried(world, "plan", "plan_done", ["currency"])

    # One day is planned; what was sold on others, and for events without a plan, is not its share.
    sold = world.row(
        "SELECT sum(revenue) AS revenue FROM zakaz.fact_qtickets_sales_daily"
        " WHERE event_id = '1' AND sales_date = '2026-03-31' AND currency = 'RUB'"
    )["revenue"]
    assert sold > 0
    assert done["Балет", "RUB"] == pytest.approx(float(sold) / 1500.5)
    assert of_all["RUB",] == done["Балет", "RUB"]
    assert done["Sold out", "RUB"] is None
    assert done["Two currencies", "KZT"] is None


def test_the_state_tells_over_unknown_empty_and_sold_out_apart(world: MartsWorld) -> None:
    dataset = DataLensDataset(WORKBOOK_DATASETS["now"])
    rows = world.rows(
        dataset.sql(["dim_state"], ["dim_event"]).replace(" GROUP BY", " GROUP BY dim_state,")
    )

    assert {row["dim_event"]: row["dim_state"] for row in rows} == {
        "Балет": "в продаже",
        "Two currencies": "в продаже",
        "Over": "прошло",
        "Sold out": "распродано",
        "Unknown seats": "места неизвестны",
        "Nearly sold out": "осталось не больше 10 %",
        "No places": "нет мест",
    }


def test_dates_are_those_of_the_reporting_time_zone(world: MartsWorld) -> None:
    days = queried(world, "sales", "tickets", ["date", "currency"])

    assert {f"{day:%d.%m}": n for (day, currency), n in days.items() if currency == "KZT"} == {
        "31.03": 1
    }
    months = queried(world, "ledger", "ledger_sales", ["month", "currency"])
    assert {f"{month:%d.%m.%Y}" for month, _ in months} == {"01.02.2026", "01.03.2026"}


def test_the_columns_have_the_types_that_the_workbook_says(world: MartsWorld) -> None:
    types = {
        (row["table"], row["name"]): row["type"]
        for row in world.rows("SELECT * FROM system.columns WHERE database = 'zakaz'")
    }
    checked = 0
    for dataset in WORKBOOK_DATASETS.values():
        for source in dataset["sources"]:
            for column in source["raw_schema"]:
                actual = types[source["parameters"]["table_name"], column["name"]]
                native = column["native_type"]
                assert native["nullable"] == ("Nullable" in actual), (source["title"], column)
                assert native["lowcardinality"] == ("LowCardinality" in actual), column
                assert column["user_type"] == user_type(actual.replace("('Europe/Moscow')", ""))
                name = native["name"].removesuffix("withtz")
                assert name in actual.lower(), column
                checked += 1
    assert checked > 80


@pytest.mark.parametrize("name", WORKBOOK_DATASETS)
def test_every_field_of_a_dataset_can_be_queried_and_has_its_type(
    world: MartsWorld, name: str
) -> None:
    dataset = DataLensDataset(WORKBOOK_DATASETS[name])
    guids = list(dataset.fields)
    dimensions = [guid for guid in guids if dataset.fields[guid]["type"] == "DIMENSION"]
    measures = [guid for guid in guids if guid not in dimensions]

    described = world.rows(f"DESCRIBE ({dataset.sql(measures, dimensions)})")
    types = {row["name"]: row["type"].replace("('Europe/Moscow')", "") for row in described}

    assert {guid: user_type(_plain(types[guid])) for guid in guids} == {
        guid: dataset.fields[guid]["data_type"] for guid in guids
    }


def _plain(type_: str) -> str:
    return type_.replace("LowCardinality(Nullable(String))", "String")


def test_revenue_by_day_is_the_one_recomputed_from_the_service(account: Account) -> None:
    dataset = DataLensDataset(WORKBOOK_DATASETS["sales"])
    sql = dataset.sql(["measure_revenue", "measure_tickets"], ["dim_date", "dim_currency"])
    expected: dict[Any, list[Any]] = defaultdict(lambda: [Decimal(0), 0])
    for (day, _, _, currency), fact in sales_daily(
        account.world.orders(), account.world.events()
    ).items():
        expected[day, currency][0] += fact["revenue"]
        expected[day, currency][1] += fact["tickets_sold"]

    assert {
        (row["dim_date"], row["dim_currency"]): [row["measure_revenue"], row["measure_tickets"]]
        for row in account.rows(sql)
    } == expected
