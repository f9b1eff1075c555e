"""The settings in force and where each value came from, with secrets masked."""

import json
import os
import re
from dataclasses import dataclass
from pathlib import Path
from typing import Any
from urllib.parse import urlsplit

from pydantic import SecretStr
from pydantic_settings import (
    DotEnvSettingsSource,
    EnvSettingsSource,
    InitSettingsSource,
    PydanticBaseSettingsSource,
    SecretsSettingsSource,
)
from rich.console import Console
from rich.markup import escape

from pipelines.configuration.environment import DOTENV, Settings, credentials_folder, read_settings
from pipelines.configuration.secret_files import SecretFiles, Unusable, is_secret
from pipelines.errors import ConfigurationError

MASK = "********"
_OURS = re.compile(r"QTICKETS_\w+|REPORT_(TZ|NOW)|CLICKHOUSE_\w+")
# Those of the local server (`python -m local_clickhouse`) and of other tools.
_KNOWN_TO_OTHERS = {"CLICKHOUSE_URL", "CLICKHOUSE_DATABASE"}


@dataclass(frozen=True)
class Value:
    """A setting: its variable, its value (masked if secret), and its origin."""

    variable: str
    shown: str
    origin: str


def show_config(console: Console, env_file: Path | None, *, as_json: bool) -> None:
    """Print every setting, then every problem.

    Raises:
        ConfigurationError: As `read_settings`, after the settings were printed.
    """
    problem = ""
    try:
        settings = read_settings(env_file)
    except ConfigurationError as error:
        problem, settings = str(error), None
    try:
        values = values_in_force(env_file)
        unknown = unknown_variables(env_file)
    except (OSError, UnicodeDecodeError):
        # The file itself cannot be read.
        raise ConfigurationError(problem) from None
    if as_json:
        answer = {
            "mode": settings.mode if settings else None,
            "values": {
                value.variable: {"value": value.shown, "origin": value.origin} for value in values
            },
            "unknown_variables": unknown,
            "problem": problem or None,
        }
        print(json.dumps(answer, ensure_ascii=False, indent=2))
    else:
        width = max(len(value.variable) for value in values)
        for value in values:
            style = "dim" if value.origin == "default" else "none"
            line = f"{value.variable:<{width}}  {value.shown or '-'}  ({value.origin})"
            console.print(f"[{style}]{escape(line)}[/]")
        if settings:
            where = settings.clickhouse_host or "the embedded ClickHouse"
            console.print(f"A run would load {settings.mode} data into {where}.")
        if unknown:
            console.print(f"[yellow]No such variables: {', '.join(unknown)}[/]")
    if problem:
        raise ConfigurationError(problem)


def values_in_force(env_file: Path | None) -> list[Value]:
    """Return every setting, in the order of `Settings`, whether or not its value is valid."""
    sources = _sources(env_file)
    # Each is read once: a file may be a pipe.
    found = [(source, source()) for source in sources]
    values = []
    for name, field in Settings.model_fields.items():
        source, given = next(
            ((source, given) for source, given in found if name in given), (None, {})
        )
        value = given[name] if source else field.get_default(call_default_factory=True)
        shown = _shown(name, value, secret=is_secret(field))
        origin = _origin(source, name) if source else "default"
        values.append(Value(name.upper(), shown, origin))
    return values


def _sources(env_file: Path | None) -> tuple[PydanticBaseSettingsSource, ...]:
    """Return the sources of `Settings`; the first one wins."""
    return Settings.settings_customise_sources(
        Settings,
        InitSettingsSource(Settings, init_kwargs={}),
        EnvSettingsSource(Settings),
        DotEnvSettingsSource(Settings, env_file=env_file or DOTENV),
        SecretsSettingsSource(Settings, secrets_dir=credentials_folder()),
    )


def _origin(source: PydanticBaseSettingsSource, name: str) -> str:
    match source:
        case SecretFiles():
            return f"{name.upper()}_FILE: {source.paths()[name]}"
        case SecretsSettingsSource():
            return f"credential in {source.secrets_dir}"
        case DotEnvSettingsSource():
            return str(source.env_file)
    return "environment"


def _shown(name: str, value: Any, *, secret: bool) -> str:
    if isinstance(value, Unusable):
        return "?"
    if secret:
        text = value.get_secret_value() if isinstance(value, SecretStr) else value
        return MASK if text else ""
    if name == "qtickets_partners_find_requests":
        # Filters may name a buyer's order or barcode.
        return MASK if value else ""
    if isinstance(value, (tuple, list)):
        return " ".join(map(str, value))
    text = "" if value is None else str(value)
    return _without_login(text) if "://" in text else text


def _without_login(url: str) -> str:
    try:
        login = urlsplit(url).netloc.rpartition("@")[0]
    except ValueError:
        return MASK
    return url.replace(login + "@", f"{MASK}@", 1) if login else url


def unknown_variables(env_file: Path | None) -> list[str]:
    """Return variables that nothing reads though they look like ours: probably misspelt."""
    dotenv = DotEnvSettingsSource(Settings, env_file=env_file or DOTENV)
    given = {*os.environ, *(name.upper() for name in dotenv.env_vars)}
    known = {name.upper() for name in Settings.model_fields} | _KNOWN_TO_OTHERS
    known |= {
        f"{name.upper()}_FILE" for name, field in Settings.model_fields.items() if is_secret(field)
    }
    return sorted(name for name in given if _OURS.fullmatch(name) and name not in known)
