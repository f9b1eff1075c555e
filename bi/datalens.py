"""The DataLens workbook: a file of export version `v1`.

The formats are those of datalens-meta-manager (`src/types/workbook-export.ts`), of the wizard in
datalens-ui (`src/shared/types/config/wizard/v15.ts`) and of the dataset schemas in
datalens-backend (`lib/dl_api_lib/dl_api_lib/schemas/`). DataLens imports a file with an unknown
field or chart and fails when the chart is opened, so tests resolve every reference.
"""

import hashlib
import json
import re
from typing import Any

from bi.definition import (
    Chart,
    Dashboard,
    Dataset,
    Definition,
    Dimension,
    Measure,
    column_types,
)
from bi.formulas import to_datalens
from bi.options import Options

Json = dict[str, Any]

CONNECTION = "clickhouse"
COLUMNS = 36
"""Width of the grid of a dashboard."""

_USER_TYPES = {"String": "string", "Date": "date", "DateTime": "genericdatetime"}
_UNIT_TYPES = {
    "money": "float",
    "share": "float",
    "hours": "float",
    "time": "genericdatetime",
}
_FORMATS: dict[str, Json] = {
    "money": {"format": "number", "precision": 2, "showRankDelimiter": True},
    "share": {"format": "percent", "precision": 1},
    "hours": {"format": "number", "precision": 1},
}
_HEIGHTS = {"indicator": 5, "table": 14, "line": 13, "column": 13, "bar": 13}
_VISUALIZATIONS = {
    "indicator": ("metric_wizard_node", "metric"),
    "table": ("table_wizard_node", "flatTable"),
    "line": ("graph_wizard_node", "line"),
    "column": ("graph_wizard_node", "column"),
    "bar": ("graph_wizard_node", "bar"),
}


def workbook(definition: Definition, options: Options) -> str:
    """Return the workbook as the text of a JSON file, always the same for the same input."""
    make = _Workbook(options)
    export = {
        "version": "v1",
        "entries": {
            "connection": {CONNECTION: {"connection": make.connection()}},
            "dataset": {
                name: {"dataset": make.dataset(each)} for name, each in definition.datasets.items()
            },
            "widget": {
                name: {"widget": make.widget(each)} for name, each in definition.charts.items()
            },
            "dash": {
                name: {"dash": make.dash(each)} for name, each in definition.dashboards.items()
            },
        },
    }
    digest = hashlib.sha256(json.dumps(export, sort_keys=True).encode()).hexdigest()
    return json.dumps({"hash": digest, "export": export}, ensure_ascii=False, indent=1) + "\n"


