"""The Superset pack: a ZIP file of YAML files, for the import of Superset.

Each dataset is a query, so that the fields have the same names in all of them: a selector of
Superset acts on every chart with a column of its name. The ids are derived from the names and the
database, so a second import finds the objects of the first, and packs of two databases differ.
"""

import io
import json
import uuid
import zipfile
from collections.abc import Iterator, Mapping
from typing import Any

import yaml

from bi.definition import (
    Chart,
    Dashboard,
    Dataset,
    Definition,
    Dimension,
    Measure,
    column_types,
)
from bi.formulas import to_sql
from bi.options import Options

Json = dict[str, Any]

COLUMNS = 12
"""Width of the grid of a dashboard."""

_VERSION = "1.0.0"
_NAMESPACE = uuid.UUID("5f4f9f0e-6a1c-5b7e-9c55-1d7d3c1b0a11")
_LONG_AGO = (1980, 1, 1, 0, 0, 0)
_FORMATS = {"money": ",.2f", "share": ".1%", "hours": ",.1f"}
_WHOLE = ",d"
_HEIGHTS = {"indicator": 20, "table": 60, "line": 56, "column": 56, "bar": 56}
_KINDS = {
    "indicator": "big_number_total",
    "table": "table",
    "line": "echarts_timeseries_line",
    "column": "echarts_timeseries_bar",
    "bar": "echarts_timeseries_bar",
}
_ROWS = 50_000
"""The most that Superset accepts by default."""
BARS = 25
"""A bar chart has the largest bars only: more labels do not fit."""


def pack(definition: Definition, options: Options, *, assets: bool = False) -> bytes:
    """Return the content of a ZIP file, always the same for the same input.

    Args:
        definition: The datasets, charts and dashboards.
        options: Where they read, and in which language they are.
        assets: Make it for the endpoint `/api/v1/assets/import/`, which also updates charts and
            datasets that are there already.
    """
    written = io.BytesIO()
    # Compressed bytes depend on the version of zlib.
    with zipfile.ZipFile(written, "w", zipfile.ZIP_STORED) as archive:
        for name, content in _Pack(definition, options).files(assets):
            text = yaml.safe_dump(content, allow_unicode=True, sort_keys=False, width=1000)
            member = zipfile.ZipInfo(f"qtickets/{name}", _LONG_AGO)
            member.create_system = 3
            member.external_attr = 0o644 << 16
            archive.writestr(member, text.encode())
    return written.getvalue()


def query(dataset: Dataset, options: Options) -> str:
    """Return the query of a dataset: raw columns for measures, `dim_…` for dimensions."""
    columns = [f"t.{name} AS {name}" for name in dataset.columns]
    columns += [
        f"{_dimension_sql(each, options.language)} AS dim_{each.id}"
        for each in dataset.dimensions.values()
    ]
    lines = ["SELECT", ",\n".join(f"  {column}" for column in columns)]
    lines.append(f"FROM {options.database}.{dataset.table} AS t")
    for each in dataset.dimensions.values():
        if each.join:
            join, name = each.join, each.id
            names = f"SELECT {join.key} AS {name}_key, {join.column} AS {name}_name"
            lines.append(
                f"LEFT JOIN ({names} FROM {options.database}.{join.table}) AS {name}_names"
            )
            lines.append(f"ON t.{join.key} = {name}_names.{name}_key")
    if dataset.joins:
        lines.append("SETTINGS join_use_nulls = 1")
    return "\n".join(lines)


def measure_sql(dataset: Dataset, measure: Measure) -> str:
    """Return the expression of a measure on the columns of the query of its dataset."""
    text = to_sql(measure.formula)
    if measure.unit == "time":
        # Superset would show a time in UTC; the text is in the time zone of the column.
        text = f"substring(toString({text}), 1, 16)"
    guards = [f"uniqExact({column}) <= 1" for column in dataset.columns_within(measure)]
    return f"if({' AND '.join(guards)}, {text}, NULL)" if guards else text


