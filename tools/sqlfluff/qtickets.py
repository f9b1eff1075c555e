"""The namespace of the dbt project for SQLFluff, which knows macros by their names only."""


def local_seconds(timestamp: str) -> str:
    return f"toInt64({timestamp})"


def is_changed(key: str, expression: str | None = None) -> str:
    return f"{expression or key} in (1)"


def report_date(timestamp: str) -> str:
    return f"toDate({timestamp})"


def report_now() -> str:
    return "now()"


def report_tz() -> str:
    return "UTC"


def changed_since() -> str:
    return ""


def utm_names() -> list[str]:
    return ["utm_source", "utm_medium", "utm_campaign"]


def plan_date_exists(column: str) -> str:
    return f"{column} is not null"