class _Workbook:
    """Makes the entries of a workbook."""

    def __init__(self, options: Options) -> None:
        self._options = options
        self._language = options.language

    def connection(self) -> Json:
        options = self._options
        return {
            "name": "QTickets",
            "db_type": "clickhouse",
            "host": options.host,
            "port": options.port,
            "username": options.user,
            "password": None,
            "secure": "on" if options.secure else "off",
            "raw_sql_level": "off",
            "cache_ttl_sec": 300,
            "readonly": 2,
            "data_export_forbidden": "off",
        }

    # Datasets

    def dataset(self, dataset: Dataset) -> Json:
        types = column_types()
        tables = [(dataset.table, dataset.columns)]
        tables += [(join.table, [join.key, join.column]) for join in dataset.joins]
        return {
            "name": dataset.name[self._language],
            "description": "",
            "sources": [
                {
                    "id": f"source_{table}",
                    "title": table,
                    "connection_id": CONNECTION,
                    "source_type": "CH_TABLE",
                    "parameters": {"db_name": self._options.database, "table_name": table},
                    "managed_by": "user",
                    "valid": True,
                    "raw_schema": [
                        self._raw_column(column, types[table][column]) for column in columns
                    ],
                }
                for table, columns in tables
            ],
            "source_avatars": [
                {
                    "id": f"avatar_{table}",
                    "source_id": f"source_{table}",
                    "title": table,
                    "is_root": table == dataset.table,
                    "managed_by": "user",
                    "valid": True,
                }
                for table, _ in tables
            ],
            "avatar_relations": [
                {
                    "id": f"relation_{join.table}",
                    "left_avatar_id": f"avatar_{dataset.table}",
                    "right_avatar_id": f"avatar_{join.table}",
                    "join_type": "left",
                    "conditions": [
                        {
                            "type": "binary",
                            "operator": "eq",
                            "left": {"calc_mode": "direct", "source": join.key},
                            "right": {"calc_mode": "direct", "source": join.key},
                        }
                    ],
                    "managed_by": "user",
                    "required": False,
                    "valid": True,
                }
                for join in dataset.joins
            ],
            "result_schema": [
                *(self._dimension(dataset, each) for each in dataset.dimensions.values()),
                *(self._measure(dataset, each) for each in dataset.measures.values()),
                *(self._hidden(dataset, column) for column in self._hidden_columns(dataset)),
            ],
        }

    def _raw_column(self, name: str, type_: str) -> Json:
        native: Json = {
            "name": re.sub(r"\(.*", "", _without_wrappers(type_)).lower(),
            "nullable": "Nullable(" in type_,
            "lowcardinality": "LowCardinality(" in type_,
            "native_type_class_name": "clickhouse_native_type",
        }
        if native["name"] == "datetime":
            native |= {
                "name": "datetimewithtz",
                "native_type_class_name": "clickhouse_datetimewithtz_native_type",
                "timezone_name": self._options.report_tz,
                "explicit_timezone": True,
            }
        return {
            "name": name,
            "title": name,
            "user_type": user_type(type_),
            "nullable": native["nullable"],
            "native_type": native,
        }

    def _dimension(self, dataset: Dataset, dimension: Dimension) -> Json:
        title = dimension.name[self._language]
        type_ = dimension_type(dataset, dimension)
        field = _field(f"dim_{dimension.id}", title, "DIMENSION", type_)
        if dimension.join:
            return field | _direct(dimension.join.table, dimension.join.column)
        if _is_column(dataset, dimension.formula) and not dimension.values:
            return field | _direct(dataset.table, dimension.formula)
        values = {value: texts[self._language] for value, texts in dimension.values.items()}
        formula = to_datalens(
            dimension.formula, lambda column: self._title(dataset, column), values=values
        )
        if _is_column(dataset, dimension.formula):
            for value, text in values.items():
                formula = f"IF([{dimension.formula}] = '{value}', '{text}', {formula})"
        return field | _formula(formula)

    def _measure(self, dataset: Dataset, measure: Measure) -> Json:
        field = _field(
            f"measure_{measure.id}", measure.name[self._language], "MEASURE", measure_type(measure)
        )
        formula = to_datalens(
            measure.formula,
            lambda column: self._title(dataset, column),
            within=dataset.columns_within(measure),
        )
        return field | _formula(formula) | {"description": measure.meaning[self._language]}

    def _hidden(self, dataset: Dataset, column: str) -> Json:
        type_ = user_type(column_types()[dataset.table][column])
        field = _field(f"column_{column}", column, "DIMENSION", type_)
        return field | _direct(dataset.table, column) | {"hidden": True}

    def _hidden_columns(self, dataset: Dataset) -> list[str]:
        return [column for column in dataset.columns if self._title(dataset, column) == column]

    def _title(self, dataset: Dataset, column: str) -> str:
        """Return the title of the field of a column: of its dimension, else its own name."""
        for dimension in dataset.dimensions.values():
            if dimension.formula == column and not dimension.join and not dimension.values:
                return dimension.name[self._language]
        return column

    # Charts

    def widget(self, chart: Chart) -> Json:
        node, visualization = _VISUALIZATIONS[chart.kind]
        fields = {name: self._chart_field(chart.dataset, name) for name in self._used(chart)}
        measures = [fields[each.id] for each in chart.measures]
        axis = [fields[chart.x]] if chart.x else []
        match chart.kind:
            case "indicator":
                placeholders = {"measures": measures}
            case "table":
                placeholders = {"flat-table-columns": [fields[name] for name in chart.fields]}
            case "bar":
                placeholders = {"y": axis, "x": measures}
            case _:
                placeholders = {"x": axis, "y": measures, "y2": []}
        sort = [fields[chart.sort] | {"direction": "DESC"}] if chart.sort else []
        if chart.descending_x and chart.x:
            sort = [fields[chart.x] | {"direction": "DESC"}]
        return {
            "name": chart.name[self._language],
            "type": node,
            "annotation": {"description": self._explanation(chart)},
            "data": {
                "shared": {
                    "type": "datalens",
                    "version": "15",
                    "title": "",
                    "visualization": {
                        "id": visualization,
                        "placeholders": [
                            {"id": name, "items": items} for name, items in placeholders.items()
                        ],
                    },
                    "datasetsIds": [chart.dataset.id],
                    "datasetsPartialFields": [
                        [
                            {name: field[name] for name in ("guid", "title", "calc_mode")}
                            for field in fields.values()
                        ]
                    ],
                    "colors": [fields[chart.color]] if chart.color else [],
                    "sort": sort,
                    **{name: [] for name in ("labels", "tooltips", "shapes", "filters")},
                    **{name: [] for name in ("hierarchies", "links", "segments", "updates")},
                    "extraSettings": {},
                }
            },
        }

    def _used(self, chart: Chart) -> list[str]:
        return list(dict.fromkeys([*chart.fields, *filter(None, [chart.sort])]))

    def _chart_field(self, dataset: Dataset, name: str) -> Json:
        measure = dataset.measures.get(name)
        schema = (
            self._measure(dataset, measure)
            if measure
            else self._dimension(dataset, dataset.dimensions[name])
        )
        field = {key: schema[key] for key in ("guid", "title", "type", "data_type", "calc_mode")}
        field |= {"datasetId": dataset.id, "source": schema.get("source", "")}
        if measure and measure.unit in _FORMATS:
            field["formatting"] = _FORMATS[measure.unit]
        return field

    def _explanation(self, chart: Chart) -> str:
        """Return the meaning of the measures of a chart."""
        texts = [
            f"{each.name[self._language]}: {each.meaning[self._language]}"
            for each in chart.measures
        ]
        return "\n".join(texts)

    # Dashboards

    def dash(self, dashboard: Dashboard) -> Json:
        items: list[Json] = []
        layout: list[Json] = []
        width = COLUMNS // len(dashboard.selectors)
        for place, selector in enumerate(dashboard.selectors):
            items.append(self._control(dashboard, selector))
            at = {"x": place * width, "y": 0, "w": width, "h": 2}
            layout.append({"i": items[-1]["id"], **at})
        top = 2
        for row in dashboard.rows:
            width = COLUMNS // len(row)
            height = max(_HEIGHTS[chart.kind] for chart in row)
            for place, chart in enumerate(row):
                items.append(self._widget_item(dashboard, chart))
                at = {"x": place * width, "y": top, "w": width, "h": height}
                layout.append({"i": items[-1]["id"], **at})
            top += height
        return {
            "name": dashboard.name[self._language],
            "annotation": {"description": dashboard.meaning[self._language]},
            "data": {
                "salt": hashlib.sha256(dashboard.id.encode()).hexdigest()[:16],
                "counter": len(items) + 1,
                "schemeVersion": 8,
                "tabs": [
                    {
                        "id": f"{dashboard.id}_tab",
                        "title": dashboard.name[self._language],
                        "items": items,
                        "layout": layout,
                        "connections": [],
                        "aliases": {},
                    }
                ],
                "settings": {
                    "autoupdateInterval": None,
                    "maxConcurrentRequests": None,
                    "silentLoading": False,
                    "dependentSelectors": True,
                    "hideTabs": False,
                    "expandTOC": False,
                },
            },
        }

    def _widget_item(self, dashboard: Dashboard, chart: Chart) -> Json:
        return {
            "id": f"{dashboard.id}_{chart.id}",
            "namespace": "default",
            "type": "widget",
            "data": {
                "hideTitle": False,
                "tabs": [
                    {
                        "id": f"{dashboard.id}_{chart.id}_tab",
                        "title": chart.name[self._language],
                        "description": self._explanation(chart),
                        "chartId": chart.id,
                        "isDefault": True,
                        "params": {},
                    }
                ],
            },
        }

    def _control(self, dashboard: Dashboard, selector: str) -> Json:
        dataset = dashboard.dataset_of(selector)
        dimension = dataset.dimensions[selector]
        field = self._dimension(dataset, dimension)
        source: Json = {
            "datasetId": dataset.id,
            "datasetFieldId": field["guid"],
            "datasetFieldType": "DIMENSION",
            "fieldType": field["data_type"],
            "showTitle": True,
            "required": False,
        }
        default: str | list[str]
        match selector:
            case "date":
                days = self._options.period_days - 1
                default = f"__interval___relative_-{days}d___relative_-0d"
                source |= {"elementType": "date", "isRange": True}
            case "currency":
                default = self._options.currency
                source |= {"elementType": "select", "multiselectable": False, "required": True}
            case _:
                default = []
                source |= {"elementType": "select", "multiselectable": True}
        source["defaultValue"] = default
        return {
            "id": f"{dashboard.id}_select_{selector}",
            "namespace": "default",
            "type": "control",
            "data": {
                "title": dimension.name[self._language],
                "sourceType": "dataset",
                "source": source,
            },
            "defaults": {field["guid"]: default},
        }


