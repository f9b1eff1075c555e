"""Points in time as the findings of `check` show them."""

from datetime import datetime


def iso(time: datetime) -> str:
    """Return a time as ISO 8601, to the second."""
    return time.isoformat(timespec="seconds")


def ago(time: datetime, now: datetime) -> str:
    """Return how long ago a time was, rounded to minutes, hours or days."""
    minutes = max(0, round((now - time).total_seconds() / 60))
    if minutes < 120:
        return f"{minutes} min ago"
    return f"{minutes / 60:.0f} h ago" if minutes < 2880 else f"{minutes / 1440:.0f} days ago"
