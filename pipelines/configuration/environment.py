"""The configuration, read from the environment and `.env` in this module only."""

import json
import os
import re
import secrets
import ssl
from datetime import datetime, time, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any, Literal, Self
from urllib.parse import urlsplit
from zoneinfo import ZoneInfo, available_timezones

from pydantic import (
    AfterValidator,
    Field,
    SecretStr,
    ValidationError,
    ValidationInfo,
    field_validator,
    model_validator,
)
from pydantic_settings import (
    BaseSettings,
    DotEnvSettingsSource,
    EnvSettingsSource,
    NoDecode,
    PydanticBaseSettingsSource,
    SettingsConfigDict,
)

from pipelines.configuration.private_paths import private_home
from pipelines.configuration.secret_files import SecretFiles, Unusable
from pipelines.errors import ConfigurationError
from qtickets_source.settings import ALL_TRANSPORTS, BASE_URL, TRANSPORTS, Transport

PROJECT = Path(__file__).resolve().parents[2]
DBT_PROJECT = PROJECT / "dbt_project"
CASSETTE = PROJECT / "cassettes" / "account.yaml"
"""The recording of a small made-up organiser that `--offline` replays by default."""

DATASETS = (
    "orders",
    "events",
    "inventory",
    "discounts",
    "promo_codes",
    "price_shades",
    "clients",
    "barcodes",
    "partner_tickets",
)
"""The datasets that can be loaded separately; tickets come with orders, shows with events."""

DOTENV = Path(".env")
"""The file of variables in the working folder, unless `--env-file` names another."""

_NO: tuple[Any, ...] = (None, [])
_PLACEHOLDER = re.compile(r"(dryrun-token|replace-.*|changeme|your-.*)?", re.IGNORECASE)
_SHORTEST_SALT = 16


def _is_placeholder(secret: SecretStr | None) -> bool:
    return _PLACEHOLDER.fullmatch(secret.get_secret_value() if secret else "") is not None


def _time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("a time zone such as Europe/Moscow")
    return name


def _database(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]{0,60}", name):
        raise ValueError("a database name of Latin letters, digits and _")
    return name


def _ca_cert(path: Path | None) -> Path | None:
    if path:
        try:
            ssl.create_default_context(cafile=path)
        except OSError as error:
            raise ValueError(f"a file of PEM certificates ({path}: {error.strerror})") from None
    return path.absolute() if path else None


def _cluster(name: str | None) -> str | None:
    if name and not re.fullmatch(r"[A-Za-z_][\w.-]*", name):
        raise ValueError("a name from the server's remote_servers, of letters, digits, _ . -")
    return name


def _base_url(url: str) -> str:
    if not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url):
        raise ValueError("an address such as https://qtickets.ru/api/rest/v1")
    parts = urlsplit(url)
    is_local = parts.hostname in ("localhost", "::1") or re.fullmatch(
        r"127(\.\d{1,3}){3}", parts.hostname or ""
    )
    if parts.scheme == "http" and not is_local:
        raise ValueError("an https:// address: http would send the token in the open")
    return url.rstrip("/")


def _webhook(url: SecretStr | None) -> SecretStr | None:
    if url and not re.fullmatch(r"https?://[^\s/]+(/\S*)?", url.get_secret_value()):
        raise ValueError("an address such as https://example.ru/hook")
    return url


def _bot_token(token: SecretStr | None) -> SecretStr | None:
    if token and not re.fullmatch(r"\d+:[\w-]{20,}", token.get_secret_value()):
        raise ValueError("the token of a bot, from @BotFather: digits, a colon, letters")
    return token


def _backup_target(target: SecretStr | None) -> SecretStr | None:
    if target and not re.fullmatch(r"\w+\(.*\{name\}.*\)", target.get_secret_value()):
        raise ValueError("a place of ClickHouse's BACKUP with {name}, such as File('{name}')")
    return target


def _missing_for_partners(info: ValidationInfo) -> str:
    """Return the missing variables without which the Partners API cannot be called."""
    names = [f"qtickets_partners_{name}" for name in ("base_url", "token", "find_requests")]
    return ", ".join(name.upper() for name in names if info.data.get(name, 1) in _NO)


