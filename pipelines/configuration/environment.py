"""The configuration: read from the environment and `.env` here, and nowhere else."""

import json
import os
import re
import secrets
import ssl
from datetime import datetime, time, timedelta, timezone
from pathlib import Path
from typing import Annotated, Any, Literal, Self
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

from pipelines.configuration.secret_files import SecretFiles, Unusable
from pipelines.errors import ConfigurationError
from qtickets_source.settings import ALL_TRANSPORTS, BASE_URL, TRANSPORTS, Transport

PROJECT = Path(__file__).resolve().parents[2]
DBT_PROJECT = PROJECT / "dbt_project"
CASSETTE = PROJECT / "cassettes" / "account.yaml"
"""The recording of a small made-up organiser, which `--offline` replays by default."""

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
"""What a run reads one by one; tickets come with their orders, shows with their events."""

DOTENV = Path(".env")
"""Variables of the working folder, where no other file is named."""

_NO: tuple[Any, ...] = (None, [])
_PLACEHOLDER = re.compile(r"(dryrun-token|replace-.*|changeme|your-.*)?", re.IGNORECASE)


def _is_demo(token: SecretStr | None) -> bool:
    return _PLACEHOLDER.fullmatch(token.get_secret_value() if token else "") is not None


def _time_zone(name: str) -> str:
    if name not in available_timezones():
        raise ValueError("a time zone such as Europe/Moscow")
    return name


def _database(name: str) -> str:
    if not re.fullmatch(r"[A-Za-z_]\w{0,60}", name):
        raise ValueError("a database name of letters, digits and _")
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
    if url.startswith("http://") and not re.match(r"http://(127\.|localhost|\[::1\])", url):
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
    """Variables without which the Partners API cannot be asked."""
    names = [f"qtickets_partners_{name}" for name in ("base_url", "token", "find_requests")]
    return ", ".join(name.upper() for name in names if info.data.get(name, 1) in _NO)


def _hours_or_all(value: str) -> str:
    if value != "all" and not re.fullmatch(r"\d+(\.\d+)?", value):
        raise ValueError("a number of hours, or: all")
    return value


Positive = Annotated[float, Field(gt=0)]
Port = Annotated[int, Field(ge=1, le=65535)]


