"""The configuration: its sources and their precedence, its error messages, hidden secrets."""

import json
from pathlib import Path

import pytest
from typer.testing import CliRunner, Result

from pipelines.qtickets import app

SECRETS = {
    "QTICKETS_TOKEN": "a-token-to-hide",
    "QTICKETS_PII_SALT": "a-random-salt-to-hide",
    "QTICKETS_PARTNERS_TOKEN": "a-partner-to-hide",
    "CLICKHOUSE_PASSWORD": "a-password-to-hide",
    "CLICKHOUSE_TRANSFORM_PASSWORD": "another-to-hide",
}


def command(*arguments: str, **variables: str) -> Result:
    return CliRunner().invoke(app, list(arguments), env=variables)


def in_force(*arguments: str, **variables: str) -> dict[str, tuple[str, str]]:
    """Return (value, origin) by variable, as `config` shows them."""
    result = command("config", "--format", "json", *arguments, **variables)
    assert result.exit_code == 0, result.output
    values = json.loads(result.stdout)["values"]
    return {name: (value["value"], value["origin"]) for name, value in values.items()}


def test_every_value_is_shown_with_its_origin_and_the_first_place_wins(tmp_path: Path) -> None:
    credentials = tmp_path / "credentials"
    credentials.mkdir()
    (credentials / "qtickets_pii_salt").write_text("a salt of systemd\n")
    (credentials / "CLICKHOUSE_USER").write_text("of_systemd")
    (tmp_path / "token").write_text("of a file\n")
    (tmp_path / ".env").write_text(
        "CLICKHOUSE_USER=of_dotenv\nCLICKHOUSE_DB=of_dotenv\nORG_NAME=of_dotenv\n"
        f"CLICKHOUSE_PASSWORD_FILE={tmp_path / 'token'}\n"
    )

    shown = in_force(
        CREDENTIALS_DIRECTORY=str(credentials),
        QTICKETS_TOKEN_FILE=str(tmp_path / "token"),
        ORG_NAME="of the environment",
    )

    assert shown["QTICKETS_TOKEN"] == ("********", f"QTICKETS_TOKEN_FILE: {tmp_path / 'token'}")
    assert shown["QTICKETS_PII_SALT"] == ("********", f"credential in {credentials}")
    assert shown["CLICKHOUSE_USER"] == ("of_systemd", f"credential in {credentials}")
    assert shown["CLICKHOUSE_DB"] == ("of_dotenv", ".env")
    assert shown["CLICKHOUSE_PASSWORD"][1] == f"CLICKHOUSE_PASSWORD_FILE: {tmp_path / 'token'}"
    assert shown["ORG_NAME"] == ("of the environment", "environment")
    assert shown["CLICKHOUSE_PORT"] == ("8123", "default")
    assert shown["QTICKETS_PARTNERS_TOKEN"] == ("", "default")


def test_what_is_shown_is_what_a_run_uses(tmp_path: Path) -> None:
    from pipelines.configuration.environment import read_settings

    for name, secret in SECRETS.items():
        (tmp_path / name).write_text(secret + "\n")
    (tmp_path / "of.env").write_text(
        "".join(f"{name}_FILE={tmp_path / name}\n" for name in SECRETS)
    )

    settings = read_settings(tmp_path / "of.env")

    for name, secret in SECRETS.items():
        assert getattr(settings, name.lower()).get_secret_value() == secret
    shown = in_force("--env-file", str(tmp_path / "of.env"))
    assert {shown[name] for name in SECRETS} == {
        ("********", f"{name}_FILE: {tmp_path / name}") for name in SECRETS
    }


@pytest.mark.parametrize("output", ["table", "json"])
def test_no_secret_is_shown_and_misspelt_variables_are(output: str) -> None:
    result = command(
        "config",
        "--format",
        output,
        **SECRETS,
        QTICKETS_BASE_URL="https://someone:a-login-to-hide@example.ru/api",
        QTICKETS_PARTNERS_FIND_REQUESTS='[{"barcode": "a-barcode-to-hide"}]',
        QTICKETS_TOKN="a-typo-to-hide",
    )

    assert result.exit_code == 0, result.output
    assert "to-hide" not in result.output
    assert "example.ru/api" in result.output
    assert "QTICKETS_TOKN" in result.output


