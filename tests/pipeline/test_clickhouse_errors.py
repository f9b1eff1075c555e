"""The lines that an operator reads for the error messages of the ClickHouse drivers."""

import pytest

from pipelines.warehouse.error_messages import error_message

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
