"""The error that this package raises."""


class LocalClickHouseError(RuntimeError):
    """The local ClickHouse cannot be used; the message, one line, says why and what to do."""
