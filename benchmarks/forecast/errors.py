"""Errors of the forecast and of its baselines over the families."""

from dataclasses import dataclass

from clickhouse_connect.driver.client import Client

HORIZONS = (30, 14, 7, 3, 1)

ERRORS = """
SELECT
    days_left AS horizon,
    count() AS shows,
    sum(abs(tickets_p50 - final_tickets)) / sum(final_tickets) AS wape,
    sum(abs(coalesce(by_curve, 0) - final_tickets)) / sum(final_tickets) AS wape_curve,
    sum(abs(by_last_week - final_tickets)) / sum(final_tickets) AS wape_last_week,
    sum(tickets_p50 - final_tickets) / sum(final_tickets) AS bias,
    median(abs(tickets_p50 - final_tickets) / greatest(final_tickets, 1)) AS median_error,
    avg(final_tickets BETWEEN tickets_p10 AND tickets_p90) AS coverage,
    median((tickets_p90 - tickets_p10) / greatest(tickets_p50, 1)) AS width,
    countIf(NOT is_compared) / count() AS uncompared
FROM {prefix}int_qtickets_forecasts
WHERE is_over AND final_tickets > 0 AND days_left IN (30, 14, 7, 3, 1)
GROUP BY days_left
"""


@dataclass(frozen=True)
class Errors:
    """Errors of one family at one horizon; shares of the final tickets."""

    family: str
    horizon: int
    shows: int
    wape: float
    wape_curve: float
    wape_last_week: float
    bias: float
    median_error: float
    coverage: float
    width: float
    uncompared: float


def errors(client: Client, prefix: str, family: str) -> list[Errors]:
    """Return the errors of the models that were built with `prefix`, a row for each horizon."""
    rows = client.query(ERRORS.format(prefix=prefix)).result_rows
    return [Errors(family, *row) for row in rows]


def mean(rows: list[Errors], horizon: int, name: str) -> float:
    """Return the mean of a figure over the families at `horizon`; each family counts the same."""
    values = [getattr(row, name) for row in rows if row.horizon == horizon]
    return float(sum(values) / len(values))