def _dimension_sql(dimension: Dimension, language: str) -> str:
    if dimension.join:
        return f"{dimension.id}_name"
    text = to_sql(dimension.formula)
    if dimension.values:
        known = ", ".join(_text(value) for value in dimension.values)
        shown = ", ".join(_text(texts[language]) for texts in dimension.values.values())
        text = f"transform(toString({text}), [{known}], [{shown}], '')"
    return text


def _text(value: str) -> str:
    return "'" + value.replace("'", "") + "'"


class _Pack:
    """Makes the files of a pack."""

    def __init__(self, definition: Definition, options: Options) -> None:
        self._definition = definition
        self._options = options
        self._language = options.language

    def files(self, assets: bool) -> Iterator[tuple[str, Json]]:
        """Yield the name and the content of each file."""
        definition = self._definition
        kind = "assets" if assets else "Dashboard"
        timestamp = "2026-01-01T00:00:00+00:00"
        yield "metadata.yaml", {"version": _VERSION, "type": kind, "timestamp": timestamp}
        yield "databases/QTickets.yaml", self._database()
        for dataset in definition.datasets.values():
            yield f"datasets/QTickets/{dataset.id}.yaml", self._dataset(dataset)
        for chart in definition.charts.values():
            yield f"charts/{chart.id}.yaml", self._chart(chart)
        for dashboard in definition.dashboards.values():
            yield f"dashboards/{dashboard.id}.yaml", self._dashboard(dashboard)

    def _id(self, kind: str, name: str) -> str:
        return str(uuid.uuid5(_NAMESPACE, f"{self._options.database}/{kind}/{name}"))

    def _database(self) -> Json:
        options = self._options
        name = "QTickets" if options.database == "zakaz" else f"QTickets {options.database}"
        return {
            "database_name": name,
            # Superset asks for the password that stands behind this mask.
            "sqlalchemy_uri": f"clickhousedb://{options.user}:XXXXXXXXXX@{options.host}:"
            f"{options.port}/{options.database}?secure={str(options.secure).lower()}",
            "cache_timeout": 300,
            "expose_in_sqllab": False,
            "allow_run_async": False,
            "allow_ctas": False,
            "allow_cvas": False,
            "allow_dml": False,
            "extra": {},
            "uuid": self._id("database", "clickhouse"),
            "version": _VERSION,
        }

    # Datasets

    def _dataset(self, dataset: Dataset) -> Json:
        return {
            "table_name": dataset.name[self._language],
            "main_dttm_col": "dim_date" if "date" in dataset.dimensions else None,
            "description": None,
            "default_endpoint": None,
            "offset": 0,
            "cache_timeout": None,
            "schema": self._options.database,
            "sql": query(dataset, self._options),
            "params": None,
            "template_params": None,
            "filter_select_enabled": True,
            "fetch_values_predicate": None,
            "extra": None,
            "uuid": self._id("dataset", dataset.id),
            "metrics": [self._metric(dataset, each) for each in dataset.measures.values()],
            "columns": [
                *(self._column(dataset, each) for each in dataset.dimensions.values()),
                *(self._raw_column(dataset, name) for name in dataset.columns),
            ],
            "version": _VERSION,
            "database_uuid": self._id("database", "clickhouse"),
        }

    def _metric(self, dataset: Dataset, measure: Measure) -> Json:
        return {
            "metric_name": f"measure_{measure.id}",
            "verbose_name": measure.name[self._language],
            "metric_type": None,
            "expression": measure_sql(dataset, measure),
            "description": measure.meaning[self._language],
            "d3format": _format(measure),
            "extra": {},
            "warning_text": None,
        }

    def _column(self, dataset: Dataset, dimension: Dimension) -> Json:
        type_ = _dimension_type(dataset, dimension)
        return _column(
            f"dim_{dimension.id}", dimension.name[self._language], type_, grouped_by=True
        )

    def _raw_column(self, dataset: Dataset, name: str) -> Json:
        return _column(name, None, column_types()[dataset.table][name], grouped_by=False)

    # Charts

    def _chart(self, chart: Chart) -> Json:
        query_ = self._query(chart)
        params: Json = {
            "viz_type": _KINDS[chart.kind],
            "adhoc_filters": _filters(chart),
            "row_limit": BARS if chart.kind == "bar" else _ROWS,
            "extra_form_data": {},
        }
        match chart.kind:
            case "indicator":
                params |= {
                    "metric": query_["metrics"][0],
                    "y_axis_format": _format(chart.measures[0]),
                    "header_font_size": 0.4,
                    "subheader": "",
                }
            case "table":
                params |= {
                    "query_mode": "aggregate",
                    "groupby": query_["columns"],
                    "metrics": query_["metrics"],
                    "order_desc": True,
                    "table_timestamp_format": "%Y-%m-%d",
                    "page_length": 0,
                    "show_cell_bars": False,
                    "server_page_length": 50,
                }
                if chart.sort:
                    params["timeseries_limit_metric"] = f"measure_{chart.sort}"
            case _:
                params |= self._axes(chart)
        context = {
            "datasource": {"id": 0, "type": "table"},
            "force": False,
            "queries": [query_],
            "form_data": params,
            "result_format": "json",
            "result_type": "full",
        }
        return {
            "slice_name": chart.name[self._language],
            "description": "\n".join(
                f"{each.name[self._language]}: {each.meaning[self._language]}"
                for each in chart.measures
            ),
            "certified_by": None,
            "certification_details": None,
            "viz_type": _KINDS[chart.kind],
            "params": params,
            "query_context": json.dumps(context, ensure_ascii=False),
            "cache_timeout": None,
            "uuid": self._id("chart", chart.id),
            "version": _VERSION,
            "dataset_uuid": self._id("dataset", chart.dataset.id),
        }

    def _query(self, chart: Chart) -> Json:
        columns = [f"dim_{name}" for name in chart.fields if name in chart.dataset.dimensions]
        metrics = [f"measure_{each.id}" for each in chart.measures]
        order = [[f"measure_{chart.sort}", False]] if chart.sort else []
        if not order and chart.x:
            # Superset 6.1 does not turn the axis of a chart with several lines around.
            order = [[f"dim_{chart.x}", True]]
        elif not order and columns:
            order = [[columns[0], True]]
        filters = [
            {"col": each["subject"], "op": each["operator"], "val": each["comparator"]}
            for each in _filters(chart)
            if each["clause"] == "WHERE"
        ]
        having = [each["sqlExpression"] for each in _filters(chart) if each["clause"] == "HAVING"]
        return {
            "columns": columns,
            "metrics": metrics,
            "filters": filters,
            "orderby": order,
            "row_limit": BARS if chart.kind == "bar" else _ROWS,
            "extras": {"having": " AND ".join(f"({each})" for each in having), "where": ""},
            "annotation_layers": [],
            "applied_time_extras": {},
            "url_params": {},
            "custom_params": {},
            "custom_form_data": {},
        }

    def _axes(self, chart: Chart) -> Json:
        x, (measure,) = f"dim_{chart.x}", chart.measures
        params: Json = {
            "x_axis": x,
            # A grain would turn the date into a time, and shift it by the zone of the server.
            "time_grain_sqla": None,
            "metrics": [f"measure_{measure.id}"],
            "groupby": [f"dim_{chart.color}"] if chart.color else [],
            "y_axis_format": _format(measure),
            "x_axis_time_format": "%Y-%m-%d",
            "rich_tooltip": True,
            "tooltipTimeFormat": "%Y-%m-%d",
            "show_legend": bool(chart.color),
            "legendOrientation": "top",
            "legendType": "scroll",
            "truncate_metric": True,
            "order_desc": True,
            "sort_series_type": "sum",
            "color_scheme": "supersetColors",
        }
        if chart.kind == "bar":
            params |= {
                "orientation": "horizontal",
                "x_axis_sort": f"measure_{measure.id}",
                "x_axis_sort_asc": True,
            }
        elif chart.kind == "column":
            params |= {"orientation": "vertical", "stack": "Stack" if chart.color else None}
        return params

    # Dashboards

    def _dashboard(self, dashboard: Dashboard) -> Json:
        numbers = {chart.id: place for place, chart in enumerate(dashboard.charts, start=1)}
        slug = "qtickets" if self._options.database == "zakaz" else self._options.database
        return {
            "dashboard_title": dashboard.name[self._language],
            "description": dashboard.meaning[self._language],
            "css": "",
            "slug": f"{slug}-{dashboard.id}",
            "certified_by": "",
            "certification_details": "",
            "published": True,
            "uuid": self._id("dashboard", dashboard.id),
            "position": self._position(dashboard, numbers),
            "metadata": {
                "color_scheme": "",
                "cross_filters_enabled": False,
                "refresh_frequency": 0,
                "timed_refresh_immune_slices": [],
                "expanded_slices": {},
                "default_filters": "{}",
                "label_colors": {},
                "shared_label_colors": [],
                "filter_bar_orientation": "HORIZONTAL",
                "chart_configuration": {},
                "native_filter_configuration": [
                    self._filter(dashboard, name, numbers) for name in dashboard.selectors
                ],
            },
            "version": _VERSION,
        }

    def _position(self, dashboard: Dashboard, numbers: Mapping[str, int]) -> Json:
        rows = [f"ROW-{place}" for place, _ in enumerate(dashboard.rows)]
        found: Json = {
            "DASHBOARD_VERSION_KEY": "v2",
            "ROOT_ID": {"type": "ROOT", "id": "ROOT_ID", "children": ["GRID_ID"]},
            "GRID_ID": {"type": "GRID", "id": "GRID_ID", "children": rows, "parents": ["ROOT_ID"]},
            "HEADER_ID": {
                "type": "HEADER",
                "id": "HEADER_ID",
                "meta": {"text": dashboard.name[self._language]},
            },
        }
        for name, row in zip(rows, dashboard.rows, strict=True):
            parents = ["ROOT_ID", "GRID_ID"]
            found[name] = {
                "type": "ROW",
                "id": name,
                "children": [f"CHART-{chart.id}" for chart in row],
                "parents": parents,
                "meta": {"background": "BACKGROUND_TRANSPARENT"},
            }
            height = max(_HEIGHTS[chart.kind] for chart in row)
            for chart in row:
                found[f"CHART-{chart.id}"] = {
                    "type": "CHART",
                    "id": f"CHART-{chart.id}",
                    "children": [],
                    "parents": [*parents, name],
                    "meta": {
                        "chartId": numbers[chart.id],
                        "uuid": self._id("chart", chart.id),
                        "sliceName": chart.name[self._language],
                        "width": COLUMNS // len(row),
                        "height": height,
                    },
                }
        return found

    def _filter(self, dashboard: Dashboard, selector: str, numbers: Mapping[str, int]) -> Json:
        dataset = dashboard.dataset_of(selector)
        column = f"dim_{selector}"
        outside = [c.id for c in dashboard.charts if selector not in c.dataset.dimensions]
        found: Json = {
            "id": f"NATIVE_FILTER-{dashboard.id}-{selector}",
            "type": "NATIVE_FILTER",
            "name": dataset.dimensions[selector].name[self._language],
            "description": "",
            "cascadeParentIds": [],
            "scope": {"rootPath": ["ROOT_ID"], "excluded": [numbers[name] for name in outside]},
        }
        if selector == "date":
            period = period_of(self._options)
            return found | {
                "filterType": "filter_time",
                "targets": [{}],
                "controlValues": {"enableEmptyFilter": False},
                "defaultDataMask": {
                    "extraFormData": {"time_range": period},
                    "filterState": {"value": period},
                },
            }
        if dashboard.id == selector:
            return found | self._one_event(dashboard)
        one = selector == "currency"
        mask: Json = {"extraFormData": {}, "filterState": {}}
        if one:
            value = [self._options.currency]
            mask = {
                "extraFormData": {"filters": [{"col": column, "op": "IN", "val": value}]},
                "filterState": {"value": value, "label": self._options.currency},
            }
        return found | {
            "filterType": "filter_select",
            "targets": [
                {"datasetUuid": self._id("dataset", dataset.id), "column": {"name": column}}
            ],
            "controlValues": {
                "multiSelect": not one,
                "enableEmptyFilter": one,
                "defaultToFirstItem": False,
                "inverseSelection": False,
                "searchAllOptions": False,
            },
            "defaultDataMask": mask,
        }

    def _one_event(self, dashboard: Dashboard) -> Json:
        """Return the selector of a dashboard about one event: at first, the one that sells best."""
        now = self._definition.datasets["now"]
        return {
            "filterType": "filter_select",
            "cascadeParentIds": [f"NATIVE_FILTER-{dashboard.id}-currency"],
            "targets": [
                {"datasetUuid": self._id("dataset", now.id), "column": {"name": "dim_event"}}
            ],
            "controlValues": {
                "multiSelect": True,
                "enableEmptyFilter": True,
                "defaultToFirstItem": True,
                "inverseSelection": False,
                "searchAllOptions": False,
                "sortMetric": "measure_revenue_14d",
                "sortAscending": False,
            },
            "sortMetric": "measure_revenue_14d",
            # Charts wait for the first value.
            "requiredFirst": True,
            "defaultDataMask": {"extraFormData": {}, "filterState": {}},
        }