def user_type(type_: str) -> str:
    """Return the DataLens type of a ClickHouse type."""
    inner = _without_wrappers(type_)
    if re.match(r"U?Int\d+$", inner):
        return "integer"
    if inner.startswith(("Decimal", "Float")):
        return "float"
    return _USER_TYPES[inner]


def dimension_type(dataset: Dataset, dimension: Dimension) -> str:
    """Return the DataLens type of a dimension."""
    types = column_types()
    if dimension.join:
        return user_type(types[dimension.join.table][dimension.join.column])
    if _is_column(dataset, dimension.formula):
        return user_type(types[dataset.table][dimension.formula])
    return "date" if dimension.formula.startswith("date_trunc") else "string"


def measure_type(measure: Measure) -> str:
    """Return the DataLens type of a measure."""
    return _UNIT_TYPES.get(measure.unit, "integer")


def _without_wrappers(type_: str) -> str:
    return re.sub(r"^(?:LowCardinality|Nullable)\((.*)\)$", r"\1", type_)


def _is_column(dataset: Dataset, formula: str) -> bool:
    return formula in column_types()[dataset.table]


def _field(guid: str, title: str, type_: str, data_type: str) -> Json:
    return {
        "guid": guid,
        "title": title,
        "type": type_,
        "cast": data_type,
        "data_type": data_type,
        "initial_data_type": data_type,
        "aggregation": "none",
        "hidden": False,
        "managed_by": "user",
        "valid": True,
    }


def _direct(table: str, column: str) -> Json:
    return {"calc_mode": "direct", "source": column, "avatar_id": f"avatar_{table}"}


def _formula(formula: str) -> Json:
    return {"calc_mode": "formula", "formula": formula, "guid_formula": "", "source": ""}
