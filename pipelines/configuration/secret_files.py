"""Secrets from files: `QTICKETS_TOKEN_FILE=/run/secrets/token` instead of `QTICKETS_TOKEN=…`.

This is the convention of Docker images, for every secret of the settings. systemd's credentials do
not need it: pydantic-settings reads a folder of files by itself.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any, get_args

from pydantic import SecretStr
from pydantic.fields import FieldInfo
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource


@dataclass(frozen=True)
class Unusable:
    """Stands for a secret that cannot be read. `reason` completes a message: "expected …"."""

    reason: str


def is_secret(field: FieldInfo) -> bool:
    """Return whether the value of a setting must never be shown."""
    return SecretStr in (field.annotation, *get_args(field.annotation))


class SecretFiles(PydanticBaseSettingsSource):
    """A settings source that reads secrets from the files named by `<VARIABLE>_FILE`.

    Args:
        variables: Variables of the environment or of a `.env` file; names in lower case.
    """

    def __init__(
        self, settings_cls: type[BaseSettings], variables: Mapping[str, str | None]
    ) -> None:
        super().__init__(settings_cls)
        self._variables = variables

    def paths(self) -> dict[str, Path]:
        """Return the files to read, by the name of the setting."""
        found = {}
        for name, field in self.settings_cls.model_fields.items():
            if is_secret(field) and (path := self._variables.get(f"{name}_file")):
                found[name] = Path(path)
        return found

    def get_field_value(self, field: FieldInfo, field_name: str) -> tuple[Any, str, bool]:
        path = self.paths().get(field_name) if is_secret(field) else None
        if path is None:
            return None, field_name, False
        variable = field_name.upper()
        if self._variables.get(field_name):
            return Unusable(f"either {variable} or {variable}_FILE, not both"), field_name, False
        try:
            text = path.read_text(encoding="utf-8").strip()
        except (OSError, UnicodeDecodeError) as error:
            reason = getattr(error, "strerror", None) or "not UTF-8 text"
            problem = Unusable(f"a readable file in {variable}_FILE ({path}: {reason})")
            return problem, field_name, False
        if not text:
            return Unusable(f"a text in the file of {variable}_FILE ({path})"), field_name, False
        return text, field_name, False

    def __call__(self) -> dict[str, Any]:
        fields = self.settings_cls.model_fields
        return {name: self.get_field_value(fields[name], name)[0] for name in self.paths()}
