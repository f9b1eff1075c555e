"""The one error this package raises."""


class LocalClickHouseError(RuntimeError):
    """The local ClickHouse cannot be used: one line that says what failed, where, what to do."""
