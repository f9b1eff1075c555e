"""Timestamps of the service: ISO 8601 text with an offset, read as aware datetimes in UTC."""

from datetime import datetime, timedelta, timezone

from .errors import BadRow

VENDOR_TZ = timezone(timedelta(hours=3))
"""Every timestamp of the service carries +03:00; filters are sent the same way."""

EARLIEST = datetime(1900, 1, 1, tzinfo=timezone.utc)
LATEST = datetime(2299, 12, 31, tzinfo=timezone.utc)
"""The range of ClickHouse's DateTime64; `9999-12-31`, which means "for ever", becomes LATEST."""


def parse_timestamp(value: object, where: str) -> datetime | None:
    """Return a timestamp of the service as an aware datetime in UTC; None for null and "".

    Args:
        value: The JSON value.
        where: Names the row and the field in the error, such as "order 7: `payed_at`".

    Raises:
        BadRow: The value is not an ISO 8601 timestamp with an offset.
    """
    if value is None or value == "":
        return None
    try:
        parsed = value if isinstance(value, datetime) else datetime.fromisoformat(str(value))
    except ValueError:
        parsed = None
    if parsed is None or parsed.tzinfo is None or parsed.year < EARLIEST.year + 1:
        raise BadRow(
            f"{where} is {value!r}, which is not a timestamp like 2025-11-03T18:41:20+03:00."
            " Nothing was loaded; look at this row in QTickets, or report a changed API.",
            f"{where} is not a timestamp",
        )
    if parsed.year >= LATEST.year:
        return LATEST
    return parsed.astimezone(timezone.utc)
