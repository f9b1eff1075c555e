"""Reads lists in the best way that the service honours; whichever that is, the rows are the same.

The filter is sent by the transport that worked last, then by the others. If none is honoured, the
dialect learns which column and operator are to blame, and names what to ask instead.
"""

import logging
from collections import deque
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import AbstractContextManager
from datetime import datetime
from functools import partial
from itertools import islice
from typing import Any, Protocol, TypeVar

from dlt.sources.helpers.rest_client.paginators import BasePaginator

from ..errors import (
    ApplicationError,
    FilterIgnored,
    FilterRefused,
    PagesDontAddUp,
    QTicketsError,
    RequestRejected,
    ServiceUnavailable,
)
from ..observations import Observations
from ..settings import Transport
from .completeness import CompletenessCheck
from .decoding import Decode, decode_json
from .dialect import EVERY_LIST, TOTAL, Outcome, Question, operators_of
from .filters import Condition
from .page_shape import AS_IT_COMES, PAGE_SIZE, SELECT, PageShape, selected
from .pagination import KeysetPaginator, NewestFirstPaginator, PageNumberPaginator

logger = logging.getLogger(__name__)

Row = dict[str, Any]
Pages = Iterator[list[Row]]
Result = TypeVar("Result")

PAGES_AHEAD = 4
"""Pages requested ahead of their turn, for each connection."""


class Paginate(Protocol):
    """Yields the pages of a list, each row with its version."""

    def __call__(
        self, path: str, paginator: BasePaginator, decode: Decode = decode_json
    ) -> Pages: ...


