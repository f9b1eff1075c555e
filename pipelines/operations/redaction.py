"""Redaction of text that leaves the machine, or is kept on it: secrets and personal data."""

import re

from pydantic import SecretStr

from pipelines.configuration.environment import AlertSettings

_PERSONAL_DATA = (
    (re.compile(r"[\w.+-]+@[\w-]+\.[\w.-]+"), "(e-mail address)"),
    (re.compile(r"\+?\d[\d ()-]{9,}\d"), "(phone number)"),
)
# Replacing a shorter value would mask parts of ordinary words.
_SHORTEST_SECRET = 4


def redact_secrets(text: str, settings: AlertSettings) -> str:
    """Return the text with every secret of the configuration masked."""
    for name in type(settings).model_fields:
        value = getattr(settings, name)
        secret = value.get_secret_value() if isinstance(value, SecretStr) else ""
        if len(secret) >= _SHORTEST_SECRET:
            text = text.replace(secret, "********")
    return text


def redact_personal_data(text: str) -> str:
    """Return the text with everything masked that looks like an e-mail address or phone number."""
    for pattern, replacement in _PERSONAL_DATA:
        text = pattern.sub(replacement, text)
    return text
