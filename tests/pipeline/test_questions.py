"""The questions of docs/questions.sql, asked as the reader of the marts."""

from collections.abc import Iterator
from contextlib import ExitStack
from datetime import datetime, timedelta
from decimal import Decimal
from typing import Any

import pytest

from sandbox import World
from tests.support.account import Account, loaded_account
from tests.support.clickhouse import query
from tests.support.runs import MODELS_ONLY, building
from tests.support.worlds import report_now
from tools.questions import DOCUMENT, Question, document, questions

TODAY = "toDate(now('Europe/Moscow'))"
NOW = datetime.fromisoformat("2026-06-15T13:00:00+03:00")
ALL = {question.title: question for question in questions()}


@pytest.fixture(scope="module")
def account(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Account]:
    """An account in the middle of its season: some shows are over, others are on sale."""
    home = tmp_path_factory.mktemp("questions")
    world = World(
        orders=300, seed=11, start=NOW - timedelta(days=40), end=NOW + timedelta(days=30), now=NOW
    )
    with ExitStack() as stack:
        with building(*MODELS_ONLY):
            account = stack.enter_context(loaded_account(home, world, REPORT_NOW=report_now(world)))
        yield account


def ask(account: Account, question: Question) -> list[dict[str, Any]]:
    sql = question.sql.rstrip(";").replace(TODAY, f"toDate('{account.world.now:%Y-%m-%d}')")
    return query(account.server, "reader", sql)


@pytest.mark.parametrize("title", ALL)
def test_a_question_is_answered_by_what_a_reader_may_read(account: Account, title: str) -> None:
    question = ALL[title]

    rows = ask(account, question)

    assert rows or question.may_be_empty
    if question.total == "tickets":
        (sold,) = account.rows("SELECT sum(tickets_sold) AS n FROM zakaz.fact_qtickets_sales_daily")
        assert sum(row["tickets"] for row in rows) == sold["n"] > 0
    if question.total == "revenue":
        sold_by_currency = account.rows(
            "SELECT currency, sum(revenue) AS revenue FROM zakaz.fact_qtickets_sales_daily"
            " GROUP BY currency"
        )
        answered: dict[str, Decimal] = {}
        for row in rows:
            answered[row["currency"]] = answered.get(row["currency"], Decimal(0)) + row["revenue"]
        assert answered == {row["currency"]: row["revenue"] for row in sold_by_currency}


def test_the_net_of_the_ledger_is_revenue(account: Account) -> None:
    rows = ask(
        account, ALL["What did a closed month bring, so that the number never changes again?"]
    )
    (sold,) = account.rows("SELECT sum(revenue) AS revenue FROM zakaz.fact_qtickets_sales_daily")

    assert sum(row["net"] for row in rows) == sold["revenue"]


def test_at_least_forty_questions_are_answered_and_shown() -> None:
    assert len(ALL) >= 40
    assert DOCUMENT.read_text(encoding="utf-8") == document(), "stale: run `make reference`"
