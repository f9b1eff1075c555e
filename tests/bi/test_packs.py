"""The generated files are up to date, and every reference in them leads somewhere."""

import json
import re
from dataclasses import replace
from fnmatch import fnmatch
from typing import Any

import pytest
import yaml
from datalens_sdk.domain.dashboard_validate import validate_dashboard
from typer.testing import CliRunner

from bi import datalens, grants, measures, page
from bi.__main__ import MEASURES, PAGE, WORKBOOK, app
from bi.definition import (
    FOLDER,
    LANGUAGES,
    DefinitionError,
    column_types,
    definition,
    parse,
)
from bi.formulas import FormulaError, to_datalens, to_sql
from bi.options import Options
from local_clickhouse.grants import PUBLIC, READ_BY_VIEWS
from tests.bi.datalens_sql import DataLensDataset
from tests.support.paths import PROJECT

DEFINITION = definition()
# What DataLens accepts in the name of an entry, besides letters.
NAME = re.compile(r"[\w @()%.,:;'|\-–—−$*&]+")


def entries(language: str) -> dict[str, dict[str, Any]]:
    text = datalens.workbook(DEFINITION, Options(language=language))
    found: dict[str, dict[str, Any]] = json.loads(text)["export"]["entries"]
    return {
        scope: {name: entry[scope] for name, entry in of_scope.items()}
        for scope, of_scope in found.items()
    }


ENTRIES = {language: entries(language) for language in LANGUAGES}
IN_BOTH_LANGUAGES = pytest.mark.parametrize("language", LANGUAGES)


def test_the_committed_files_are_those_that_the_definition_makes() -> None:
    workbook = datalens.workbook(DEFINITION, Options())
    assert WORKBOOK.read_text() == workbook, "stale: run `python -m bi datalens`"
    assert MEASURES.read_text() == measures.document(DEFINITION), "run `python -m bi measures`"
    assert PAGE.read_text() == page.script(DEFINITION), "stale: run `python -m bi page`"


def test_options_change_the_connection_and_no_password_is_in_the_file() -> None:
    options = Options(host="db.example", port=8123, secure=False, user="ann", database="tickets")
    text = datalens.workbook(DEFINITION, options)
    connection = json.loads(text)["export"]["entries"]["connection"]["clickhouse"]["connection"]

    assert connection["password"] is None
    given = {name: connection[name] for name in ("host", "port", "secure", "username")}
    assert given == {"host": "db.example", "port": 8123, "secure": "off", "username": "ann"}
    assert '"db_name": "tickets"' in text and '"db_name": "zakaz"' not in text
    assert datalens.workbook(DEFINITION, replace(options, currency="KZT")) != text


@IN_BOTH_LANGUAGES
def test_names_are_accepted_by_datalens_and_unique(language: str) -> None:
    for scope, found in ENTRIES[language].items():
        names = [entry["name"] for entry in found.values()]
        assert len(names) == len(set(names)), (scope, names)
        assert [name for name in names if not NAME.fullmatch(name)] == []


@IN_BOTH_LANGUAGES
def test_every_field_of_a_dataset_resolves(language: str) -> None:
    for name, dataset in ENTRIES[language]["dataset"].items():
        raw = {
            source["id"]: {column["name"] for column in source["raw_schema"]}
            for source in dataset["sources"]
        }
        avatars = {avatar["id"]: avatar["source_id"] for avatar in dataset["source_avatars"]}
        assert all(raw.values()) and set(avatars.values()) == set(raw), name
        fields = dataset["result_schema"]
        for key in ("guid", "title"):
            values = [field[key] for field in fields]
            assert len(values) == len(set(values)), (name, key)
        for field in fields:
            if field["calc_mode"] == "direct":
                assert field["source"] in raw[avatars[field["avatar_id"]]], (name, field)
        titles = {field["title"] for field in fields}
        assert DataLensDataset(dataset).titles_in_formulas() <= titles, name
        for relation in dataset["avatar_relations"]:
            (condition,) = relation["conditions"]
            for side in ("left", "right"):
                columns = raw[avatars[relation[f"{side}_avatar_id"]]]
                assert condition[side]["source"] in columns, name


@IN_BOTH_LANGUAGES
def test_every_field_of_a_chart_is_the_one_of_its_dataset(language: str) -> None:
    datasets = ENTRIES[language]["dataset"]
    for name, chart in ENTRIES[language]["widget"].items():
        shared = chart["data"]["shared"]
        (dataset,) = shared["datasetsIds"]
        schema = {field["guid"]: field for field in datasets[dataset]["result_schema"]}
        (partial,) = shared["datasetsPartialFields"]
        placed = [
            item for place in shared["visualization"]["placeholders"] for item in place["items"]
        ]
        assert placed, name
        for field in [*placed, *shared["colors"], *shared["sort"]]:
            assert field["datasetId"] == dataset
            for key in ("title", "type", "data_type", "calc_mode"):
                assert field[key] == schema[field["guid"]][key], (name, key)
            assert field["guid"] in {each["guid"] for each in partial}, name


