"""Errors of the source. Every message says what happened, where, and what to do."""


class QTicketsError(Exception):
    """Base class of the errors that this source raises on purpose."""


class AccessRefused(QTicketsError):
    """The service refused the token (401, 403)."""


class NotFound(QTicketsError):
    """The service has no such row (404 with the application's JSON)."""


class RequestNotSent(QTicketsError):
    """The request could not be sent with this configuration, whatever the service does."""


class SaltChanged(QTicketsError):
    """The salt of buyer hashes is not the one with which this warehouse was loaded."""


class OtherAccount(QTicketsError):
    """The token is that of another organiser than the one whose sales were loaded."""


class WriteRefused(QTicketsError):
    """Code tried to send another method than GET: this source only reads."""


class ServiceUnavailable(QTicketsError):
    """The service did not answer, or answered 429/5xx, for longer than the retries last.

    Attributes:
        is_timeout: It, or the gateway in front of it, took too long, which a smaller page may not.
    """

    is_timeout = False


class ApplicationError(ServiceUnavailable):
    """The service answered with its own unhandled error (503 with JSON), again and again."""


class NotAsked(ServiceUnavailable):
    """The same kind of request failed several times in a row, so this one was not sent."""


class UnexpectedAnswer(QTicketsError):
    """The service's answer is not what its documentation describes."""


class BrokenAnswer(UnexpectedAnswer):
    """The service said that it sends JSON, and its body is not: most likely it was cut off."""


class UnknownPath(UnexpectedAnswer):
    """The service has no such endpoint (404 with a web page)."""


class FilterIgnored(UnexpectedAnswer):
    """The service returned rows that the request's `where` excludes.

    Attributes:
        subject: Column, and operator or `orderBy`, that it did not honour; None: the whole request.
    """

    def __init__(self, message: str, subject: tuple[str, str] | None = None) -> None:
        super().__init__(message)
        self.subject = subject


class Misunderstood(UnexpectedAnswer):
    """The service's answers prove that it misunderstood a question, or was not asked at all."""


class RequestRejected(UnexpectedAnswer):
    """The service rejected a request (HTTP 400 or 422)."""


class FilterRefused(FilterIgnored):
    """The service refuses requests with this filter, and answers requests without one."""


class PagesDontAddUp(UnexpectedAnswer):
    """The rows of a list differ from the service's count of them, twice in a row."""


class BadRow(QTicketsError):
    """A row lacks a field that money or counts depend on, or its value cannot be read.

    Attributes:
        reason: Row, field and what is wrong with it, without the value, which may be anything.
    """

    def __init__(self, message: str, reason: str = "") -> None:
        super().__init__(message)
        self.reason = reason or message