def test_all_problems_are_reported_at_once_before_the_network(tmp_path: Path) -> None:
    (tmp_path / "empty").write_text("\n")
    wrong = {
        "QTICKETS_TOKEN_FILE": "/no/such/file",
        "QTICKETS_BASE_URL": "http://example.ru",
        "QTICKETS_SINCE_HOURS": "two",
        "QTICKETS_CONNECTIONS": "0",
        "QTICKETS_INITIAL_BACKFILL_HOURS": "some",
        "QTICKETS_TRANSPORTS": "pigeon",
        "QTICKETS_SKIP_CLIENTS": "perhaps",
        "QTICKETS_SKIP_PARTNER_TICKETS": "false",
        "QTICKETS_PARTNERS_FIND_REQUESTS": "[{",
        "CLICKHOUSE_HOST": "example.ru",
        "CLICKHOUSE_PORT": "80000",
        "CLICKHOUSE_PASSWORD": "a-password-to-hide",
        "CLICKHOUSE_PASSWORD_FILE": str(tmp_path / "empty"),
        "CLICKHOUSE_TRANSFORM_PASSWORD_FILE": str(tmp_path / "empty"),
        "CLICKHOUSE_DB": "no-name",
        "CLICKHOUSE_CLUSTER": "no name",
        "CLICKHOUSE_CA_CERT": "/no/such/file",
        "REPORT_TZ": "Moscow",
    }

    result = command(**wrong)
    shown = command("config", **wrong)

    assert result.exit_code == shown.exit_code == 2
    for output in (result.stderr, shown.stderr):
        assert len(output.splitlines()) == 1
        for name in {*wrong, "QTICKETS_PII_SALT"} - {"CLICKHOUSE_HOST"}:
            assert name in output, name
        assert "/no/such/file: No such file or directory" in output
        assert "either CLICKHOUSE_PASSWORD or CLICKHOUSE_PASSWORD_FILE" in output
        assert "to-hide" not in output
    assert "REPORT_TZ" in shown.stdout, "an invalid value is shown with its origin too"
    assert list(tmp_path.iterdir()) == [tmp_path / "empty"]


@pytest.mark.parametrize(
    ("name", "value", "words"),
    [
        ("CLICKHOUSE_DB", "zаkaz", "Latin letters"),
        ("QTIСKETS_TOKEN", "a-token", "is not QTICKETS_TOKEN"),
        ("QTICKETS_TОKEN_FILE", "/token", "is not QTICKETS_TOKEN_FILE"),
        ("QTICKETS_BASE_URL", "http://localhost.evil.example/api", "https:// address"),
        ("QTICKETS_BASE_URL", "http://localhost@evil.example/api", "https:// address"),
        ("QTICKETS_BASE_URL", "http://127.evil.example/api", "https:// address"),
    ],
)
def test_what_only_looks_right_is_refused(
    tmp_path: Path, name: str, value: str, words: str
) -> None:
    (tmp_path / "a.env").write_text(f"{name}={value}\n")

    by_variable = command("config", **{name: value})
    by_file = command("config", "--env-file", str(tmp_path / "a.env"))

    for result in (by_variable, by_file):
        assert result.exit_code == 2
        assert words in result.stderr


@pytest.mark.parametrize(
    "salt", ["replace-with-openssl-rand-hex-32", "changeme", "fifteen letters"]
)
def test_live_buyers_are_not_hashed_with_a_placeholder_or_a_short_salt(salt: str) -> None:
    live = command("config", QTICKETS_TOKEN="a-token", QTICKETS_PII_SALT=salt)
    demo = command("config", QTICKETS_PII_SALT=salt)

    assert live.exit_code == 2
    assert "QTICKETS_PII_SALT" in live.stderr
    assert "at least 16 characters" in live.stderr
    assert salt not in live.stderr
    assert demo.exit_code == 0


def test_an_env_file_that_is_not_text_is_named(tmp_path: Path) -> None:
    (tmp_path / "binary.env").write_bytes(b"QTICKETS_TOKEN=\xff\xfe\x00")

    for flags in ((), ("config",)):
        result = command(*flags, "--env-file", str(tmp_path / "binary.env"))

        assert result.exit_code == 2
        assert "binary.env cannot be read" in result.stderr
