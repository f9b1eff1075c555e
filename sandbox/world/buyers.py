"""Buyers: synthetic people with real-looking names, e-mails and phones."""

from collections.abc import Sequence
from functools import cache
from typing import Any

import numpy as np

from sandbox.world.seeded_random import Dice, Ints

FIRST_CLIENT_ID = 1_000_000
NEW_BUYERS = 0.74
"""One real organiser had 93,256 clients for 126,213 orders: the others came again."""

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
    """Transliterated for an e-mail or a slug: `Щеголихин` → `schegolihin`."""
    return "".join(_LATIN.get(letter, letter) for letter in text.lower())


def client_of(dice: Dice, index: Ints) -> Ints:
    """The number of each order's buyer; a new buyer's number is the number of buyers so far."""
    so_far = np.floor(index * NEW_BUYERS).astype(np.int64)
    is_new = so_far != np.floor((index - 1) * NEW_BUYERS)
    return np.where(is_new, so_far, dice.below("returning", index, so_far + 1))


def clients_after(orders: int) -> int:
    """How many buyers there are after so many orders."""
    return int((orders - 1) * NEW_BUYERS) + 1 if orders else 0


def client_id(dice: Dice, number: Ints) -> Ints:
    """Ids rise with gaps, as they do where many organisers share one service."""
    return FIRST_CLIENT_ID + number * 7 + dice.below("client-id", number, 7)


def client_number(id_: int) -> int:
    """The number whose stretch of ids holds this one."""
    return (id_ - FIRST_CLIENT_ID) // 7


def clients(dice: Dice, numbers: Sequence[int]) -> list[dict[str, Any]]:
    """Rows of `/clients`: id, email, details with names and phone."""
    number = np.asarray(numbers, dtype=np.int64)
    ids = client_id(dice, number).tolist()
    return [
        _client(number, id_, bits)
        for number, id_, bits in zip(
            number.tolist(), ids, dice.bits("client", number).tolist(), strict=True
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
