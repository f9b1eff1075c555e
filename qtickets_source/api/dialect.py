"""What the service makes of filters and orders, and what to ask instead of one it does not honour.

Documented for lists are filters on three columns that this loader hardly needs. Those that it
stands on may be honoured, ignored (rows come that the filter excludes) or refused (HTTP 400, 422 or
the application's 503). The verdicts of a run are kept in the state, so that the next run does not
search again. They are forgotten after a day, so that the better way is tried again.

A filter that is not honoured has substitutes, each dearer than the one before:

1. the other operator: `> N` for `>= N + 1`;
2. `=` for each value of an `in`, or `in` for a `=`;
3. a list without that filter, in descending order of its column, up to its lower bound;
4. a list without that filter.

Every row is filtered again here, so that the rows are the same.
"""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any, Literal

from ..settings import EVENTS_PATH, LARGER_PAGES
from .filters import Condition
from .page_shape import PAGE_SIZE, SELECT, PageShape

Outcome = Literal["ignored", "refused", "inconsistent"]

ORDER_BY = "orderBy"
"""In place of an operator: whether lists come in the order of a column."""
TOTAL = "total"
"""In place of an operator: whether `paging.total` counts what the filter leaves."""
EVERY_LIST = ""
"""In place of a path: a verdict on the size of pages counts for all lists."""
TRIED_AGAIN_AFTER = timedelta(hours=23)
ONE_BY_ONE = 200
"""Values of an `in` that are asked for one by one; with more, the list is read without it."""

# The step between two neighbouring values: ids are whole numbers, times have whole seconds.
_TWINS = {">": (">=", 1), ">=": (">", -1), "<": ("<=", -1), "<=": ("<", 1)}


@dataclass(frozen=True)
class Question:
    """A list to ask for.

    Attributes:
        conditions: Its `where`.
        newest_first_until: The lower bound up to which it is read in descending order; None: it is
            read in the order of ids.
    """

    conditions: tuple[Condition, ...]
    newest_first_until: Condition | None = None


