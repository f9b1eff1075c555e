"""Where the dashboards read, and in which language they are. There is no password in it."""

from dataclasses import dataclass


@dataclass(frozen=True)
class Options:
    """Options of a generated pack; the defaults are those of the committed files."""

    host: str = "clickhouse.example.ru"
    port: int = 8443
    secure: bool = True
    user: str = "qtickets_reader"
    database: str = "zakaz"
    language: str = "ru"
    currency: str = "RUB"
    """The value of the currency selector when a dashboard is opened."""
    report_tz: str = "Europe/Moscow"
    period_days: int = 90
    """The length of the period that is selected when a dashboard is opened."""
