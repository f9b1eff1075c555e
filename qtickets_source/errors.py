"""What can go wrong while reading the service: each says what, where, and what to do next."""


class QTicketsError(Exception):
    """Base of every error that this source raises on purpose."""


class AccessRefused(QTicketsError):
    """The service refused the token (401, 403)."""


class NotFound(QTicketsError):
    """The service has no such row (404 with the application's JSON)."""


class WriteRefused(QTicketsError):
    """Something tried to send anything but GET: this source reads, and only reads."""


class ServiceUnavailable(QTicketsError):
    """The service did not answer, or answered 429/5xx, for longer than the retries last."""


class UnexpectedAnswer(QTicketsError):
    """The service answered something that is not what its documentation promises."""


class UnknownPath(UnexpectedAnswer):
    """The service has no such path (404 with a web page)."""


class FilterIgnored(UnexpectedAnswer):
    """The service answered rows that the request's `where` excludes."""


class PagesDontAddUp(UnexpectedAnswer):
    """The rows of a list are not as many as the service counts, twice in a row."""


class BadRow(QTicketsError):
    """A row of an answer lacks a field that money or counts depend on, or holds nonsense in it."""
