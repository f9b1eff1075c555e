"""The Superset pack is up to date, and every reference in it leads somewhere."""

import io
import json
import zipfile
from collections.abc import Mapping
from dataclasses import replace
from typing import Any

import pytest
import yaml

from bi import superset
from bi.__main__ import PACK
from bi.definition import LANGUAGES, definition
from bi.options import Options

Json = dict[str, Any]

DEFINITION = definition()
IN_BOTH_LANGUAGES = pytest.mark.parametrize("language", LANGUAGES)


def files(pack: bytes) -> dict[str, Json]:
    """Return the content of the files of a pack by name."""
    with zipfile.ZipFile(io.BytesIO(pack)) as archive:
        return {
            name.removeprefix("qtickets/"): yaml.safe_load(archive.read(name))
            for name in archive.namelist()
        }


def of(kind: str, found: Mapping[str, Json]) -> list[Json]:
    return [content for name, content in found.items() if name.startswith(f"{kind}/")]


def test_the_committed_pack_is_the_one_that_the_definition_makes() -> None:
    pack = superset.pack(DEFINITION, Options())
    assert PACK.read_bytes() == pack, "stale: run `python -m bi superset`"


def test_options_change_the_connection_and_no_password_is_in_the_file() -> None:
    options = Options(host="db.example", port=8123, secure=False, user="ann", database="tickets")
    found = files(superset.pack(DEFINITION, options))
    (database,) = of("databases", found)

    uri = "clickhousedb://ann:XXXXXXXXXX@db.example:8123/tickets?secure=false"
    assert database["sqlalchemy_uri"] == uri
    for dataset in of("datasets", found):
        assert dataset["schema"] == "tickets" and "zakaz" not in dataset["sql"]


def test_ids_depend_on_the_database_and_not_on_the_language() -> None:
    def ids(options: Options) -> list[str]:
        found = files(superset.pack(DEFINITION, options))
        return [content["uuid"] for name, content in found.items() if name != "metadata.yaml"]

    russian = ids(Options())
    assert len(set(russian)) == len(russian)
    assert ids(Options(language="en", host="db.example")) == russian
    assert set(ids(replace(Options(), database="tickets"))).isdisjoint(russian)


@IN_BOTH_LANGUAGES
def test_every_reference_of_the_pack_resolves(language: str) -> None:
    found = files(superset.pack(DEFINITION, Options(language=language)))
    (database,) = of("databases", found)
    datasets = {content["uuid"]: content for content in of("datasets", found)}
    charts = {content["uuid"]: content for content in of("charts", found)}
    columns = {}
    for id_, dataset in datasets.items():
        assert dataset["database_uuid"] == database["uuid"]
        columns[id_] = [column["column_name"] for column in dataset["columns"]]
        columns[id_] += [metric["metric_name"] for metric in dataset["metrics"]]
        assert len(set(columns[id_])) == len(columns[id_])
    for chart in charts.values():
        (query,) = json.loads(chart["query_context"])["queries"]
        used = [*query["columns"], *query["metrics"], *(name for name, _ in query["orderby"])]
        used += [each["col"] for each in query["filters"]]
        params = chart["params"]
        used += [params[key] for key in ("metric", "x_axis", "x_axis_sort") if params.get(key)]
        used += [*params.get("metrics", ()), *params.get("groupby", ())]
        assert used and set(used) <= set(columns[chart["dataset_uuid"]]), chart["slice_name"]
    shown = set()
    for dashboard in of("dashboards", found):
        numbers = {}
        for name, item in dashboard["position"].items():
            if name.startswith("CHART-"):
                assert charts[item["meta"]["uuid"]]["slice_name"] == item["meta"]["sliceName"]
                numbers[item["meta"]["chartId"]] = charts[item["meta"]["uuid"]]
                shown.add(item["meta"]["uuid"])
            if name.startswith("ROW-"):
                row = [dashboard["position"][child]["meta"] for child in item["children"]]
                assert sum(each["width"] for each in row) == superset.COLUMNS
        for selector in dashboard["metadata"]["native_filter_configuration"]:
            (target,) = selector["targets"]
            name = f"dim_{selector['id'].split('-')[-1]}"
            if target:
                assert target["column"]["name"] == name
                assert name in columns[target["datasetUuid"]]
            # Superset ignores a filter on a column that a chart does not have, but warns of it.
            excluded = set(selector["scope"]["excluded"])
            for number, chart in numbers.items():
                assert (name in columns[chart["dataset_uuid"]]) == (number not in excluded)
    assert shown == set(charts), "a chart is on no dashboard"


def test_every_dashboard_has_one_required_currency() -> None:
    for dashboard in of("dashboards", files(superset.pack(DEFINITION, Options(currency="KZT")))):
        (selector,) = (
            each
            for each in dashboard["metadata"]["native_filter_configuration"]
            if each["id"].endswith("-currency")
        )
        controls = selector["controlValues"]
        assert (controls["enableEmptyFilter"], controls["multiSelect"]) == (True, False)
        assert selector["defaultDataMask"]["filterState"]["value"] == ["KZT"]


def test_a_pack_that_updates_differs_in_its_kind_only() -> None:
    first, second = (
        files(superset.pack(DEFINITION, Options(), assets=assets)) for assets in (False, True)
    )

    assert (first["metadata.yaml"]["type"], second["metadata.yaml"]["type"]) == (
        "Dashboard",
        "assets",
    )
    del first["metadata.yaml"], second["metadata.yaml"]
    assert first == second