def _listen(address: str) -> str:
    host, _, port = address.rpartition(":")
    if not host or not port.isdigit() or not 0 <= int(port) <= 65535:
        raise ValueError("an address and a port, such as 127.0.0.1:8090 or [::1]:8090")
    return address


def _page_token(token: SecretStr | None) -> SecretStr | None:
    if token and not re.fullmatch(r"[A-Za-z0-9_.~-]{16,}", token.get_secret_value()):
        raise ValueError("at least 16 letters, digits and - . _ ~, as of `openssl rand -hex 32`")
    return token


def _webhook_secret(secret: SecretStr | None) -> SecretStr | None:
    if secret and _is_placeholder(secret):
        raise ValueError("the secret that is set in the cabinet of QTickets, not a placeholder")
    return secret


def _hours_or_all(value: str) -> str:
    if value != "all" and not re.fullmatch(r"\d+(\.\d+)?", value):
        raise ValueError("a number of hours, or: all")
    return value


Positive = Annotated[float, Field(gt=0)]
Port = Annotated[int, Field(ge=1, le=65535)]


class AlertSettings(BaseSettings):
    """The part of the settings that alerts need; it is read if the rest is invalid too."""

    model_config = SettingsConfigDict(
        env_file_encoding="utf-8",
        extra="ignore",
        env_ignore_empty=True,
        hide_input_in_errors=True,
        use_attribute_docstrings=True,
    )

    org_name: str = ""
    """Name of the organiser in the job log and in alerts."""
    job_name: str = "qtickets_api"
    """Key of this job in `meta_job_runs`, and its name in alerts."""
    qtickets_home: Annotated[Path, AfterValidator(private_home)] = PROJECT / ".qtickets"
    """Folder for everything on disk: dlt's working folder, dbt's files and logs, the salt, the
    page, the embedded ClickHouse.
    """
    qtickets_stale_hours: Positive = 6.0
    """Age in hours from which data are stale, which is an error of `check` and an alert."""
    qtickets_alert_webhook: Annotated[SecretStr | None, AfterValidator(_webhook)] = None
    """Address to which alerts are posted as JSON."""
    qtickets_alert_telegram_token: Annotated[SecretStr | None, AfterValidator(_bot_token)] = None
    """Token of the Telegram bot that sends alerts."""
    qtickets_alert_telegram_chat: Annotated[str, Field(validate_default=True)] = ""
    """Number or @name of the Telegram chat that receives alerts."""
    qtickets_alert_urls: SecretStr | None = None
    """Addresses of [apprise](https://github.com/caronc/apprise/wiki), separated by spaces, that
    receive alerts: mail, Slack, Mattermost and others.
    """
    qtickets_ping_url: Annotated[SecretStr | None, AfterValidator(_webhook)] = None
    """Address of an outside monitor that is called after each run, with `/fail` after one that
    failed, as healthchecks.io expects.
    """
    qtickets_digest_at: time | None = None
    """Local time of a daily digest to the addresses of alerts, such as `09:00`; without it, none is
    sent.
    """

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Return the sources, the first of which wins.

        Options, environment, systemd's credentials, `.env`; secrets of each from files too.
        """
        assert isinstance(env_settings, EnvSettingsSource)
        assert isinstance(dotenv_settings, DotEnvSettingsSource)
        return (
            init_settings,
            SecretFiles(settings_cls, env_settings.env_vars),
            env_settings,
            file_secret_settings,
            SecretFiles(settings_cls, dotenv_settings.env_vars),
            dotenv_settings,
        )

    @field_validator("*", mode="before")
    @classmethod
    def _is_usable(cls, value: Any) -> Any:
        if isinstance(value, Unusable):
            raise ValueError(value.reason)
        return value

    @field_validator("qtickets_alert_telegram_chat")
    @classmethod
    def _chat_of_the_bot(cls, chat: str, info: ValidationInfo) -> str:
        has_bot = info.data.get("qtickets_alert_telegram_token")
        if (chat or has_bot) and not re.fullmatch(r"-?\d+|@\w+", chat):
            raise ValueError("a chat's number, such as -1001234567890, or @name_of_a_channel")
        return chat


class Settings(AlertSettings):
    """The settings. Each field is the environment variable of the same name in capitals."""

    qtickets_token: SecretStr | None = None
    """Token of the REST API; without it, or with a placeholder such as `replace-me`, a run loads
    demo data and never calls the live service.
    """
    qtickets_base_url: Annotated[str, AfterValidator(_base_url)] = BASE_URL
    """Address of the REST API."""
    qtickets_since_hours: Annotated[float, Field(ge=0)] = 2.0
    """Overlap in hours that every run reads again before the position of the last run."""
    qtickets_initial_backfill_hours: Annotated[str, AfterValidator(_hours_or_all)] | None = None
    """How many hours of sales the first run loads, or `all`; by default 720 of live sales, and all
    of demo and recorded sales.
    """
    qtickets_reread_days: Annotated[float, Field(ge=0)] = 3.0
    """Days of payments and shows that are read again once a day, for scans and other changes
    without a timestamp.
    """
    qtickets_transports: Annotated[tuple[Transport, ...], NoDecode] = TRANSPORTS
    """Request formats for filtered lists, tried in this order: `get_body`, `get_query`,
    `post_body`.
    """
    qtickets_connections: Annotated[int, Field(ge=1, le=64)] = 4
    """Concurrent requests, all datasets together."""
    qtickets_timeout_seconds: Positive = 60.0
    """Seconds to wait for one response."""
    qtickets_retry_seconds: Positive = 120.0
    """Seconds for which a failed request is retried before the run fails."""
    qtickets_skip_inventory: bool = False
    """Leave out seats."""
    qtickets_skip_discounts: bool = False
    """Leave out discounts."""
    qtickets_skip_promo_codes: bool = False
    """Leave out promo codes."""
    qtickets_skip_price_shades: bool = False
    """Leave out price shades."""
    qtickets_skip_clients: bool = True
    """Leave out buyers (hashes only)."""
    qtickets_skip_barcodes: bool = True
    """Leave out barcodes (hashes only)."""
    qtickets_partners_base_url: Annotated[str, AfterValidator(_base_url)] | None = None
    """Address of the Partners API."""
    qtickets_partners_token: SecretStr | None = None
    """Key of the Partners API."""
    qtickets_partners_find_requests: Annotated[list[dict[str, Any]], NoDecode] = Field(
        default_factory=list
    )
    """Filters of the Partners API's ticket search, as a JSON list such as `[{"id": [1, 2]}]`."""
    qtickets_skip_partner_tickets: bool = True
    """Leave out tickets of the Partners API, which are only read live; otherwise the other
    variables of the Partners API are required.
    """
    qtickets_resources: Annotated[tuple[str, ...], NoDecode] = ()
    """Datasets to load, and no others, as `run --resources` does."""
    qtickets_allow_fields: Annotated[tuple[str, ...], NoDecode] = ()
    """New fields such as `orders.some_field` to load although they look personal."""
    qtickets_offline: Path | None = None
    """Path of a recording to replay instead of calling the service, as `run --offline` does."""
    clickhouse_host: str | None = None
    """Host of the ClickHouse server; without it, the embedded ClickHouse in QTICKETS_HOME."""
    qtickets_pii_salt: Annotated[SecretStr | None, Field(validate_default=True)] = None
    """Salt of buyer hashes, at least 16 random characters; without it, one is created in
    QTICKETS_HOME, but with CLICKHOUSE_HOST it is required. A database is loaded with one salt:
    with another one every buyer would become another hash.
    """
    clickhouse_port: Port = 8123
    """HTTP port; 8443 by default with CLICKHOUSE_SECURE."""
    clickhouse_native_port: Port = 9000
    """Native port; 9440 by default with CLICKHOUSE_SECURE."""
    clickhouse_user: str = "default"
    """User that writes the raw tables, and does everything else unless other users are named."""
    clickhouse_password: SecretStr = SecretStr("")
    """Password of CLICKHOUSE_USER."""
    clickhouse_transform_user: str | None = None
    """User of dbt, which writes the marts; by default CLICKHOUSE_USER."""
    clickhouse_transform_password: SecretStr | None = None
    """Password of CLICKHOUSE_TRANSFORM_USER."""
    clickhouse_backup_user: str | None = None
    """User of `backup` and `restore`; by default CLICKHOUSE_USER. It needs `SELECT, SHOW, BACKUP,
    CREATE TABLE, INSERT` on both databases, and a right for the target such as `READ, WRITE ON
    FILE`.
    """
    clickhouse_backup_password: SecretStr | None = None
    """Password of CLICKHOUSE_BACKUP_USER."""
    clickhouse_secure: bool = False
    """Connect with TLS."""
    clickhouse_verify_ssl: bool = True
    """Verify the server's certificate."""
    clickhouse_ca_cert: Annotated[Path | None, AfterValidator(_ca_cert)] = None
    """File with the certificate of the authority to trust, PEM."""
    clickhouse_cluster: Annotated[str | None, AfterValidator(_cluster)] = None
    """Name of a replicated cluster: tables are created ON CLUSTER with replicated engines."""
    clickhouse_db: Annotated[str, AfterValidator(_database)] = "zakaz"
    """Database of the marts; the raw tables are in `<CLICKHOUSE_DB>_raw`."""
    report_tz: Annotated[str, AfterValidator(_time_zone)] = "Europe/Moscow"
    """Time zone in which a timestamp becomes a date."""
    report_now: str = ""
    """Time that counts as now, as `2026-06-15 10:00:00` in UTC; for recordings and tests."""
    qtickets_late_hours: Positive = 1.25
    """Age in hours from which data are late, which is a warning of `check`."""
    qtickets_min_free_gb: Annotated[float, Field(ge=0)] = 1.0
    """Free disk space in GiB: less is an error of `check`, less than twice as much a warning."""
    qtickets_job_days: Annotated[int, Field(ge=2)] = 400
    """Days for which `compact` keeps job records."""
    qtickets_backups: Annotated[int, Field(ge=1)] = 14
    """Number of backups without a name that `backup` keeps in the embedded ClickHouse."""
    qtickets_backup_target: Annotated[SecretStr | None, AfterValidator(_backup_target)] = None
    """Target of ClickHouse's BACKUP, such as `S3('https://…/{name}', 'key', 'secret')`; by default
    `File('{name}')` on a server.
    """
    qtickets_listen: Annotated[str, AfterValidator(_listen)] = "127.0.0.1:8090"
    """Address and port on which `serve` listens; port 0 is any free one."""
    qtickets_every_minutes: Annotated[int, Field(ge=1, le=1440)] = 30
    """Minutes between the scheduled runs of `serve`, counted from midnight UTC."""
    qtickets_webhook_secret: Annotated[SecretStr | None, AfterValidator(_webhook_secret)] = None
    """Secret of the webhook, as set in the cabinet; without it `serve` receives no webhooks."""
    qtickets_webhook_open: bool = False
    """Receive webhooks without a signature: anybody who can reach the address can cause requests
    to the service, and nothing else.
    """
    qtickets_page_token: Annotated[SecretStr | None, AfterValidator(_page_token)] = None
    """Token that opens the page of `serve` in a browser; without it only this machine may."""
    dry_run: bool = False
    """Make every `run` a dry run, and refuse all other commands that write."""

    @field_validator("qtickets_partners_find_requests", mode="before")
    @classmethod
    def _json_list(cls, value: Any) -> Any:
        try:
            return json.loads(value) if isinstance(value, str) else value
        except ValueError:
            raise ValueError('a JSON list of filters, such as [{"event_id": 1}]') from None

    @field_validator("qtickets_skip_partner_tickets")
    @classmethod
    def _partners_need_their_api(cls, skipped: bool, info: ValidationInfo) -> bool:
        if not skipped and (missing := _missing_for_partners(info)):
            raise ValueError(f"true, or {missing} as well")
        return skipped

    @field_validator("qtickets_transports")
    @classmethod
    def _known_transports(cls, names: tuple[str, ...]) -> tuple[str, ...]:
        if not names or not set(names) <= set(ALL_TRANSPORTS):
            raise ValueError(f"some of: {', '.join(ALL_TRANSPORTS)}")
        return names

    @field_validator("qtickets_resources")
    @classmethod
    def _known_datasets(cls, names: tuple[str, ...], info: ValidationInfo) -> tuple[str, ...]:
        if unknown := [name for name in names if name not in DATASETS]:
            raise ValueError(f"some of {', '.join(DATASETS)}; not {', '.join(unknown)}")
        if "partner_tickets" in names and (missing := _missing_for_partners(info)):
            raise ValueError(f"no partner_tickets, or {missing} as well")
        return names

    @field_validator(
        "qtickets_allow_fields", "qtickets_resources", "qtickets_transports", mode="before"
    )
    @classmethod
    def _words(cls, value: Any) -> Any:
        return tuple(re.findall(r"[^\s,]+", value)) if isinstance(value, str) else value

    @field_validator("qtickets_pii_salt")
    @classmethod
    def _salt_on_a_server(cls, salt: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        # A token that cannot be read is missing here, and was meant to be a real one.
        is_demo = "qtickets_token" in info.data and _is_placeholder(info.data["qtickets_token"])
        if is_demo or info.data.get("qtickets_offline"):
            return salt
        if not salt and not info.data.get("clickhouse_host"):
            return salt
        if _is_placeholder(salt) or len(salt.get_secret_value() if salt else "") < _SHORTEST_SALT:
            raise ValueError(
                f"a random text of at least {_SHORTEST_SALT} characters, such as that of"
                " `openssl rand -hex 32`, and never another: with another one the same buyer"
                " becomes another hash"
            )
        return salt

    @model_validator(mode="after")
    def _ports_of_tls(self) -> Self:
        """Set ClickHouse's ports of TLS, unless ports are given."""
        if self.clickhouse_secure:
            for name, port in (("clickhouse_port", 8443), ("clickhouse_native_port", 9440)):
                if name not in self.model_fields_set:
                    # Not by assignment: it is still a default, not a value that was given.
                    self.__dict__[name] = port
        return self

    @property
    def is_demo(self) -> bool:
        """Whether demo data are loaded: without a real token the live service is never called."""
        return self.mode == "demo"

    @property
    def mode(self) -> Literal["demo", "offline", "live"]:
        """Whose sales a run loads: those of the sandbox, a recording, or the organiser."""
        if self.qtickets_offline:
            return "offline"
        return "demo" if _is_placeholder(self.qtickets_token) else "live"

    @property
    def skipped(self) -> set[str]:
        """The names of the raw tables that are left out.

        `qtickets_resources` takes precedence over the variables that skip datasets.
        """
        if asked := set(self.qtickets_resources):
            tables = {name: name for name in DATASETS} | {"tickets": "orders", "shows": "events"}
            # The Partners API has no stand-in: its tickets would be the only live ones.
            readable = asked if self.mode == "live" else asked - {"partner_tickets"}
            return {table for table, dataset in tables.items() if dataset not in readable}
        switches = {
            "inventory": self.qtickets_skip_inventory,
            "discounts": self.qtickets_skip_discounts,
            "promo_codes": self.qtickets_skip_promo_codes,
            "price_shades": self.qtickets_skip_price_shades,
            "clients": self.qtickets_skip_clients,
            "barcodes": self.qtickets_skip_barcodes,
            "partner_tickets": self.qtickets_skip_partner_tickets or self.mode != "live",
        }
        return {name for name, skip in switches.items() if skip}

    @property
    def raw_db(self) -> str:
        return f"{self.clickhouse_db}_raw"

    def initial_since(self, now: datetime) -> datetime:
        """Return the start of the first run: a midnight in the reporting time zone, in UTC.

        A period that began at noon would have half of the sales of its first day.
        """
        # Made-up and recorded sales take little time to load, and all of them look better.
        hours = self.qtickets_initial_backfill_hours or ("720" if self.mode == "live" else "all")
        if hours == "all":
            return datetime(1970, 1, 1, tzinfo=timezone.utc)
        zone = ZoneInfo(self.report_tz)
        first_day = (now - timedelta(hours=float(hours))).astimezone(zone).date()
        return datetime.combine(first_day, time(), zone).astimezone(timezone.utc)

    def pii_salt(self, *, keep: bool) -> str:
        """Return the salt of buyer hashes; create one (mode 600) where it is missing.

        Args:
            keep: False for runs that write nothing: a missing salt is created for this run only.
        """
        if self.qtickets_pii_salt:
            return self.qtickets_pii_salt.get_secret_value()
        path = self.qtickets_home / "pii_salt"
        if path.exists():
            return path.read_text().strip()
        salt = secrets.token_hex(32)
        if keep:
            self.qtickets_home.mkdir(parents=True, exist_ok=True)
            with os.fdopen(os.open(path, os.O_CREAT | os.O_EXCL | os.O_WRONLY, 0o600), "w") as file:
                file.write(salt + "\n")
        return salt


def read_settings(env_file: Path | None = None, **overrides: Any) -> Settings:
    """Read the settings: the environment, systemd's credentials, `.env` or `env_file`.

    Raises:
        ConfigurationError: Naming every variable that is wrong, and what is expected.
    """
    if env_file and not env_file.is_file():
        raise ConfigurationError(f"--env-file {env_file}: there is no such file.")
    _refuse_lookalikes(env_file or DOTENV)
    try:
        settings = Settings(
            _env_file=env_file or DOTENV,  # type: ignore[call-arg]
            _secrets_dir=credentials_folder(),
            **overrides,
        )
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is not UTF-8 text"
        path = getattr(error, "filename", None) or env_file or DOTENV
        raise ConfigurationError(f"{path} cannot be read: {reason}.") from None
    except ValidationError as error:
        problems = [_problem(item["loc"], item["msg"]) for item in error.errors()]
        raise ConfigurationError("Configuration: " + "; ".join(problems) + ".") from None
    return settings.model_copy(update={"qtickets_home": settings.qtickets_home.absolute()})


# Cyrillic letters that look like Latin ones; a name with one of them is another name.
_LOOKALIKES = str.maketrans("АВЕКМНОРСТУХЅІЈ", "ABEKMHOPCTYXSIJ")


def _refuse_lookalikes(env_file: Path) -> None:
    """Refuse variables that only look like ours; they would be ignored, the token included."""
    lines = env_file.read_text(errors="replace").splitlines() if env_file.is_file() else []
    names = {*os.environ, *(line.split("=")[0].removeprefix("export ").strip() for line in lines)}
    for name in sorted(names):
        meant = name.upper().translate(_LOOKALIKES)
        if not name.isascii() and meant.removesuffix("_FILE").lower() in Settings.model_fields:
            raise ConfigurationError(
                f"Configuration: {name} has a Cyrillic letter that looks like a Latin one, so it is"
                f" not {meant}. Type the name again."
            )


def read_alert_settings(env_file: Path | None = None) -> AlertSettings | None:
    """Read the settings of alerts, even if others are invalid; None if they are invalid too."""
    try:
        settings = AlertSettings(
            _env_file=env_file or DOTENV,  # type: ignore[call-arg]
            _secrets_dir=credentials_folder(),
        )
    except (OSError, ValueError):
        return None
    return settings.model_copy(update={"qtickets_home": settings.qtickets_home.absolute()})


def credentials_folder() -> Path | None:
    """Return systemd's folder of credentials (`LoadCredential=`), files named like variables."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder) if folder and Path(folder).is_dir() else None


def _problem(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ").removeprefix("Input should be ")
    text = text.removesuffix(", unable to parse string as a number")
    name = str(location[0]).upper() if location else ""
    return f"{name}: expected {text[0].lower()}{text[1:]}" if name else text
