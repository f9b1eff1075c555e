"""The lines that an operator reads for the error messages of the ClickHouse drivers."""

import socket
import time
from collections.abc import Callable
from threading import Thread

import clickhouse_connect
import pytest
from clickhouse_connect.driver.exceptions import ClickHouseError

from pipelines.warehouse.error_messages import error_message, is_about_the_server

DENIED = (
    "HTTPDriver for http://h:1 returned response code 403)\n Code: 497. DB::Exception: dbt: Not"
    " enough privileges. To execute this query, it's necessary to have the grant {}"
    " ON zakaz.t. (ACCESS_DENIED) (version 25.1)"
)
CERTIFICATE = (
    "HTTPSConnectionPool(host='h', port=1): Max retries exceeded (Caused by SSLError("
    "SSLCertVerificationError(1, '[SSL: CERTIFICATE_VERIFY_FAILED] certificate verify failed:"
    " unable to get local issuer certificate (_ssl.c:1016)')))"
)


@pytest.mark.parametrize(
    ("error", "message"),
    [
        (
            "Code: 516. DB::Exception: default: Authentication failed",
            "refused the login of user dbt. Check CLICKHOUSE_USER and CLICKHOUSE_PASSWORD.",
        ),
        ("… (AUTHENTICATION_FAILED)", "refused the login of user dbt."),
        (DENIED.format("SELECT(id)"), "user dbt lacks SELECT(id) ON zakaz.t. Grant it,"),
        (DENIED.format("INSERT,\n  SELECT"), "user dbt lacks INSERT, SELECT ON zakaz.t. Grant it,"),
        ("Code: 497. (ACCESS_DENIED)", "user dbt lacks a grant. Grant it,"),
        (
            CERTIFICATE,
            "is not trusted: certificate verify failed: unable to get local issuer certificate."
            " Set CLICKHOUSE_CA_CERT",
        ),
        (
            "Max retries exceeded (Caused by SSLError(1, '[SSL: WRONG_VERSION_NUMBER] wrong'))",
            "does not speak TLS. Check CLICKHOUSE_PORT (HTTPS) and CLICKHOUSE_SECURE.",
        ),
        ("Max retries exceeded with url: /", "cannot be reached. Check that the server is up,"),
        ("[Errno 111] Connection refused", "cannot be reached."),
        (
            "Code: 60. Table\n  zakaz.t does not exist. (UNKNOWN_TABLE) Stack trace: 0. /usr/bin",
            ": Code: 60. Table zakaz.t does not exist. (UNKNOWN_TABLE)",
        ),
    ],
)
def test_an_error_is_one_line_that_says_where_and_what_to_do(error: str, message: str) -> None:
    line = error_message(error, host="h", port=1, user="dbt")

    assert line.startswith("ClickHouse at h:1")
    assert message in line
    assert "\n" not in line
    assert "Stack trace" not in line


def test_an_unknown_error_is_shortened() -> None:
    line = error_message("x" * 1000, host="h", port=1, user="dbt")

    assert len(line) < 350


def hold(connection: socket.socket) -> None:
    time.sleep(10)
    connection.close()


def reset(connection: socket.socket) -> None:
    connection.close()


def cut(connection: socket.socket) -> None:
    connection.recv(65536)
    connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 1000\r\n\r\nabc")
    connection.close()


@pytest.mark.parametrize(
    ("answer", "message"),
    [(hold, "did not answer in time"), (reset, "cannot be reached"), (cut, "cannot be reached")],
)
def test_a_server_that_does_not_answer_is_told_from_a_statement_that_fails(
    answer: Callable[[socket.socket], None], message: str
) -> None:
    with socket.create_server(("127.0.0.1", 0)) as listening:

        def accept() -> None:
            while True:
                try:
                    connection, _ = listening.accept()
                except OSError:
                    return
                Thread(target=answer, args=(connection,), daemon=True).start()

        Thread(target=accept, daemon=True).start()
        port = listening.getsockname()[1]
        with pytest.raises(ClickHouseError) as raised:
            clickhouse_connect.get_client(host="127.0.0.1", port=port, send_receive_timeout=1)
    error = f"Database Error in model dim_shows\n  {raised.value}"

    assert is_about_the_server(error)
    assert message in error_message(error, host="h", port=1, user="dbt")


@pytest.mark.parametrize(
    "error",
    [
        "Code: 60. DB::Exception: Table zakaz.t does not exist. (UNKNOWN_TABLE)",
        "Got 3 results, configured to fail if != 0",
        "Code: 241. DB::Exception: memory limit exceeded. (MEMORY_LIMIT_EXCEEDED)",
    ],
)
def test_a_failed_statement_or_data_test_is_not_blamed_on_the_server(error: str) -> None:
    assert not is_about_the_server(error)
