"""The SQL of DataLens for a dataset of the generated workbook: its fields, joins and formulas."""

import re
from collections.abc import Iterable, Mapping
from typing import Any

Json = dict[str, Any]

# Functions of the formula language, and the ClickHouse functions that DataLens compiles them to.
FUNCTIONS = {
    "IF": "if",
    "FLOAT": "toFloat64",
    "COUNTD": "uniqExact",
    "ISNULL": "isNull",
    "SUM": "sum",
    "AVG": "avg",
    "MIN": "min",
    "MAX": "max",
    "DATETRUNC": "datetrunc",
}


class DataLensDataset:
    """A dataset of a workbook, as DataLens queries it."""

    def __init__(self, dataset: Json) -> None:
        self._dataset = dataset
        self.fields = {field["guid"]: field for field in dataset["result_schema"]}
        self._by_title = {field["title"]: field for field in dataset["result_schema"]}
        sources = {source["id"]: source for source in dataset["sources"]}
        self._tables = {
            avatar["id"]: sources[avatar["source_id"]]["parameters"]
            for avatar in dataset["source_avatars"]
        }

    def sql(
        self,
        guids: Iterable[str],
        group_by: Iterable[str] = (),
        where: Mapping[str, str] | None = None,
    ) -> str:
        """Return a query of measures and dimensions, grouped by dimensions.

        Args:
            guids: The measures.
            group_by: The dimensions.
            where: The text that each of these dimensions must have.
        """
        grouped = list(group_by)
        columns = [f"{self.expression(guid)} AS {guid}" for guid in [*grouped, *guids]]
        groups = f" GROUP BY {', '.join(map(self.expression, grouped))}" if grouped else ""
        kept = [f"{self.expression(guid)} = '{text}'" for guid, text in (where or {}).items()]
        filters = f" WHERE {' AND '.join(kept)}" if kept else ""
        return (
            f"SELECT {', '.join(columns)} FROM {self._from()}{filters}{groups}"
            " SETTINGS join_use_nulls = 1"
        )

    def expression(self, guid: str) -> str:
        """Return the ClickHouse expression of a field."""
        field = self.fields[guid]
        if field["calc_mode"] == "direct":
            return f"{field['avatar_id']}.{field['source']}"

        def function(match: re.Match[str]) -> str:
            return FUNCTIONS[match[1]] + "("

        def column(match: re.Match[str]) -> str:
            return self.expression(self._guid(match[0][1:-1]))

        # Texts are kept: every second part is one.
        parts = re.split(r"('[^']*')", field["formula"])
        for place in range(0, len(parts), 2):
            text = re.sub(r"\b([A-Z_]+)\(", function, parts[place])
            parts[place] = re.sub(r"\[[^]]+\]", column, text)
        return re.sub(r"datetrunc\((.*), 'month'\)", r"toStartOfMonth(\1)", "".join(parts))

    def titles_in_formulas(self) -> set[str]:
        """Return the titles of the fields that formulas name."""
        formulas = (field.get("formula", "") for field in self.fields.values())
        return {title for text in formulas for title in re.findall(r"\[([^]]+)\]", text)}

    def _guid(self, title: str) -> str:
        return str(self._by_title[title]["guid"])

    def _from(self) -> str:
        def table(avatar: str) -> str:
            source = self._tables[avatar]
            return f"{source['db_name']}.{source['table_name']} AS {avatar}"

        (root,) = (a["id"] for a in self._dataset["source_avatars"] if a["is_root"])
        text = table(root)
        for relation in self._dataset["avatar_relations"]:
            left, right = relation["left_avatar_id"], relation["right_avatar_id"]
            (condition,) = relation["conditions"]
            on = f"{left}.{condition['left']['source']} = {right}.{condition['right']['source']}"
            text += f" LEFT JOIN {table(right)} ON {on}"
        return text
