"""The definition of datasets, measures, charts and dashboards, from the files in `definition/`."""

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any

import yaml

from bi.formulas import columns_of

PROJECT = Path(__file__).resolve().parent.parent
FOLDER = Path(__file__).with_name("definition")
LANGUAGES = ("ru", "en")
UNITS = ("money", "tickets", "orders", "buyers", "shows", "share", "hours", "time")
KINDS = ("indicator", "table", "line", "column", "bar")

Texts = Mapping[str, str]


class DefinitionError(ValueError):
    """The definition names something that it does not define."""


@dataclass(frozen=True)
class Join:
    """A table of names that is joined (left) to a dataset by a key of the same name in both."""

    table: str
    key: str
    column: str


@dataclass(frozen=True)
class Dimension:
    """A column or an expression by which a dataset is grouped and filtered.

    `values` translates the values that the formula returns.
    """

    id: str
    name: Texts
    formula: str
    join: Join | None
    values: Mapping[str, Texts]


@dataclass(frozen=True)
class Measure:
    """An aggregate of a dataset; null unless each dimension of `within` has one value."""

    id: str
    name: Texts
    meaning: Texts
    formula: str
    unit: str
    within: tuple[str, ...]


@dataclass(frozen=True)
class Dataset:
    """A table of the marts, with its dimensions and measures by id."""

    id: str
    name: Texts
    table: str
    dimensions: Mapping[str, Dimension]
    measures: Mapping[str, Measure]

    def columns_within(self, measure: Measure) -> list[str]:
        """Return the columns of `table` that must have one value for a measure."""
        fixed = (self.dimensions[name] for name in measure.within)
        return [
            column
            for each in fixed
            for column in ([each.join.key] if each.join else columns_of(each.formula))
        ]

    @property
    def joins(self) -> list[Join]:
        return [each.join for each in self.dimensions.values() if each.join]

    @property
    def columns(self) -> list[str]:
        """Return the columns of `table` that are read, sorted."""
        formulas = [each.formula for each in self.measures.values()]
        formulas += [each.formula for each in self.dimensions.values() if not each.join]
        read = {column for formula in formulas for column in columns_of(formula)}
        return sorted(read | {join.key for join in self.joins})


@dataclass(frozen=True)
class Chart:
    """A chart: `fields` are the columns of a table, or x, color and the measure of the others."""

    id: str
    kind: str
    dataset: Dataset
    name: Texts
    fields: tuple[str, ...]
    x: str | None
    color: str | None
    sort: str | None
    descending_x: bool

    @property
    def measures(self) -> list[Measure]:
        return [
            self.dataset.measures[name] for name in self.fields if name in self.dataset.measures
        ]


@dataclass(frozen=True)
class Dashboard:
    """A dashboard: selectors on top, then rows of charts of equal width."""

    id: str
    name: Texts
    meaning: Texts
    selectors: tuple[str, ...]
    rows: tuple[tuple[Chart, ...], ...]

    @property
    def charts(self) -> list[Chart]:
        return [chart for row in self.rows for chart in row]

    def dataset_of(self, selector: str) -> Dataset:
        """Return the dataset that offers the values of a selector: the first that has it."""
        return next(c.dataset for c in self.charts if selector in c.dataset.dimensions)


@dataclass(frozen=True)
class Definition:
    """All datasets, charts and dashboards by id."""

    datasets: Mapping[str, Dataset]
    charts: Mapping[str, Chart]
    dashboards: Mapping[str, Dashboard]

    @property
    def tables(self) -> list[str]:
        """Return the tables and views of the marts that are read, sorted."""
        read = {each.table for each in self.datasets.values()}
        return sorted(read | {join.table for each in self.datasets.values() for join in each.joins})


@cache
def definition() -> Definition:
    """Return the definition.

    Raises:
        DefinitionError: A chart, selector or measure names something that is not defined.
    """
    return parse(_read("datasets"), _read("dashboards"))