@IN_BOTH_LANGUAGES
def test_dashboards_are_valid_and_their_references_resolve(language: str) -> None:
    found = ENTRIES[language]
    shown = set()
    for name, dash in found["dash"].items():
        assert validate_dashboard(dash["data"]) == (), name
        (tab,) = dash["data"]["tabs"]
        for item in tab["items"]:
            if item["type"] == "widget":
                (content,) = item["data"]["tabs"]
                assert content["chartId"] in found["widget"]
                shown.add(content["chartId"])
                continue
            source = item["data"]["source"]
            fields = found["dataset"][source["datasetId"]]["result_schema"]
            (field,) = (each for each in fields if each["guid"] == source["datasetFieldId"])
            assert field["data_type"] == source["fieldType"] and not field["hidden"]
            assert set(item["defaults"]) == {field["guid"]}
        assert "freshness" in {chart.id for chart in DEFINITION.dashboards[name].charts}
    assert shown == set(found["widget"]), "a chart is on no dashboard"


def test_validation_by_the_sdk_finds_a_chart_without_a_place() -> None:
    data = json.loads(json.dumps(ENTRIES["en"]["dash"]["now"]["data"]))
    del data["tabs"][0]["layout"][0]

    assert validate_dashboard(data) != ()


def test_every_dashboard_has_one_required_currency() -> None:
    for dash in ENTRIES["ru"]["dash"].values():
        items = dash["data"]["tabs"][0]["items"]
        (control,) = (item for item in items if item["id"].endswith("_select_currency"))
        source = control["data"]["source"]
        assert (source["required"], source["multiselectable"]) == (True, False)
        assert source["defaultValue"] == "RUB"


def test_every_measure_that_adds_money_needs_one_currency() -> None:
    for dataset in DEFINITION.datasets.values():
        for measure in dataset.measures.values():
            if measure.unit == "money":
                assert "currency" in measure.within, measure.id


@pytest.mark.parametrize(
    ("file", "old", "new"),
    [
        ("dashboards", "measure: tickets_today}", "measure: tickets_yesterday}"),
        ("dashboards", "selectors: [currency, city, event]", "selectors: [weather]"),
        ("dashboards", "[events_now]", "[no_chart]"),
        ("datasets", "unit: tickets", "unit: pounds"),
        ("datasets", "within: [currency]", "within: [kopeck]"),
    ],
)
def test_a_name_that_is_not_defined_is_an_error(file: str, old: str, new: str) -> None:
    texts = {name: (FOLDER / f"{name}.yml").read_text() for name in ("datasets", "dashboards")}
    assert old in texts[file]
    texts[file] = texts[file].replace(old, new)

    with pytest.raises(DefinitionError, match="is not defined"):
        parse(yaml.safe_load(texts["datasets"]), yaml.safe_load(texts["dashboards"]))


def test_texts_that_a_formula_returns_are_translated_and_those_that_it_compares_are_not() -> None:
    formula = "case when kind = 'new' then 'new' else 'other' end"

    text = to_datalens(formula, lambda column: column, values={"new": "новый", "other": "другой"})

    assert text == "IF([kind] = 'new', 'новый', 'другой')"


def test_a_formula_that_cannot_be_translated_is_an_error() -> None:
    with pytest.raises(FormulaError, match="QUANTILE"):
        to_sql("quantile(0.5)(revenue)")


def test_the_role_of_the_dashboards_reads_their_tables_and_no_others() -> None:
    printed = CliRunner().invoke(app, ["grants", "--database", "tickets", "--role", "ours"]).output
    granted = re.findall(r"^GRANT SELECT ON tickets\.(\w+) TO ours;$", printed, re.M)
    assert printed.splitlines()[:2] == [
        "CREATE ROLE IF NOT EXISTS ours;",
        "REVOKE SELECT ON tickets.* FROM ours;",
    ]
    assert len(printed.splitlines()) == len(granted) + 2

    assert set(DEFINITION.tables) <= set(granted)
    # The others are read by a view of the dashboards, with the rights of its reader.
    views = [PROJECT / "dbt_project/models/dashboard" / f"{name}.sql" for name in granted]
    texts = "".join(path.read_text() for path in views if path.exists())
    read = set(re.findall(r"'(\w+)'", texts)) & {*column_types(), "plan_sales"}
    assert set(granted) == {*DEFINITION.tables, *read}


def test_the_role_of_the_dashboards_reads_public_data_only() -> None:
    granted = grants.readable(DEFINITION)
    private = [n for n in granted if not any(fnmatch(n, pattern) for pattern in PUBLIC)]

    assert private == list(READ_BY_VIEWS)


def test_the_exposure_depends_on_the_tables_of_the_packs() -> None:
    path = PROJECT / "dbt_project" / "models" / "exposures.yml"
    (exposure,) = (
        each
        for each in yaml.safe_load(path.read_text())["exposures"]
        if each["name"] == "datalens_dashboard"
    )

    assert exposure["depends_on"] == [f"ref('{table}')" for table in DEFINITION.tables]