class Dialect:
    """The verdicts on filters and orders, by path, column and operator."""

    def __init__(self) -> None:
        self._verdicts: dict[str, tuple[Outcome, datetime]] = {}
        self._selections: dict[str, tuple[tuple[str, ...], datetime]] = {}

    def shape(self, path: str) -> PageShape:
        """Return what to ask of a page of a list: what is proven, or does no harm if ignored."""
        fields, _ = self._selections.get(path, ((), None))
        if not self.accepts(path, "", SELECT):
            fields = ()
        # Without a selection ten events are a megabyte.
        may_be_larger = path in LARGER_PAGES and (path != EVENTS_PATH or fields)
        is_larger = may_be_larger and self.accepts(EVERY_LIST, "", PAGE_SIZE)
        return PageShape(LARGER_PAGES[path] if is_larger else None, fields)

    def learn_selection(self, path: str, fields: Sequence[str], at: datetime) -> None:
        """Record fields that the service was seen to select correctly."""
        self._selections[path] = (tuple(fields), at)

    def accepts(self, path: str, column: str, operator: str) -> bool:
        """Return whether nothing is known against an operator on a column of a list."""
        return _key(path, column, operator) not in self._verdicts

    def learn(self, path: str, column: str, operator: str, outcome: Outcome, at: datetime) -> bool:
        """Record a verdict; return whether it is new."""
        key = _key(path, column, operator)
        is_new = key not in self._verdicts
        self._verdicts.setdefault(key, (outcome, at))
        return is_new

    def recall(self, state: Mapping[str, Any]) -> None:
        """Take over the verdicts of earlier runs."""
        for key, (outcome, at, *fields) in state.items():
            if fields:
                self._selections.setdefault(key, (tuple(fields), at))
            else:
                self._verdicts.setdefault(key, (outcome, at))

    def forget_old(self, now: datetime) -> None:
        """Forget verdicts that are a day old by the service's clock."""
        self._verdicts = {
            key: (outcome, at)
            for key, (outcome, at) in self._verdicts.items()
            if now - at < TRIED_AGAIN_AFTER
        }
        self._selections = {
            path: (fields, at)
            for path, (fields, at) in self._selections.items()
            if now - at < TRIED_AGAIN_AFTER
        }

    def as_state(self) -> dict[str, Any]:
        """Return the verdicts as the state keeps them."""
        selections = {path: ["", at, *fields] for path, (fields, at) in self._selections.items()}
        return {key: list(verdict) for key, verdict in self._verdicts.items()} | selections

    def questions(self, path: str, conditions: Sequence[Condition]) -> list[Question]:
        """Return the lists that together hold all rows of a list, and perhaps others."""
        lists: list[tuple[Condition, ...]] = [()]
        for condition in conditions:
            ways = self._instead_of(path, condition)
            lists = [(*asked, *way) for asked in lists for way in ways]
        bound = next((c for c in conditions if self._is_lost_bound(path, c)), None)
        return [Question(asked, bound) for asked in lists]

    def reads_all(self, path: str, conditions: Sequence[Condition]) -> bool:
        """Return whether every row of the whole list must be read."""
        asked = self.questions(path, conditions)
        return any(not q.conditions and not q.newest_first_until for q in asked)

    def keyset_operator(self, path: str) -> str:
        """Return the operator by which a list is walked by id; "" if there is none."""
        if not self.accepts(path, "id", ORDER_BY):
            return ""
        return next((by for by in (">", ">=") if self.accepts(path, "id", by)), "")

    def describe(self, path: str, conditions: Sequence[Condition]) -> str:
        """Return what is asked instead of a list, and what that costs."""
        asked = self.questions(path, conditions)
        if not conditions:
            return "Instead, lists are read by the number of the page."
        if all(one.column == "id" and one.operator in ("=", "in") for one in conditions):
            return "Instead, single rows are asked for in another way."
        if self.reads_all(path, conditions):
            return (
                f"Instead, all of /{path} is read and filtered here. This costs a request for every"
                " page of the whole history, each time."
            )
        if bound := asked[0].newest_first_until:
            return (
                f"Instead, /{path} is read in descending order of `{bound.column}`, without that"
                " filter. This costs a few requests more."
            )
        if len(asked) > 1:
            return f"Instead, {len(asked)} lists are asked for, one for each value."
        return (
            "Instead, another filter is sent, which leaves the same rows or some more; those are"
            " filtered here."
        )

    def _instead_of(self, path: str, condition: Condition) -> list[tuple[Condition, ...]]:
        """Return the conditions of which one or the other holds wherever this one does."""
        column, value = condition.column, condition.value
        if self.accepts(path, column, condition.operator):
            return [(condition,)]
        if (twin := twin_of(condition)) and self.accepts(path, column, twin.operator):
            return [(twin,)]
        is_short = condition.operator == "in" and len(value) <= ONE_BY_ONE
        if is_short and self.accepts(path, column, "="):
            return [(Condition(column, "=", one),) for one in value]
        return [()]

    def _is_lost_bound(self, path: str, condition: Condition) -> bool:
        return (
            condition.operator in (">", ">=")
            and condition.compares_timestamps
            and self._instead_of(path, condition) == [()]
            and self.accepts(path, condition.column, ORDER_BY)
        )


def twin_of(condition: Condition) -> Condition | None:
    """Return a condition with another operator that leaves the same rows, if there is one."""
    column, value = condition.column, condition.value
    if condition.operator == "=":
        return Condition(column, "in", [value])
    if condition.operator not in _TWINS:
        return None
    operator, step = _TWINS[condition.operator]
    if condition.compares_timestamps:
        # Sent, and compared, in whole seconds.
        return Condition(column, operator, value.replace(microsecond=0) + timedelta(seconds=step))
    if isinstance(value, int):
        return Condition(column, operator, value + step)
    return None


def operators_of(questions: Iterable[Question]) -> list[Condition]:
    """Return one condition for each column and operator that questions ask by."""
    found = {(c.column, c.operator): c for q in questions for c in q.conditions}
    return list(found.values())


def _key(path: str, column: str, operator: str) -> str:
    return f"{path} {column} {operator}"
