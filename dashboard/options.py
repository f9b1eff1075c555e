"""The options of the page."""

from dataclasses import dataclass


@dataclass(frozen=True)
class PageOptions:
    """What the page shows or needs that is not in the marts."""

    database: str
    """The database of the marts."""
    time_zone: str
    """The reporting time zone, as in `REPORT_TZ`."""
    now: str = ""
    """The UTC moment for which the marts were built (`YYYY-MM-DD HH:MM:SS`), as in `REPORT_NOW`;
    empty: the current time."""
    organiser: str = ""
    """The title of the page; empty: a general one."""
    mode: str = "live"
    """Origin of the sales (`live`, `demo` or `offline`) if the job log has none."""
