"""Withhold personal data and the links and barcodes that give access to a ticket.

A known field is either a column (see `rows/schema.py`) or listed here. An unknown field is judged
by its name and value; when in doubt it is withheld and reported, never loaded.
"""

import re
from collections.abc import Iterable
from decimal import Decimal
from functools import lru_cache
from hashlib import blake2b
from typing import Any

WITHHELD_ORDER_FIELDS = frozenset(
    # `uniqid` is the path of `payment_url`: it gives access to the order.
    [
        "uniqid",
        "client",
        "client_id",
        "payment_card_number",
        "payment_url",
        "cancel_url",
        "basket_user_id",
        "backend_user_id",
        "custom",
        "fields",
        "integrations",
        "comment",
        "site",
    ]
)
WITHHELD_TICKET_FIELDS = frozenset(
    [
        "barcode",
        "client_email",
        "client_phone",
        "client_name",
        "client_surname",
        "client_middlename",
        "organization_name",
        "legal_name",
        "work_position",
        "inn",
        "kpp",
        "comment",
        "pdf_url",
        "passbook_url",
        "gpass_url",
        "fields",
        "custom",
    ]
)
WITHHELD_EVENT_FIELDS = frozenset(
    # Names of payment recipients are names of people; the texts are free text.
    ["payments", "description", "place_description", "ticket", "mail_template", "poster"]
)

_PERSONAL_NAME = re.compile(
    r"mail|phone|mobile|(^|_)(tel|fio|inn|kpp|snils|vk|ok|tg|ip)(_|$)|name|surname|patronym"
    r"|passport|birth|address|contact|person|client|customer|buyer|payer|visitor|guest|holder|owner"
    r"|recipient|attendee|participant|parent|child|user|login|nick|card|account|telegram|whatsapp"
    r"|viber|social|url|link|token|secret|hash|barcode|(^|_)qr|comment|note|message"
    r"|фио|имя|имен|фамил|отчеств|телефон|моб|почт|мейл|мэйл|адрес|паспорт|рожд|контакт|клиент"
    r"|покупател|посетител|гост|владел|получател|участник|ребен|ребён|родител|логин|карт|сч[её]т"
    r"|ссылк|коммент|примечан|сообщ|снилс|инн",
    re.IGNORECASE,
)
_CODE = re.compile(r"[A-Za-z0-9_.:-]{1,32}", re.ASCII)
_MANY_DIGITS = re.compile(r"\d{7}")
_DATE = re.compile(
    r"\d{4}-\d\d-\d\d([T ]\d\d:\d\d(:\d\d(\.\d{1,6})?)?(Z|[+-]\d\d:?\d\d)?)?", re.ASCII
)
_AMOUNT = re.compile(r"-?\d{1,8}([.,]\d{1,4})?", re.ASCII)
_PERSONAL_VALUE = re.compile(
    r"[^\s@]+@[^\s@]+\.\w+"  # e-mail
    # Phones: +7 with any code, or 7/8 with a mobile one; advertising ids are 11 digits as well.
    r"|(?<![\d.])(\+7[\s(-]*\d|[78][\s(-]*9)\d{2}[\s)-]*\d{3}[\s-]*\d{2}[\s-]*\d{2}(?!\d)"
    r"|\d{4,6}[*•xX]{4,}\d{2,4}|https?://",  # masked card, link
)


# Inside JSON fields a plain `name` is that of an event or a zone.
_WITHHELD_INSIDE = WITHHELD_ORDER_FIELDS | WITHHELD_TICKET_FIELDS
_PERSONAL_KEY = re.compile(
    r"mail|phone|(^|_)(fio|inn|kpp|snils|passport|uniqid|barcode|card|token|hash)(_|$)|surname"
    r"|client_|buyer|payer|(^|_)url(_|$)|comment",
    re.IGNORECASE,
)


def salt_key(salt: str) -> bytes:
    """Return the salt, of any length, as the key of `hashes`."""
    return blake2b(salt.encode(), digest_size=32).digest()


def salt_check(salt: bytes) -> str:
    """Return a value that tells whether a salt is still the same one, and does not reveal it.

    Args:
        salt: The key of `hashes`.
    """
    return blake2b(b"is this the same salt?", key=salt, digest_size=16).hexdigest()


def hashes(salt: bytes, kind: str, values: Iterable[object]) -> list[str | None]:
    """Return keyed hashes (BLAKE2b, 128 bits, hex) of identifiers; None for an absent one.

    Args:
        salt: The secret that keeps hashes from being guessed; 1 to 64 bytes.
        kind: Separates equal numbers of different kinds (a client, a barcode).
        values: The identifiers.
    """
    keyed = blake2b(f"{kind}:".encode(), key=salt, digest_size=16)

    def hash_of(value: object) -> str:
        # Copying the keyed state takes half as long as keying a new hash.
        hash_ = keyed.copy()
        hash_.update(str(value).encode("utf-8", "surrogatepass"))
        return hash_.hexdigest()

    return [None if value is None or value == "" else hash_of(value) for value in values]


def may_be_personal(name: str, value: object) -> bool:
    """Return whether an unknown field must be withheld.

    It is loaded only if its value cannot be about a person: a flag, a date, an amount, a number of
    fewer than nine digits, or a code (ASCII letters, digits, `_ - . :`, at most 32 characters,
    fewer than seven digits in a row), under a name that is not personal in Russian or English.
    """
    if _PERSONAL_NAME.search(name) or _MANY_DIGITS.search(name):
        return True
    if isinstance(value, dict):
        return any(may_be_personal(str(key), item) for key, item in value.items())
    if isinstance(value, list):
        return any(may_be_personal("", item) for item in value)
    if value is None or value == "" or isinstance(value, bool):
        return False
    if isinstance(value, (int, Decimal)):
        return (
            sum(map(str.isdigit, f"{value:f}" if isinstance(value, Decimal) else str(value))) >= 9
        )
    text = str(value)
    is_code = _CODE.fullmatch(text) and not _MANY_DIGITS.search(text)
    return not (is_code or _DATE.fullmatch(text) or _AMOUNT.fullmatch(text))


_QUOTED = re.compile(r"«[^»]*»|\"[^\"]*\"|'[^']*'|“[^”]*”")
_LONG_NUMBER = re.compile(r"\+?\d[\d ()-]{5,}\d")


def redact_message(text: str) -> str:
    """Return an error message of the service in one line, without what may be about a person.

    Quoted words may be names; e-mail addresses, links, phones and long numbers are masked as well.
    """
    text = " ".join(text.split())[:200]
    text = re.sub(r"\S*@\S*|https?://\S*", "…", _QUOTED.sub("…", text))
    return _LONG_NUMBER.sub("…", text)


@lru_cache(maxsize=10_000)
def _is_personal_key(key: str) -> bool:
    return key in _WITHHELD_INSIDE or bool(_PERSONAL_KEY.search(key))


@lru_cache(maxsize=10_000)
def _is_personal_value(text: str) -> bool:
    return bool(_PERSONAL_VALUE.search(text))


def redact_json(value: Any) -> Any:
    """Return the JSON value without personal data and without keys that give access to tickets.

    For fields that are loaded as JSON text: an exchange lists the other order with its `uniqid`,
    and a `utm_term` can be an e-mail address as well as a search phrase.
    """
    if isinstance(value, str):
        return "[withheld]" if _is_personal_value(value) else value
    if isinstance(value, dict):
        return {key: redact_json(item) for key, item in value.items() if not _is_personal_key(key)}
    if isinstance(value, list):
        return [redact_json(item) for item in value]
    return value