class AlertSettings(BaseSettings):
    """Where alerts go: what is needed to tell of a configuration that cannot be used otherwise."""

    model_config = SettingsConfigDict(
        env_file_encoding="utf-8", extra="ignore", env_ignore_empty=True, hide_input_in_errors=True
    )

    org_name: str = ""
    job_name: str = "qtickets_api"
    qtickets_home: Path = PROJECT / ".qtickets"
    qtickets_stale_hours: Positive = 6.0
    qtickets_alert_webhook: Annotated[SecretStr | None, AfterValidator(_webhook)] = None
    qtickets_alert_telegram_token: Annotated[SecretStr | None, AfterValidator(_bot_token)] = None
    qtickets_alert_telegram_chat: Annotated[str, Field(validate_default=True)] = ""
    qtickets_alert_urls: SecretStr | None = None

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        """Flags, environment, systemd's credentials, `.env`; secrets of each also from files."""
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
    """What is in force. Each field is the environment variable of the same name in capitals."""

    qtickets_token: SecretStr | None = None
    qtickets_base_url: Annotated[str, AfterValidator(_base_url)] = BASE_URL
    qtickets_since_hours: Annotated[float, Field(ge=0)] = 2.0
    qtickets_initial_backfill_hours: Annotated[str, AfterValidator(_hours_or_all)] | None = None
    qtickets_reread_days: Annotated[float, Field(ge=0)] = 3.0
    qtickets_transports: Annotated[tuple[Transport, ...], NoDecode] = TRANSPORTS
    qtickets_connections: Annotated[int, Field(ge=1, le=64)] = 4
    qtickets_timeout_seconds: Positive = 60.0
    qtickets_retry_seconds: Positive = 120.0
    qtickets_skip_inventory: bool = False
    qtickets_skip_discounts: bool = False
    qtickets_skip_promo_codes: bool = False
    qtickets_skip_price_shades: bool = False
    qtickets_skip_clients: bool = True
    qtickets_skip_barcodes: bool = True
    qtickets_partners_base_url: Annotated[str, AfterValidator(_base_url)] | None = None
    qtickets_partners_token: SecretStr | None = None
    qtickets_partners_find_requests: Annotated[list[dict[str, Any]], NoDecode] = Field(
        default_factory=list
    )
    qtickets_skip_partner_tickets: bool = True
    qtickets_resources: Annotated[tuple[str, ...], NoDecode] = ()
    qtickets_allow_fields: Annotated[tuple[str, ...], NoDecode] = ()
    qtickets_offline: Path | None = None
    clickhouse_host: str | None = None
    qtickets_pii_salt: Annotated[SecretStr | None, Field(validate_default=True)] = None
    clickhouse_port: Port = 8123
    clickhouse_native_port: Port = 9000
    clickhouse_user: str = "default"
    clickhouse_password: SecretStr = SecretStr("")
    clickhouse_transform_user: str | None = None
    clickhouse_transform_password: SecretStr | None = None
    clickhouse_backup_user: str | None = None
    clickhouse_backup_password: SecretStr | None = None
    clickhouse_secure: bool = False
    clickhouse_verify_ssl: bool = True
    clickhouse_ca_cert: Annotated[Path | None, AfterValidator(_ca_cert)] = None
    clickhouse_cluster: Annotated[str | None, AfterValidator(_cluster)] = None
    clickhouse_db: Annotated[str, AfterValidator(_database)] = "zakaz"
    report_tz: Annotated[str, AfterValidator(_time_zone)] = "Europe/Moscow"
    report_now: str = ""
    qtickets_late_hours: Positive = 1.25
    qtickets_min_free_gb: Annotated[float, Field(ge=0)] = 1.0
    qtickets_job_days: Annotated[int, Field(ge=2)] = 400
    qtickets_backups: Annotated[int, Field(ge=1)] = 14
    qtickets_backup_target: Annotated[SecretStr | None, AfterValidator(_backup_target)] = None
    dry_run: bool = False

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
        # A token that cannot be read is not there, and was meant to be a real one.
        is_demo = "qtickets_token" in info.data and _is_demo(info.data["qtickets_token"])
        is_made_up = info.data.get("qtickets_offline") or is_demo
        if not is_made_up and info.data.get("clickhouse_host") and not salt:
            raise ValueError(
                "a long random text with CLICKHOUSE_HOST, the same for ever: with another one the"
                " same buyer becomes another hash"
            )
        return salt

    @model_validator(mode="after")
    def _ports_of_tls(self) -> Self:
        """ClickHouse's ports are others with TLS; what is given stays."""
        if self.clickhouse_secure:
            for name, port in (("clickhouse_port", 8443), ("clickhouse_native_port", 9440)):
                if name not in self.model_fields_set:
                    # Not by assignment: it is still a default, not a value that was given.
                    self.__dict__[name] = port
        return self

    @property
    def is_demo(self) -> bool:
        """Without a real token the live service is never called."""
        return self.mode == "demo"

    @property
    def mode(self) -> Literal["demo", "offline", "live"]:
        """Whose sales a run loads: the sandbox's, a cassette's, or the organiser's."""
        if self.qtickets_offline:
            return "offline"
        return "demo" if _is_demo(self.qtickets_token) else "live"

    @property
    def skipped(self) -> set[str]:
        """Names of the raw tables that are left out.

        Datasets asked for by name are read whatever the switches say, and no others.
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
        """Where the first run begins: a midnight in the reporting time zone.

        A period that began at noon would show its first day with half of the sales.
        """
        # Made-up and recorded sales cost nothing to load, and all of them look better.
        hours = self.qtickets_initial_backfill_hours or ("720" if self.mode == "live" else "all")
        if hours == "all":
            return datetime(1970, 1, 1, tzinfo=timezone.utc)
        zone = ZoneInfo(self.report_tz)
        first_day = (now - timedelta(hours=float(hours))).astimezone(zone).date()
        return datetime.combine(first_day, time(), zone).astimezone(timezone.utc)

    def pii_salt(self, *, keep: bool) -> str:
        """The salt of buyer hashes: given, kept beside the data, or made and kept (mode 600).

        Args:
            keep: False for runs that write nothing: a salt that is not there yet is made for
                this run only.
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
    """The settings of this process: the environment, systemd's credentials, `.env` or `env_file`.

    Raises:
        ConfigurationError: Naming every variable that is wrong, and what is expected.
    """
    if env_file and not env_file.is_file():
        raise ConfigurationError(f"--env-file {env_file}: there is no such file.")
    try:
        settings = Settings(
            _env_file=env_file or DOTENV,  # type: ignore[call-arg]
            _secrets_dir=credentials_folder(),
            **overrides,
        )
    except (OSError, UnicodeDecodeError) as error:
        reason = getattr(error, "strerror", None) or "it is no text in UTF-8"
        raise ConfigurationError(f"{env_file or DOTENV} cannot be read: {reason}.") from None
    except ValidationError as error:
        problems = [_problem(item["loc"], item["msg"]) for item in error.errors()]
        raise ConfigurationError("Configuration: " + "; ".join(problems) + ".") from None
    return settings.model_copy(update={"qtickets_home": settings.qtickets_home.absolute()})


def read_alert_settings(env_file: Path | None = None) -> AlertSettings | None:
    """Where alerts go, whatever else of the configuration is wrong; None if that is as well."""
    try:
        settings = AlertSettings(
            _env_file=env_file or DOTENV,  # type: ignore[call-arg]
            _secrets_dir=credentials_folder(),
        )
    except (OSError, ValueError):
        return None
    return settings.model_copy(update={"qtickets_home": settings.qtickets_home.absolute()})


def credentials_folder() -> Path | None:
    """Where systemd puts the credentials of a service (`LoadCredential=`), files named as ours."""
    folder = os.environ.get("CREDENTIALS_DIRECTORY")
    return Path(folder) if folder and Path(folder).is_dir() else None


def read_period(
    since: datetime | None, until: datetime | None, settings: Settings
) -> tuple[datetime, datetime | None] | None:
    """Dates of the command line as a half-open period of moments, in the reporting time zone.

    Raises:
        ConfigurationError: An end without a beginning, or before it.
    """
    if since is None:
        if until:
            raise ConfigurationError("--until needs --since.")
        return None
    zone = ZoneInfo(settings.report_tz)
    begins = since.replace(tzinfo=zone).astimezone(timezone.utc)
    if until is None:
        return begins, None
    ends = (until + timedelta(days=1)).replace(tzinfo=zone).astimezone(timezone.utc)
    if ends <= begins:
        raise ConfigurationError(f"--until {until:%Y-%m-%d} is before --since {since:%Y-%m-%d}.")
    return begins, ends


def _problem(location: tuple[int | str, ...], message: str) -> str:
    text = message.removeprefix("Value error, ").removeprefix("Input should be ")
    text = text.removesuffix(", unable to parse string as a number")
    name = str(location[0]).upper() if location else ""
    return f"{name}: expected {text[0].lower()}{text[1:]}" if name else text