class ListReader:
    """Reads lists.

    Args:
        paginate: Sends the requests of a paginator.
        now: The service's time.
        pool: Reads pages in parallel.
        connections: Concurrent requests.
        transports: How list requests are sent, in the order in which they are tried.
        observed: Its dialect is used and extended; findings are added.
        trying_once: Opens a block whose requests are not retried.
    """

    def __init__(
        self,
        paginate: Paginate,
        now: Callable[[], datetime],
        pool: ThreadPoolExecutor,
        connections: int,
        transports: Sequence[Transport],
        observed: Observations,
        trying_once: Callable[[], AbstractContextManager[None]],
    ) -> None:
        self._paginate = paginate
        self._trying_once = trying_once
        self._now = now
        self._pool = pool
        self._connections = connections
        self._transports = tuple(transports)
        self._findings = observed.findings
        self._dialect = observed.dialect
        self.transport = self._transports[0]
        """The transport that worked last."""

    def count(self, path: str, conditions: Sequence[Condition]) -> tuple[int, list[Row]]:
        """Return (records of a list, its first page), or (0, []) if the filter is not honoured.

        Counting here would then mean reading everything, which the caller is about to do anyway.
        """
        asked = self._dialect.questions(path, conditions)
        if asked != [Question(tuple(conditions))] or not self._has_totals(path):
            return 0, []
        try:
            return self._counted_page(path, conditions)
        except FilterIgnored:
            return 0, []

    def first_page(self, path: str, conditions: Sequence[Condition]) -> list[Row]:
        """Return the first page of a list, by ascending id.

        Raises:
            FilterIgnored: The service honours the filter by no transport.
        """
        return self._counted_page(path, conditions)[1]

    def find(self, path: str, conditions: Sequence[Condition]) -> list[Row] | None:
        """Return the few rows of a list that satisfy conditions; None if they cannot be asked for.

        Raises:
            FilterIgnored: The service ignores the request as a whole.
        """
        while True:
            asked = self._dialect.questions(path, conditions)[0].conditions
            if not _leaves_few(asked):
                return None
            try:
                rows = self.first_page(path, asked)
            except FilterIgnored as error:
                if not self._learn(path, conditions, error):
                    raise
                continue
            return [row for row in rows if _matches(row, conditions)]

    def walk(self, path: str, conditions: Sequence[Condition], closed_by: str | None) -> Pages:
        """Yield pages of a list by ascending id; correct while rows are added and changed.

        In another order where the service does not allow that one.
        """

        def ask(question: Question) -> Pages:
            operator = self._dialect.keyset_operator(path)
            if question.newest_first_until or not operator or not question.conditions:
                closed = self._closed(conditions, closed_by)
                return self._ask(path, question, closed, decode_json)
            return self._walk(path, question.conditions, operator, closed_by)

        if not conditions:
            return self._walk(path, (), ">", closed_by)
        return self._as_honoured(path, conditions, [ask])

    def list_pages(self, path: str, conditions: Sequence[Condition], decode: Decode) -> Pages:
        """Yield pages of a list by number, in order, several requested at a time.

        By ascending id where the pages do not add up.
        """

        def ask(question: Question) -> Pages:
            return self._ask(path, question, conditions, decode)

        def ask_by_id(question: Question) -> Pages:
            if not (operator := self._dialect.keyset_operator(path)):
                raise FilterIgnored(f"GET /{path}: the service honours neither pages nor ids.")
            pages = self._walk(path, question.conditions, operator, None)
            return self._filtered_here(pages, question, conditions)

        return self._as_honoured(path, conditions, [ask, ask_by_id])

    def _as_honoured(
        self,
        path: str,
        conditions: Sequence[Condition],
        ways: Sequence[Callable[[Question], Pages]],
    ) -> Pages:
        """Yield the pages of the questions that stand for a list, learning which are honoured.

        Rows of an attempt that failed may come again: they are versions of the same rows.

        Args:
            path: Of the list.
            conditions: What all rows satisfy.
            ways: How to ask a question; the next one if what came does not add up.
        """
        first_error: FilterIgnored | PagesDontAddUp | None = None
        ask, *others = ways
        while True:
            try:
                for question in self._dialect.questions(path, conditions):
                    yield from ask(question)
                return
            except (FilterIgnored, PagesDontAddUp) as error:
                # What was wrong at first says more than what went wrong with its substitutes.
                first_error = first_error or error
                if isinstance(error, FilterIgnored):
                    has_learned = self._learn(path, conditions, error)
                else:
                    has_learned = self._learn_totals(path)
                if has_learned:
                    continue
                if not others:
                    raise first_error from None
                ask = others.pop(0)

    def _ask(
        self,
        path: str,
        question: Question,
        conditions: Sequence[Condition],
        decode: Decode,
    ) -> Pages:
        """Yield the rows of a list that satisfy its conditions, by the pages of a question."""
        pages: Callable[[Transport], Pages]
        if until := question.newest_first_until:

            def pages(transport: Transport) -> Pages:
                newest = NewestFirstPaginator(
                    path, question.conditions, until, transport, shape=self._dialect.shape(path)
                )
                return self._paginate(path, newest, decode)

        elif question.conditions and not self._has_totals(path):
            # Numbered pages end where the service's count says.
            operator = self._dialect.keyset_operator(path) or ">"
            pages_by_id = self._walk(path, question.conditions, operator, None)
            return self._filtered_here(pages_by_id, question, conditions)
        else:

            def pages(transport: Transport) -> Pages:
                return self._in_parallel(
                    path,
                    question.conditions,
                    transport,
                    decode,
                    may_grow=question.conditions != tuple(conditions),
                )

        found = self._try_transports(
            path,
            lambda transport: self._retry_once_if_inconsistent(path, partial(pages, transport)),
            filtered=bool(question.conditions),
        )
        return self._filtered_here(found, question, conditions)

    @staticmethod
    def _filtered_here(pages: Pages, question: Question, conditions: Sequence[Condition]) -> Pages:
        """Yield the rows that satisfy the conditions for which the question stands."""
        if question == Question(tuple(conditions)):
            return pages
        return ([row for row in page if _matches(row, conditions)] for page in pages)

    def _walk(
        self, path: str, conditions: Sequence[Condition], operator: str, closed_by: str | None
    ) -> Pages:
        def walk(transport: Transport) -> Pages:
            last_id = 0

            def remember(row_id: int) -> None:
                nonlocal last_id
                last_id = row_id

            def continue_walk() -> Pages:
                paginator = KeysetPaginator(
                    path,
                    conditions,
                    transport,
                    closed_by=closed_by,
                    on_page=remember,
                    after=last_id,
                    operator=operator,
                    has_totals=self._has_totals(path),
                    shape=self._dialect.shape(path),
                )
                return self._paginate(path, paginator)

            return self._retry_once_if_inconsistent(path, continue_walk)

        return self._try_transports(path, walk, filtered=bool(conditions))

    def _closed(
        self, conditions: Sequence[Condition], closed_by: str | None
    ) -> tuple[Condition, ...]:
        """Return the conditions of a walk that ends at the service's present."""
        if not closed_by:
            return tuple(conditions)
        return (*conditions, Condition(closed_by, "<=", self._now()))

    def _has_totals(self, path: str) -> bool:
        return self._dialect.accepts(path, "", TOTAL)

    def _learn(self, path: str, conditions: Sequence[Condition], error: FilterIgnored) -> bool:
        """Learn from an error what the service does not honour; return whether that is new."""
        outcome: Outcome = "ignored"
        if isinstance(error, FilterRefused):
            subjects, outcome = self._refused(path, conditions), "refused"
        elif error.subject is None:
            return False
        else:
            subjects = [error.subject]
        blamed = [one for one in conditions if (one.column, one.operator) in subjects]
        learned = [
            f"`{column} {operator}`"
            for column, operator in subjects
            if self._dialect.learn(path, column, operator, outcome, self._now())
        ]
        if learned:
            text = (
                f"The service {outcome} {', '.join(learned)} of /{path}."
                f" {self._dialect.describe(path, blamed or conditions)}"
            )
            self._findings.instead.append(text)
            logger.warning("%s", text)
        return bool(learned)

    def _learn_totals(self, path: str) -> bool:
        """Learn whether `paging.total` counts the whole list, whatever its filter leaves."""
        try:
            whole, _ = self._counted_page(path, ())
            total, rows = self._counted_page(path, [Condition("id", "=", 0)])
        except QTicketsError:
            return False
        if rows or not total or total < whole:
            return False
        is_new = self._dialect.learn(path, "", TOTAL, "ignored", self._now())
        if is_new:
            text = (
                f"The service's totals of /{path} ignore the filter. Instead, lists are read up to"
                " an empty page; a row that is missing from a page cannot be noticed."
            )
            self._findings.instead.append(text)
            logger.warning("%s", text)
        return is_new

    def _refused(self, path: str, conditions: Sequence[Condition]) -> list[tuple[str, str]]:
        """Return column and operator of the conditions that are refused alone, else of all."""
        asked = operators_of(self._dialect.questions(path, conditions))
        if keyset := self._dialect.keyset_operator(path):
            asked.append(Condition("id", keyset, 0))
        refused = [one for one in asked if self._is_refused(path, one)]
        return [(one.column, one.operator) for one in refused or asked]

    def _is_refused(self, path: str, condition: Condition) -> bool:
        try:
            self._page_of_shape(path, [condition], AS_IT_COMES)
        except (ApplicationError, RequestRejected):
            return True
        except QTicketsError:
            return False
        return False

    def _counted_page(self, path: str, conditions: Sequence[Condition]) -> tuple[int, list[Row]]:
        def page(transport: Transport) -> Iterator[tuple[int, list[Row]]]:
            completeness = CompletenessCheck(path)
            paginator = PageNumberPaginator(path, conditions, transport, completeness=completeness)
            rows = next(self._paginate(path, paginator))
            yield completeness.total or 0, rows

        return next(self._try_transports(path, page, filtered=bool(conditions)))

    def _try_transports(
        self, path: str, pages: Callable[[Transport], Iterator[Result]], *, filtered: bool
    ) -> Iterator[Result]:
        """Yield the pages of the first transport that the service honours.

        The transport that worked last is tried first.

        Args:
            path: Of the list.
            pages: The pages by a transport.
            filtered: Whether a page proves that its transport is honoured; without a filter the
                first page is the same for every transport.

        Raises:
            FilterIgnored: The service honours none.
        """
        transports = self._transports if filtered else (*self._transports, "get_body")
        others = [transport for transport in transports if transport != self.transport]
        first_error: FilterIgnored | None = None
        transport, has_switched = self.transport, False
        while True:
            try:
                for page in pages(transport):
                    if has_switched and filtered and page:
                        self.transport = transport
                    yield page
                if has_switched:
                    self.transport = transport
                return
            except (FilterIgnored, RequestRejected, ServiceUnavailable) as error:
                if self._learn_shape(path, error):
                    continue
                if isinstance(error, ServiceUnavailable) and not isinstance(
                    error, ApplicationError
                ):
                    raise
                found = self._as_filter_error(error, path, transport, filtered=filtered)
                self._findings.ignored.append(f"{transport}: {found}")
                has_switched = True
                first_error = first_error or found
                if not others:
                    self.transport = self._transports[0]
                    raise first_error from None
                transport = others.pop(0)
                logger.warning("%s Trying %s instead.", found, transport)

    def _as_filter_error(
        self, error: QTicketsError, path: str, transport: Transport, *, filtered: bool
    ) -> FilterIgnored:
        """Return the error as one that another transport or another question may avoid.

        Raises:
            QTicketsError: It is not one: the service answers nothing at this moment.
        """
        if isinstance(error, FilterIgnored):
            return error
        if not filtered and transport == "post_body":
            return FilterRefused(str(error))
        if not filtered or not self._answers(path, AS_IT_COMES):
            raise error
        return FilterRefused(
            f"{error} A list without a filter is answered: the service refuses this filter."
        )

    def _retry_once_if_inconsistent(self, path: str, pages: Callable[[], Pages]) -> Pages:
        """Yield the pages; read them once more if they do not add up, then fail.

        The second time with the service's own size of pages. Rows of the first reading may come
        again: they are versions of the same rows.
        """
        try:
            yield from pages()
        except PagesDontAddUp as error:
            logger.warning("%s Reading it once more.", error)
            if self._dialect.shape(path).per_page:
                self._dialect.learn(EVERY_LIST, "", PAGE_SIZE, "inconsistent", self._now())
            yield from pages()

    def learn_selection(self, path: str, fields: Sequence[str], sample: Row) -> bool:
        """Ask for a row that was read whole by some of its fields; return whether they came.

        If they did, later lists of the day ask for these fields only.
        """
        shape = PageShape(select=tuple(fields))
        outcome: Outcome = "ignored"
        try:
            with self._trying_once():
                rows = self._page_of_shape(path, [Condition("id", "=", sample["id"])], shape)
        except (FilterIgnored, RequestRejected, ServiceUnavailable):
            rows, outcome = [], "refused"
        for row in rows:
            got = {name: value for name, value in row.items() if name != "_fetched_at"}
            if got == selected(sample, fields):
                self._dialect.learn_selection(path, fields, self._now())
                return True
        self._dialect.learn(path, "", SELECT, outcome, self._now())
        return False

    def _learn_shape(
        self, path: str, error: FilterIgnored | RequestRejected | ServiceUnavailable
    ) -> bool:
        """Learn from an error whether the shape of a page is to blame; return whether it is."""
        if isinstance(error, FilterIgnored):
            blamed = [SELECT] if error.subject == ("", SELECT) else []
        elif isinstance(error, RequestRejected | ApplicationError) or error.is_timeout:
            blamed = self._refused_parts(path, self._dialect.shape(path))
        else:
            blamed = []
        for key in blamed:
            of_list = EVERY_LIST if key == PAGE_SIZE else path
            self._dialect.learn(of_list, "", key, "refused", self._now())
            text = (
                f"The service does not honour `{key}` of /{path}. Instead, pages of its own size"
                " and with all fields are read, which costs more requests or larger answers."
            )
            self._findings.instead.append(text)
            logger.warning("%s", text)
        return bool(blamed)

    def _refused_parts(self, path: str, shape: PageShape) -> list[str]:
        """Return the parts of a shape with which a list is refused that is answered without."""
        parts = {
            PAGE_SIZE: PageShape(per_page=shape.per_page),
            SELECT: PageShape(select=shape.select),
        }
        asked = [key for key, part in parts.items() if part != AS_IT_COMES]
        if not asked or not self._answers(path, AS_IT_COMES):
            return []
        return [key for key in asked if not self._answers(path, parts[key])]

    def _answers(self, path: str, shape: PageShape) -> bool:
        """Return whether the service answers a list of a shape at this moment."""
        try:
            with self._trying_once():
                self._page_of_shape(path, (), shape)
        except QTicketsError:
            return False
        return True

    def _page_of_shape(
        self, path: str, conditions: Sequence[Condition], shape: PageShape
    ) -> list[Row]:
        transport = self.transport if conditions else "get_body"
        paginator = PageNumberPaginator(
            path, conditions, transport, completeness=CompletenessCheck(path), last=1, shape=shape
        )
        return next(self._paginate(path, paginator))

    def _in_parallel(
        self,
        path: str,
        conditions: Sequence[Condition],
        transport: Transport,
        decode: Decode,
        *,
        may_grow: bool,
    ) -> Pages:
        """Yield page 1, which gives the number of pages, then the others, read in parallel.

        A slow page does not hold up the others: up to `PAGES_AHEAD` pages for each connection are
        requested before their turn, so memory does not depend on the list's length.
        """
        completeness = CompletenessCheck(path, may_grow=may_grow)
        shape = self._dialect.shape(path)
        first = PageNumberPaginator(
            path, conditions, transport, completeness=completeness, shape=shape
        )
        yield next(self._paginate(path, first, decode))

        def read(number: int) -> list[Row]:
            paginator = PageNumberPaginator(
                path,
                conditions,
                transport,
                completeness=completeness,
                first=number,
                last=number,
                shape=shape,
            )
            return next(self._paginate(path, paginator, decode))

        numbers = iter(range(2, first.pages + 1))
        waiting: deque[Future[list[Row]]] = deque()
        try:
            while True:
                for number in islice(numbers, PAGES_AHEAD * self._connections - len(waiting)):
                    waiting.append(self._pool.submit(read, number))
                if not waiting:
                    break
                yield waiting.popleft().result()
        finally:
            for page in waiting:
                page.cancel()
        completeness.check()


def _matches(row: Row, conditions: Sequence[Condition]) -> bool:
    return all(condition.matches(row) for condition in conditions)


def _leaves_few(conditions: Sequence[Condition]) -> bool:
    """Return whether conditions leave at most a page: an id, or a window of a column."""
    operators: dict[str, str] = {}
    for condition in conditions:
        operators[condition.column] = operators.get(condition.column, "") + condition.operator[0]
    return any(column == "id" or {"<", ">"} <= set(found) for column, found in operators.items())
