"""Translation of the formulas of the definition into ClickHouse SQL and DataLens formulas.

Every division is of Float64 and gives null for a zero divisor: ClickHouse divides Decimal(18, 2) by
Decimal(18, 2) to two digits, and fails if the divisor is zero.
"""

from collections.abc import Callable, Iterable, Mapping

import sqlglot
from sqlglot import exp

Title = Callable[[str], str]
"""Returns the title of the DataLens field of a column."""


class FormulaError(ValueError):
    """A formula uses something that cannot be translated."""


def columns_of(formula: str) -> list[str]:
    """Return the columns that a formula reads, sorted."""
    return sorted({column.name for column in _parse(formula).find_all(exp.Column)})


def to_sql(formula: str) -> str:
    """Return a formula as ClickHouse SQL."""
    return _Sql().write(_parse(formula))


def to_datalens(
    formula: str,
    title: Title,
    within: Iterable[str] = (),
    values: Mapping[str, str] | None = None,
) -> str:
    """Return a formula in the formula language of DataLens.

    Args:
        formula: SQL of the definition.
        title: Returns the field title of a column.
        within: Columns that must have at most one value, else the result is null.
        values: Translations of the texts that the formula returns; those that it compares stay.
    """
    text = _DataLens(values or {}, title).write(_parse(formula))
    guards = [f"COUNTD([{title(column)}]) <= 1" for column in within]
    return f"IF({' AND '.join(guards)}, {text}, NULL)" if guards else text


def _parse(formula: str) -> exp.Expr:
    return sqlglot.parse_one(formula, read="clickhouse")


_OPERATORS: dict[type[exp.Expr], str] = {
    exp.Add: "+",
    exp.Sub: "-",
    exp.Mul: "*",
    exp.EQ: "=",
    exp.NEQ: "!=",
    exp.LT: "<",
    exp.LTE: "<=",
    exp.GT: ">",
    exp.GTE: ">=",
    exp.And: "AND",
    exp.Or: "OR",
}
_AGGREGATES: dict[type[exp.Expr], str] = {
    exp.Sum: "SUM",
    exp.Avg: "AVG",
    exp.Min: "MIN",
    exp.Max: "MAX",
}


class _Sql:
    """Writes an expression as ClickHouse SQL."""

    as_float, count_distinct, is_null, condition = "toFloat64", "uniqExact", "isNull", "if"

    def column(self, name: str) -> str:
        return name

    def literal(self, text: str) -> str:
        # A quote would end the literal.
        return "'" + text.replace("'", "") + "'"

    def result(self, node: exp.Expr) -> str:
        """Write an expression whose value the formula returns."""
        return self.write(node)

    def month(self, operand: str) -> str:
        return f"toStartOfMonth({operand})"

    def write(self, node: exp.Expr) -> str:
        kind = type(node)
        if isinstance(node, exp.Binary) and kind in _OPERATORS:
            return f"{self.write(node.left)} {_OPERATORS[kind]} {self.write(node.right)}"
        if kind in _AGGREGATES:
            return f"{_AGGREGATES[kind]}({self.write(node.this)})"
        match node:
            case exp.Paren():
                return f"({self.write(node.this)})"
            case exp.Column():
                return self.column(node.name)
            case exp.Literal():
                return self.literal(node.name) if node.is_string else node.name
            case exp.Div():
                above, below = (self.write(each) for each in (node.left, node.right))
                divisor = f"{self.as_float}({below})"
                quotient = f"{self.as_float}({above}) / {divisor}"
                return f"{self.condition}({divisor} = 0, NULL, {quotient})"
            case exp.Count(this=exp.Distinct(expressions=[operand])):
                return f"{self.count_distinct}({self.write(operand)})"
            case exp.Is(expression=exp.Null()):
                return f"{self.is_null}({self.write(node.this)})"
            case exp.Case():
                text = self.result(node.args["default"])
                for branch in reversed(node.args["ifs"]):
                    parts = (self.write(branch.this), self.result(branch.args["true"]), text)
                    text = f"{self.condition}({', '.join(parts)})"
                return text
            case exp.TimestampTrunc() | exp.DateTrunc() if (
                node.args["unit"].name.lower() == "month"
            ):
                return self.month(self.write(node.this))
        raise FormulaError(f"cannot translate {node.sql()!r} ({kind.__name__})")


class _DataLens(_Sql):
    """Writes an expression in the formula language of DataLens."""

    as_float, count_distinct, is_null, condition = "FLOAT", "COUNTD", "ISNULL", "IF"

    def __init__(self, values: Mapping[str, str], title: Title) -> None:
        self._values = values
        self._title = title

    def column(self, name: str) -> str:
        return f"[{self._title(name)}]"

    def result(self, node: exp.Expr) -> str:
        if isinstance(node, exp.Literal) and node.is_string:
            return self.literal(self._values.get(node.name, node.name))
        return self.write(node)

    def month(self, operand: str) -> str:
        return f"DATETRUNC({operand}, 'month')"
