"""Text that leaves the machine, or stays on it for long: without secrets, without people."""

import re

from pydantic import SecretStr

from pipelines.configuration.environment import AlertSettings

_PERSONAL = (
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), "(an address)"),
    (re.compile(r"\+?\d[\d ()-]{9,}\d"), "(a number)"),
)


def without_secrets(text: str, settings: AlertSettings) -> str:
    """The text with every secret of the configuration masked."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        secret = value.get_secret_value() if isinstance(value, SecretStr) else ""
        # Shorter ones are no secrets, and would mask half of every word.
        if len(secret) >= 4:
            text = text.replace(secret, "********")
    return text


def without_people(text: str) -> str:
    """The text without what looks like somebody's address or number."""
    for pattern, instead in _PERSONAL:
        text = pattern.sub(instead, text)
    return text
