"""The exception of this package."""


class DashboardError(Exception):
    """The page cannot be written; the message says why and what to do."""