def period_of(options: Options) -> str:
    """Return the period that is selected at first, as a time range of Superset.

    Its "today" is that of UTC and the end does not count, so the end is the day after tomorrow:
    the local date may be ahead of UTC, and no sale is later than now.
    """
    first, end = f"-{options.period_days - 1}", "2"
    return f"DATEADD(DATETIME('today'), {first}, day) : DATEADD(DATETIME('today'), {end}, day)"


def _filters(chart: Chart) -> list[Json]:
    """Return the filters of a chart: the one that the selector of the period fills, and no nulls.

    A bar without a value, such as the seats of an event that is over, only takes up space.
    """
    found: list[Json] = []
    if "date" in chart.dataset.dimensions:
        found.append(
            {
                "clause": "WHERE",
                "expressionType": "SIMPLE",
                "subject": "dim_date",
                "operator": "TEMPORAL_RANGE",
                "comparator": "No filter",
            }
        )
    if chart.kind == "bar":
        (measure,) = chart.measures
        found.append(
            {
                "clause": "HAVING",
                "expressionType": "SQL",
                "sqlExpression": f"isNotNull({measure_sql(chart.dataset, measure)})",
            }
        )
    return found


def _format(measure: Measure) -> str:
    return _FORMATS.get(measure.unit, _WHOLE) if measure.unit != "time" else ""


def _dimension_type(dataset: Dataset, dimension: Dimension) -> str:
    if dimension.join:
        return "String"
    if dimension.formula.startswith("date_trunc"):
        return "Date"
    return column_types()[dataset.table].get(dimension.formula, "String")


def _column(name: str, title: str | None, type_: str, *, grouped_by: bool) -> Json:
    return {
        "column_name": name,
        "verbose_name": title,
        "is_dttm": "Date" in type_,
        "is_active": True,
        "type": type_,
        "advanced_data_type": None,
        "groupby": grouped_by,
        "filterable": grouped_by,
        "expression": None,
        "description": None,
        "python_date_format": None,
        "extra": {},
    }
