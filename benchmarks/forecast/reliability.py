"""Reliability of the probabilities of the forecast: how often happened what was said to be likely.

The probabilities are those of `fact_qtickets_forecast`, as of past days. A plan is one of five
shares of the middle forecast.
"""

from collections import defaultdict
from collections.abc import Iterable
from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

PLANS = (0.7, 0.85, 1.0, 1.15, 1.4)
ENDLESS = 100_000
"""Seats of a show that cannot sell out."""
LIMITS = (0.1, 0.3, 0.5, 0.7, 0.9)

PROBABILITIES = """
WITH arrayJoin(arrayConcat(
    if(tickets_total BETWEEN 1 AND {endless} - 1,
       [('sell-out', ceil(tickets_total * {sold_out_from}))], []),
    arrayMap(share -> ('plan', greatest(round(share * tickets_p50), 1)), {plans})
)) AS goal
SELECT
    goal.1 AS kind,
    log(goal.2 - 0.5 + {offset}) - middle AS distance,
    if(
        kind = 'plan' AND tickets_total > 0 AND goal.2 > tickets_total, 0,
        erfc(distance / if(distance > 0, spread_above, spread_below) / sqrt(2)) / 2
    ) AS probability,
    arrayCount(limit -> probability >= limit, {limits}) AS class,
    count() AS shows,
    sum(probability) AS expected,
    countIf(final_tickets >= goal.2) AS happened
FROM {prefix}int_qtickets_forecasts
WHERE is_over AND final_tickets > 0 AND days_left IN (14, 7) AND tickets_so_far < goal.2
GROUP BY kind, distance, probability, class
"""


@dataclass(frozen=True)
class Outcomes:
    """Forecasts of one kind with similar probabilities, and how many came true."""

    kind: str
    probability_class: int
    shows: int
    expected: float
    happened: int


def outcomes(client: Client, prefix: str, offset: float, sold_out_from: float) -> list[Outcomes]:
    """Return the outcomes 14 and 7 days before the end, of the models built with `prefix`."""
    rows = client.query(
        "SELECT kind, class, sum(shows), sum(expected), sum(happened) FROM ("
        + PROBABILITIES.format(
            prefix=prefix,
            plans=list(PLANS),
            limits=list(LIMITS),
            endless=ENDLESS,
            offset=offset,
            sold_out_from=sold_out_from,
        )
        + ") GROUP BY kind, class"
    ).result_rows
    return [Outcomes(*row) for row in rows]


def table(found: Iterable[Outcomes]) -> str:
    """Return Markdown: mean probability and share of what happened, for each class."""
    sums: dict[tuple[str, int], list[float]] = defaultdict(lambda: [0, 0, 0])
    for row in found:
        total = sums[row.kind, row.probability_class]
        for index, value in enumerate((row.shows, row.expected, row.happened)):
            total[index] += value
    lines = ["| probability of | shows | said | happened |", "| --- " * 4 + "|"]
    for (kind, _), (shows, expected, happened) in sorted(sums.items(), reverse=True):
        lines.append(f"| {kind} | {shows:,.0f} | {expected / shows:.0%} | {happened / shows:.0%} |")
    return "\n".join(lines)
