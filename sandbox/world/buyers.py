"""Synthetic buyers with realistic names, e-mail addresses and phone numbers."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from sandbox.world.seeded_random import Ints, SeededRandom

FIRST_CLIENT_ID = 1_000_000
NEW_BUYERS = 0.74
"""Share of orders by a new buyer: one real organiser had 93,256 clients for 126,213 orders."""

_WOMEN = (
    "Анастасия", "Валентина", "Екатерина", "Маргарита", "Светлана", "Людмила", "Кристина",
    "Виктория",
)  # fmt: skip
_MEN = (
    "Александр", "Владислав", "Константин", "Григорий", "Станислав", "Вячеслав", "Анатолий",
    "Ярослав",
)  # fmt: skip
_SURNAMES = (
    "Абрамцев", "Белокрылов", "Ветлугин", "Горбатенков", "Дерюгин", "Елизарьев", "Жаворонков",
    "Завражнов", "Колокольцев", "Лукомский", "Мещеряков", "Неверовский", "Оболенцев", "Перестукин",
    "Рогозянов", "Скоробогатов", "Тихомолов", "Удальцов", "Филимошин", "Харитошкин", "Черепанцев",
    "Шелковников", "Щеголихин", "Юхновец",
)  # fmt: skip
_PATRONYMS = (("Сергеевич", "Сергеевна"), ("Андреевич", "Андреевна"), ("Ильич", "Ильинична"))
_LATIN = {
    "а": "a", "б": "b", "в": "v", "г": "g", "д": "d", "е": "e", "ё": "e", "ж": "zh", "з": "z",
    "и": "i", "й": "y", "к": "k", "л": "l", "м": "m", "н": "n", "о": "o", "п": "p", "р": "r",
    "с": "s", "т": "t", "у": "u", "ф": "f", "х": "h", "ц": "c", "ч": "ch", "ш": "sh", "щ": "sch",
    "ъ": "", "ы": "y", "ь": "", "э": "e", "ю": "yu", "я": "ya",
}  # fmt: skip


@cache
def latin(text: str) -> str:
    """Return a text in Latin letters, for e-mails and slugs: `Щеголихин` → `schegolihin`."""
    return "".join(_LATIN.get(letter, letter) for letter in text.lower())


def client_of(random: SeededRandom, index: Ints) -> Ints:
    """Return the number of each order's buyer; buyers are numbered by their first order."""
    so_far = np.floor(index * NEW_BUYERS).astype(np.int64)
    is_new = so_far != np.floor((index - 1) * NEW_BUYERS)
    return np.where(is_new, so_far, random.below("returning", index, so_far + 1))


def clients_after(orders: int) -> int:
    """Return the number of buyers after a number of orders."""
    return int((orders - 1) * NEW_BUYERS) + 1 if orders else 0


def client_id(random: SeededRandom, number: Ints) -> Ints:
    """Return ids that rise with gaps, since many organisers share the service's counter."""
    return FIRST_CLIENT_ID + number * 7 + random.below("client-id", number, 7)


def client_number(id_: int) -> int:
    """Return the number of the buyer whose range of ids contains this id."""
    return (id_ - FIRST_CLIENT_ID) // 7


def clients(random: SeededRandom, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Return rows of `/clients`: id, email, and details with names and phone."""
    number = np.asarray(numbers, dtype=np.int64)
    ids = client_id(random, number).tolist()
    return [
        _client(number, id_, bits)
        for number, id_, bits in zip(
            number.tolist(), ids, random.bits("client", number).tolist(), strict=True
        )
    ]


def _client(number: int, id_: int, bits: int) -> dict[str, Any]:
    woman = bits & 1
    name = (_WOMEN if woman else _MEN)[bits >> 1 & 7]
    surname: str | None = _SURNAMES[(bits >> 4) % 24] + ("а" if woman else "")
    patronym = _PATRONYMS[(bits >> 12) % 3][woman] if bits >> 16 & 7 == 0 else None
    email = f"{latin(name)}.{latin(surname or '')}{number}@example.com"
    return {
        "id": id_,
        "email": email,
        "details": {
            "id": id_ * 3 // 4,
            "name": name,
            "middlename": patronym,
            "surname": surname if bits >> 20 & 15 else None,
            "phone": f"+7900{(bits >> 24) % 10**7:07d}",
            "vk_id": "",
            "facebook_id": "",
        },
    }
