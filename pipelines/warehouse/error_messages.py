"""Error messages for operators, from what ClickHouse and its drivers report."""

import re

_MESSAGES = (
    (
        r"AUTHENTICATION_FAILED|Code: 516",
        "{where} refused the login of user {user}. Check CLICKHOUSE_USER and CLICKHOUSE_PASSWORD.",
    ),
    (
        r"\A(?=.*(?:ACCESS_DENIED|Code: 497)).*?\bgrant (?P<detail>.+?)(?:\.\s|\.?\Z)",
        "{where}: user {user} lacks {detail}. Grant it, or use a user that has it.",
    ),
    (
        r"ACCESS_DENIED|Code: 497",
        "{where}: user {user} lacks a grant. Grant it, or use a user that has it.",
    ),
    (
        r"CERTIFICATE_VERIFY_FAILED\] (?P<detail>[^(\n]+)",
        "{where} is not trusted: {detail}. Set CLICKHOUSE_CA_CERT to a file with the certificate of"
        " its authority, and CLICKHOUSE_HOST to the name in the server's certificate.",
    ),
    (
        r"Code: (?:159|279)\b|ALL_CONNECTION_TRIES_FAILED",
        "{where}: a replica of the cluster does not answer. `check` names it; start it, and the"
        " next run continues.",
    ),
    (
        r"Code: 439\b|CANNOT_SCHEDULE_TASK",
        "{where} cannot start another thread. Allow the server more memory and threads (`ulimit -v`"
        " and `-u`, the limits of the container or of the unit).",
    ),
    (
        r"\[SSL",
        "{where} does not speak TLS. Check CLICKHOUSE_PORT (HTTPS) and CLICKHOUSE_SECURE.",
    ),
    (
        r"Read timed out",
        "{where} did not answer in time. Check that the server is neither suspended nor overloaded"
        " (`SHOW PROCESSLIST`); the next run continues.",
    ),
    (
        r"Max retries|Connection|Errno",
        "{where} cannot be reached. Check that the server is up, and CLICKHOUSE_HOST,"
        " CLICKHOUSE_PORT (HTTP) and CLICKHOUSE_SECURE.",
    ),
)
"""Patterns, and the message of the first one that is found; `detail` is what the pattern names."""

_KNOWN_ERRORS = tuple((re.compile(pattern, re.S), message) for pattern, message in _MESSAGES)
_LONGEST = 300


def is_about_the_server(error: str) -> bool:
    """Tell whether an error is of the connection, the login or the server, not of a statement."""
    return any(pattern.search(error) for pattern, _ in _KNOWN_ERRORS)


def error_message(error: str, *, host: str, port: int, user: str) -> str:
    """Return one line: what failed, where, and what to do.

    Args:
        error: Text of the driver's error.
        host: The server that was asked.
        port: Its HTTP port.
        user: The user that asked.
    """
    where = f"ClickHouse at {host}:{port}"
    # Errors of the native protocol include the server's stack.
    error = error.partition("Stack trace:")[0].strip()
    for pattern, message in _KNOWN_ERRORS:
        if found := pattern.search(error):
            detail = " ".join(found.groupdict().get("detail", "").split()).rstrip(".")
            return message.format(where=where, user=user, detail=detail)
    return f"{where}: {' '.join(error.split())[:_LONGEST]}"