def parse(data: Mapping[str, Any], boards: Mapping[str, Any]) -> Definition:
    """Return the definition from the contents of datasets.yml and dashboards.yml."""
    joins = {name: Join(**join) for name, join in data["joins"].items()}
    datasets = {
        name: _dataset(name, given, joins, data["dimensions"])
        for name, given in data["datasets"].items()
    }
    charts = {name: _chart(name, given, datasets) for name, given in boards["charts"].items()}
    dashboards = {
        name: _dashboard(name, given, charts) for name, given in boards["dashboards"].items()
    }
    return Definition(datasets, charts, dashboards)


def _read(name: str) -> Any:
    return yaml.safe_load((FOLDER / f"{name}.yml").read_text())


def _dataset(
    id_: str, given: Mapping[str, Any], joins: Mapping[str, Join], names: Mapping[str, Texts]
) -> Dataset:
    dimensions = {}
    for name, content in given["dimensions"].items():
        _known(name, names, f"dataset {id_}: dimension")
        expression = content if isinstance(content, dict) else {"formula": content}
        dimensions[name] = Dimension(
            id=name,
            name=names[name],
            formula=" ".join(expression["formula"].split()),
            join=joins.get(name) if content == name else None,
            values=expression.get("values", {}),
        )
    measures = {}
    for name, content in given["measures"].items():
        measure = Measure(
            id=name,
            name=content["name"],
            meaning=content["meaning"],
            formula=" ".join(content["formula"].split()),
            unit=content["unit"],
            within=tuple(content.get("within", ())),
        )
        _known(measure.unit, UNITS, f"measure {name}: unit")
        for fixed in measure.within:
            _known(fixed, dimensions, f"measure {name}: dimension")
        measures[name] = measure
    return Dataset(id_, given["name"], given["table"], dimensions, measures)


def _chart(id_: str, given: Mapping[str, Any], datasets: Mapping[str, Dataset]) -> Chart:
    _known(given["kind"], KINDS, f"chart {id_}: kind")
    _known(given["dataset"], datasets, f"chart {id_}: dataset")
    dataset = datasets[given["dataset"]]
    known = {*dataset.dimensions, *dataset.measures}
    named = [given.get("x"), given.get("color"), given.get("measure")]
    fields = tuple(given.get("columns") or [name for name in named if name])
    for name in (*fields, *filter(None, [given.get("sort")])):
        _known(name, known, f"chart {id_}: field")
    return Chart(
        id=id_,
        kind=given["kind"],
        dataset=dataset,
        name=given.get("name") or dataset.measures[given["measure"]].name,
        fields=fields,
        x=given.get("x"),
        color=given.get("color"),
        sort=given.get("sort"),
        descending_x=given.get("descending_x", False),
    )


def _dashboard(id_: str, given: Mapping[str, Any], charts: Mapping[str, Chart]) -> Dashboard:
    for name in (name for row in given["rows"] for name in row):
        _known(name, charts, f"dashboard {id_}: chart")
    rows = tuple(tuple(charts[name] for name in row) for row in given["rows"])
    offered = {name for row in rows for chart in row for name in chart.dataset.dimensions}
    for name in given["selectors"]:
        _known(name, offered, f"dashboard {id_}: selector")
    return Dashboard(id_, given["name"], given["meaning"], tuple(given["selectors"]), rows)


def _known(name: str, known: Any, what: str) -> None:
    if name not in known:
        raise DefinitionError(f"{what} {name!r} is not defined")


# Columns of the marts -----------------------------------------------------------------------------


@cache
def column_types() -> Mapping[str, Mapping[str, str]]:
    """Return the ClickHouse type of each column by table, as the contracts of the models have it.

    `DateTime` is without its time zone, which is a setting.
    """
    return dict(_models())


def _models() -> Iterator[tuple[str, dict[str, str]]]:
    for path in sorted((PROJECT / "dbt_project" / "models").glob("*/*.yml")):
        for model in yaml.safe_load(path.read_text()).get("models", []):
            yield (
                model["name"],
                {
                    column["name"]: re.sub(
                        r"DateTime\('\{\{.*\}\}'\)", "DateTime", column["data_type"]
                    )
                    for column in model["columns"]
                    if "data_type" in column
                },
            )
