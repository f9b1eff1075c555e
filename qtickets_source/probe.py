"""Ask the live service, by GET only, what it honours of what this source would send.

The service's documentation describes only a few filters, and neither page sizes nor the selection
of fields in lists. Every question is a request whose answer shows whether it was honoured: rows
that the filter excludes did not come, although they come without it. Nothing is loaded, and no
answer is kept: the report has names of fields, types, numbers of rows and seconds.
"""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta, timezone
from statistics import median
from typing import Any, Literal

from requests import Response

from .answer_shapes import shape_of
from .api.client import QTicketsClient
from .api.dialect import ORDER_BY, TOTAL, Dialect
from .api.dialect import Outcome as Verdict
from .api.filters import Condition, as_where
from .api.page_shape import PAGE_SIZE, SELECT
from .api.pagination import checked_rows, paging_of
from .api.proof import SECOND, SETTLED_AFTER, KnownOrder
from .api.response import clock_difference
from .datetimes import VENDOR_TZ
from .errors import ApplicationError, QTicketsError, RequestRejected
from .observations import Observations
from .privacy import redact_message
from .resources.shows import open_shows
from .rows.columns import as_rows
from .settings import (
    BARCODE_FIELDS,
    BARCODES_PATH,
    CLIENTS_PATH,
    COLOR_THEMES_PATH,
    DISCOUNTS_PATH,
    EVENTS_PATH,
    LARGER_PAGES,
    ORDERS_PATH,
    PROMO_CODES_PATH,
    SEAT_FIELDS,
    SEATS_PATH,
    TRANSPORTS,
    Transport,
)

Row = dict[str, Any]
Outcome = Literal["honoured", "readable", "ignored", "refused", "misread", "differs", "unknown"]

SECONDS = 45
"""No question is asked later than this; with answers of 15 seconds a probe ends within a minute."""
ANSWER_SECONDS = 15.0
PAGE_SIZES = (LARGER_PAGES[ORDERS_PATH], 500)


@dataclass(frozen=True)
class Answer:
    """The answer to one question.

    Attributes:
        topic: Groups questions.
        question: What was asked for.
        outcome: What the service made of it.
        detail: What showed it.
        seconds: How long the answer took; None if nothing was sent.
        rows: Rows that came.
    """

    topic: str
    question: str
    outcome: Outcome
    detail: str = ""
    seconds: float | None = None
    rows: int = 0


@dataclass(frozen=True)
class _Page:
    """An answer: its rows, which seats and unpaged lists have too, and its `paging`."""

    rows: list[Row]
    per_page: int
    total: int
    number: Any

    @classmethod
    def of(cls, response: Response) -> "_Page":
        payload = response.json()
        paging = payload.get("paging")
        number = paging.get("currentPage") if isinstance(paging, dict) else None
        return cls(as_rows(payload.get("data") or []) or [], *paging_of(response), number)

    @property
    def ids(self) -> list[Any]:
        return [row.get("id") for row in self.rows]


@dataclass
class Probe:
    """What a probe showed.

    Attributes:
        answers: One for each question.
        choices: What a run will do, and what it costs.
        problems: Why a run would fail; empty if it would not.
        shapes: By path, names and types of fields.
        seconds: How long the probe took.
    """

    asked_at: datetime
    answers: list[Answer] = field(default_factory=list)
    choices: list[str] = field(default_factory=list)
    problems: list[str] = field(default_factory=list)
    shapes: dict[str, Any] = field(default_factory=dict)
    seconds: float = 0.0

    def as_json(self) -> dict[str, Any]:
        """Return the report to be shared: no value of an answer is in it."""
        return {
            "asked_at": self.asked_at.isoformat(timespec="seconds"),
            "seconds": round(self.seconds, 1),
            "answers": [asdict(answer) for answer in self.answers],
            "choices": self.choices,
            "problems": self.problems,
            "shapes": self.shapes,
        }


def probe_service(client: QTicketsClient, observed: Observations) -> Probe:
    """Ask the service what it honours.

    Args:
        client: Reads the service.
        observed: Its dialect learns what is not honoured, as in a run.

    Raises:
        QTicketsError: The first page of orders cannot be read, so nothing can.
    """
    return _Prober(client, observed.dialect).run()


class _Prober:
    """Asks the questions of one probe."""

    def __init__(self, client: QTicketsClient, dialect: Dialect) -> None:
        self._client = client
        self._dialect = dialect
        self._started = time.monotonic()
        self._probe = Probe(datetime.now(timezone.utc))
        self._transport: Transport = "get_body"
        self._first: list[Row] = []
        self._total = 0
        self._per_page = 0

    def run(self) -> Probe:
        started = time.monotonic()
        response = self._client.ask_once(ORDERS_PATH, {"orderBy": {"id": "asc"}, "page": 1})
        self._read_first_page(response, time.monotonic() - started)
        self._ask([self._transport_question(transport) for transport in TRANSPORTS])
        self._choose_transport()
        self._ask(self._order_questions())
        self._ask(self._dataset_questions())
        self._describe_choices()
        self._probe.seconds = time.monotonic() - self._started
        return self._probe

    # -- asking -----------------------------------------------------------------------------------

    def _ask(self, questions: Sequence[Callable[[], Answer]]) -> None:
        self._probe.answers += self._client.map_parallel(lambda question: question(), questions)

    def _question(
        self,
        topic: str,
        question: str,
        body: Row,
        judge: Callable[[_Page], tuple[Outcome, str]],
        *,
        path: str = ORDERS_PATH,
        transport: Transport | None = None,
    ) -> Callable[[], Answer]:
        """Return a question, to be asked by a thread.

        Args:
            topic: Groups questions.
            question: What is asked for, for people.
            body: Of the request.
            judge: From a page, what the service made of the question, and what shows that.
            path: Of the request.
            transport: How it is sent.
        """

        def ask() -> Answer:
            answer = Answer(topic, question, "unknown")
            if time.monotonic() - self._started > SECONDS:
                return replace(answer, detail=f"not asked: {SECONDS} s are over")
            started = time.monotonic()
            try:
                response = self._client.ask_once(path, body, transport or self._transport)
                page = _Page.of(response)
                outcome, detail = judge(page)
                answer = replace(answer, outcome=outcome, detail=detail, rows=len(page.rows))
            except (ApplicationError, RequestRejected) as error:
                answer = replace(answer, outcome="refused", detail=redact_message(str(error)))
            except QTicketsError as error:
                answer = replace(answer, detail=redact_message(str(error)))
            return replace(answer, seconds=round(time.monotonic() - started, 2))

        return ask

    # -- the first page and the transports --------------------------------------------------------

    def _read_first_page(self, response: Response, seconds: float) -> None:
        page = _Page.of(response)
        self._first = checked_rows(page.rows, ORDERS_PATH)
        self._total, self._per_page = page.total, page.per_page
        ids = page.ids
        is_ascending = ids == sorted(ids)
        self._probe.shapes[ORDERS_PATH] = shape_of(self._first)
        self._probe.answers += [
            Answer(
                "orders",
                "first page",
                "honoured" if self._per_page and ids else "unknown",
                f"{len(ids)} of {self._total:,} orders"
                if self._per_page
                else "no `paging`: lists cannot be counted",
                round(seconds, 2),
                len(ids),
            ),
            Answer(
                "lists",
                "orderBy id asc",
                "honoured" if is_ascending else "ignored",
                "ascending" if is_ascending else "in another order",
            ),
            _clock_answer(response),
            _cache_answer(response),
        ]
        if not self._per_page:
            self._probe.problems.append("Lists come without `paging`, so rows cannot be counted.")

    def _transport_question(self, transport: Transport) -> Callable[[], Answer]:
        how = "JSON in the query string" if transport == "get_query" else "JSON body of a GET"
        wanted = self._first[-1]["id"] if self._first else 0
        where = as_where([Condition("id", "=", wanted)])

        def judge(page: _Page) -> tuple[Outcome, str]:
            if not self._first:
                return "unknown", "there is no order to ask for"
            if page.ids == [wanted]:
                return "honoured", "the order that was asked for, alone"
            if page.rows:
                return "ignored", f"{len(page.rows)} orders instead of 1"
            return "misread", "no row"

        return self._question("requests", how, {"where": where}, judge, transport=transport)

    def _choose_transport(self) -> None:
        outcomes = [answer.outcome for answer in self._probe.answers if answer.topic == "requests"]
        self._transport = "get_query" if outcomes[-2:] == ["ignored", "honoured"] else "get_body"

    # -- orders -----------------------------------------------------------------------------------

    def _order_questions(self) -> list[Callable[[], Answer]]:
        return [
            *self._filter_questions(),
            *self._time_questions(),
            self._order_question("id", "desc"),
            self._order_question("updated_at", "desc"),
            self._totals_question(),
            self._second_page_question(),
            *(self._page_size_question(size) for size in PAGE_SIZES),
        ]

    def _filter_questions(self) -> Iterator[Callable[[], Answer]]:
        """Yield a question for each column and operator, with bounds that part the first page."""
        ids = [row["id"] for row in self._first]
        paid = sorted(order.payed_at for order in self._known())
        changed = sorted(order.updated_at for order in self._known())
        events = [row["event_id"] for row in self._first if row.get("event_id")]
        wanted: list[Condition] = []
        if ids:
            middle = ids[len(ids) // 2]
            wanted += [Condition("id", "=", middle), Condition("id", "in", ids[:2])]
            wanted += [Condition("id", ">", middle), Condition("id", ">=", middle)]
        for column, moments in (("payed_at", paid), ("updated_at", changed)):
            if moments:
                middle_moment = moments[len(moments) // 2]
                wanted += [Condition(column, by, middle_moment) for by in (">=", "<=", "<")]
        wanted += [Condition("payed", "=", 1), Condition("payed_at", "null", None)]
        if events:
            wanted.append(Condition("event_id", "in", events[:1]))
        for condition in wanted:
            yield self._filter_question(condition)

    def _filter_question(self, condition: Condition) -> Callable[[], Answer]:
        name = f"{condition.column} {condition.operator}"
        excluded = sum(not _matches(row, condition) for row in self._first)
        included = len(self._first) - excluded

        def judge(page: _Page) -> tuple[Outcome, str]:
            others = sum(not _matches(row, condition) for row in page.rows)
            if others:
                return "ignored", f"{others} of {len(page.rows)} rows do not match"
            if included and not page.rows:
                return "misread", f"no row, though {included} of the first page match"
            if not excluded:
                return "unknown", "every order of the first page matches"
            return "honoured", f"{len(page.rows)} rows, all match"

        body = {"where": as_where([condition]), "orderBy": {"id": "asc"}, "page": 1}
        return self._question("filters of orders", name, body, judge)

    def _time_questions(self) -> Iterator[Callable[[], Answer]]:
        """Yield questions for an order by windows around its own times, in two offsets."""
        settled = datetime.now(timezone.utc) - SETTLED_AFTER
        order = next((one for one in self._known() if one.updated_at < settled), None)
        if not order:
            return
        for column in ("payed_at", "updated_at"):
            moment: datetime = getattr(order, column)
            for zone in (VENDOR_TZ, timezone.utc):
                yield self._window_question(order, column, moment, zone)
            yield self._edge_question(order, column, moment)

    def _window_question(
        self, order: KnownOrder, column: str, moment: datetime, zone: timezone
    ) -> Callable[[], Answer]:
        text = moment.astimezone(zone).isoformat(timespec="seconds")
        where = [
            *as_where([order.by_id()]),
            *({"column": column, "operator": by, "value": text} for by in (">=", "<=")),
        ]
        is_ours = zone is VENDOR_TZ

        def judge(page: _Page) -> tuple[Outcome, str]:
            if page.ids == [order.id]:
                return "honoured", "an order is found by its own time"
            if is_ours:
                return "misread", "an order is not found by its own time"
            return "ignored", "the offset is not converted; this source always sends +03:00"

        name = f"{column} in {'+03:00' if is_ours else 'UTC'}"
        return self._question("times in filters", name, {"where": where}, judge)

    def _edge_question(
        self, order: KnownOrder, column: str, moment: datetime
    ) -> Callable[[], Answer]:
        edge = Condition(column, ">=", moment + SECOND)

        def judge(page: _Page) -> tuple[Outcome, str]:
            if page.rows:
                return "ignored", "an order is found by a window that begins after its time"
            return "honoured", "not found by a window that begins a second later"

        body = {"where": as_where([order.by_id(), edge])}
        return self._question("times in filters", f"{column}, a second later", body, judge)

    def _order_question(self, column: str, direction: str) -> Callable[[], Answer]:
        def judge(page: _Page) -> tuple[Outcome, str]:
            values = [str(row.get(column) or "") for row in page.rows]
            if column == "id":
                values = [value.rjust(20) for value in values]
            if len(set(values)) < 2:
                return "unknown", "too few rows"
            is_ordered = values == sorted(values, reverse=True)
            return ("honoured", "descending") if is_ordered else ("ignored", "in another order")

        body = {"orderBy": {column: direction, "id": direction}, "page": 1}
        return self._question("lists", f"orderBy {column} {direction}", body, judge)

    def _totals_question(self) -> Callable[[], Answer]:
        def judge(page: _Page) -> tuple[Outcome, str]:
            if len(page.rows) == page.total:
                return "honoured", f"{page.total} counted, {len(page.rows)} came"
            return "ignored", f"{page.total:,} counted, though {len(page.rows)} came"

        wanted = [row["id"] for row in self._first[:2]]
        body = {"where": as_where([Condition("id", "in", wanted or [0])]), "page": 1}
        return self._question("lists", "paging.total of a filter", body, judge)

    def _second_page_question(self) -> Callable[[], Answer]:
        first = {row["id"] for row in self._first}

        def judge(page: _Page) -> tuple[Outcome, str]:
            ids = set(page.ids)
            if str(page.number) != "2" or ids & first:
                return "ignored", f"page {page.number}, {len(ids & first)} rows again"
            return ("honoured", f"{len(ids)} other rows") if ids else ("unknown", "a single page")

        return self._question("lists", "page 2", {"orderBy": {"id": "asc"}, "page": 2}, judge)

    def _page_size_question(self, size: int) -> Callable[[], Answer]:
        def judge(page: _Page) -> tuple[Outcome, str]:
            detail = f"{page.per_page} orders a page"
            is_full = len(page.rows) == min(page.per_page, self._total)
            is_larger = page.per_page > self._per_page
            return ("honoured" if is_larger and is_full else "ignored"), detail

        body = {"orderBy": {"id": "asc"}, "page": 1, PAGE_SIZE: size}
        return self._question("lists", f"{PAGE_SIZE} {size}", body, judge)

    def _known(self) -> list[KnownOrder]:
        return [order for row in self._first if (order := KnownOrder.of(row))]

    # -- datasets ---------------------------------------------------------------------------------

    def _dataset_questions(self) -> list[Callable[[], Answer]]:
        events: list[Row] = []

        def keep(page: _Page) -> tuple[Outcome, str]:
            events.extend(page.rows)
            return self._readable(EVENTS_PATH, page)

        body = {"orderBy": {"id": "desc"}, "page": 1}
        self._ask([self._question("datasets", "events", body, keep, path=EVENTS_PATH)])
        questions = [
            self._dataset_question("discounts", DISCOUNTS_PATH, body),
            self._dataset_question("promo codes", PROMO_CODES_PATH, body),
            self._dataset_question("price shades", COLOR_THEMES_PATH, {}),
            self._dataset_question("buyers", CLIENTS_PATH, body),
        ]
        now = self._client.now()
        show = next((show for event in events for show in open_shows(event, now)), None)
        if show:
            seats = {"select": list(SEAT_FIELDS), "flat": True}
            barcodes = {"select": list(BARCODE_FIELDS)}
            questions += [
                self._dataset_question(name, path.format(show_id=show["id"]), body, shape=path)
                for name, path, body in (
                    ("seats of a show", SEATS_PATH, seats),
                    ("barcodes of a show", BARCODES_PATH, barcodes),
                )
            ]
        else:
            self._probe.answers.append(
                Answer("datasets", "seats of a show", "unknown", "no show that is not over")
            )
        if events:
            questions.append(self._select_question(events[0]))
        return questions

    def _dataset_question(
        self, name: str, path: str, body: Row, *, shape: str | None = None
    ) -> Callable[[], Answer]:
        return self._question(
            "datasets",
            name,
            body,
            lambda page: self._readable(shape or path, page),
            path=path,
        )

    def _readable(self, path: str, page: _Page) -> tuple[Outcome, str]:
        self._probe.shapes[path] = shape_of(page.rows)
        of_total = f" of {page.total:,}" if page.total else ""
        return "readable", f"{len(page.rows)}{of_total} rows"

    def _select_question(self, event: Row) -> Callable[[], Answer]:
        names = ["id", "name", "city.name", "shows.id"]

        def judge(page: _Page) -> tuple[Outcome, str]:
            row = next(iter(page.rows), {})
            shows = as_rows(row.get("shows")) or []
            heads = {name.partition(".")[0] for name in names}
            if row.keys() <= heads and all(show.keys() <= {"id"} for show in shows):
                is_same = len(shows) == len(as_rows(event.get("shows")) or [])
                return ("honoured", "these only") if is_same else ("misread", "shows are missing")
            return "ignored", f"{len(row)} fields instead of {len(heads)}"

        body = {"where": as_where([Condition("id", "=", event["id"])]), SELECT: names}
        return self._question("lists", f"{SELECT} of events", body, judge, path=EVENTS_PATH)

    # -- what follows -----------------------------------------------------------------------------

    def _describe_choices(self) -> None:
        by_question = {(a.topic, a.question): a for a in self._probe.answers}
        self._learn_verdicts(by_question)
        choices, problems = self._probe.choices, self._probe.problems
        how = "the query string" if self._transport == "get_query" else "the body of a GET"
        choices.append(f"Filters are sent in {how}.")
        now = self._client.now()
        lists = {
            "New payments": [Condition("payed_at", ">=", now)],
            "Changes": [Condition("updated_at", ">=", now)],
            "Periods of a backfill": [
                Condition("payed_at", ">=", now - timedelta(days=1)),
                Condition("payed_at", "<", now),
            ],
            "Single orders": [Condition("id", "in", [1, 2])],
        }
        for name, conditions in lists.items():
            asked = " and ".join(f"{c.column} {c.operator}" for c in conditions)
            if self._dialect.questions(ORDERS_PATH, conditions)[0].conditions == tuple(conditions):
                choices.append(f"{name}: by {asked}.")
            else:
                how = self._dialect.describe(ORDERS_PATH, conditions)
                choices.append(f"{name}: {asked} is not honoured. {how}")
        size = by_question.get(("lists", f"{PAGE_SIZE} {PAGE_SIZES[0]}"))
        per_page = PAGE_SIZES[0] if size and size.outcome == "honoured" else self._per_page
        choices.append(f"Orders are read {per_page} to a page.")
        select = by_question.get(("lists", f"{SELECT} of events"))
        if select and select.outcome == "honoured":
            choices.append("Events are read whole once a day, else by the fields that are needed.")
        else:
            choices.append("Events are read whole.")
        self._estimate(per_page, size)
        for answer in self._probe.answers:
            if answer.outcome == "misread":
                problems.append(f"{answer.topic}: {answer.question}: {answer.detail}.")
            elif answer.topic == "datasets" and answer.outcome != "readable":
                choices.append(f"{answer.question}: left out. {answer.detail}".rstrip("."))

    def _learn_verdicts(self, by_question: Mapping[tuple[str, str], Answer]) -> None:
        now = self._client.now()
        verdicts: dict[Outcome, Verdict] = {"ignored": "ignored", "refused": "refused"}
        for (topic, question), answer in by_question.items():
            if not (verdict := verdicts.get(answer.outcome)):
                continue
            if topic == "filters of orders":
                column, _, operator = question.partition(" ")
                self._dialect.learn(ORDERS_PATH, column, operator, verdict, now)
            elif question.startswith("orderBy "):
                self._dialect.learn(ORDERS_PATH, question.split()[1], ORDER_BY, verdict, now)
            elif question.startswith("paging.total"):
                self._dialect.learn(ORDERS_PATH, "", TOTAL, verdict, now)

    def _estimate(self, per_page: int, larger: Answer | None) -> None:
        """Say how long the whole history will take, by the answers that took a page."""
        times = [
            answer.seconds
            for answer in self._probe.answers
            if answer.seconds and answer.rows >= self._per_page > 0
        ]
        if larger and larger.outcome == "honoured" and larger.seconds:
            times = [larger.seconds]
        if times and per_page:
            pages = -(-self._total // per_page)
            each = median(times)
            minutes = pages * each / self._client.connections / 60
            took = "less than a minute" if minutes < 1 else f"about {minutes:,.0f} minutes"
            self._probe.choices.append(
                f"The whole history is {self._total:,} orders on {pages:,} pages of {each:.1f} s:"
                f" {took} with {self._client.connections} connections."
            )


def _matches(row: Row, condition: Condition) -> bool:
    if condition.column == "payed":
        return bool(row.get("payed")) == bool(condition.value)
    return condition.matches(row)


def _clock_answer(response: Response) -> Answer:
    ahead = round(clock_difference(response).total_seconds())
    if not ahead:
        return Answer("service", "clock", "honoured", "agrees with this machine's within 5 minutes")
    which = "ahead of" if ahead > 0 else "behind"
    amount = timedelta(seconds=abs(ahead))
    how_much = f"{amount.days} days" if amount.days else f"{amount.seconds // 60} minutes"
    return Answer("service", "clock", "differs", f"{how_much} {which} this machine's")


def _cache_answer(response: Response) -> Answer:
    names = ("X-Cache-Status", "X-Cache", "CF-Cache-Status", "Age")
    found = {name: response.headers[name] for name in names if name in response.headers}
    is_cached = (
        any("HIT" in value.upper() for value in found.values()) or found.get("Age", "0") > "0"
    )
    seen = ", ".join(f"{name}: {redact_message(value)}" for name, value in found.items())
    outcome: Outcome = "ignored" if is_cached else "honoured"
    return Answer("service", "no cached answer", outcome, seen or "no header of a cache")
