"""The schedule of a world: events with their shows, and the rows of `/events`."""

from dataclasses import dataclass, field
from datetime import datetime
from functools import lru_cache
from random import Random
from typing import Any

import numpy as np

from sandbox.world.seeded_random import Flags, Floats, Ints
from sandbox.world.timestamps import DAY, HOUR, MOSCOW, NEVER, iso, seconds

ZONES = 4
"""Number of zones of every show, each with one price."""
ZONE_SHARES = (0.4, 0.3, 0.2, 0.1)
HALL = (
    ("PARTERRE", "Партер"),
    ("AMPHITHEATRE", "Амфитеатр"),
    ("ЛОЖА-Б", "Ложа Б"),
    ("DANCEFLOOR", "Танцпол"),
)
ADMISSION = (
    ("vzroslyj-bilet-v-budni", "Взрослый билет (в будни)"),
    ("detskij-bilet-v-budni", "Детский билет (в будни)"),
    ("vzroslyj-bilet-v-vyhodnye", "Взрослый билет (в выходные)"),
    ("detskij-bilet-v-vyhodnye", "Детский билет (в выходные)"),
)
TIERED = ("concert", "masterclass")
"""Genres with price tiers: cheaper for the first third of the sale, dearer for its last days."""
LONGEST_SALE = 50 * DAY

_MONTHS = (
    "январь", "февраль", "март", "апрель", "май", "июнь", "июль", "август", "сентябрь", "октябрь",
    "ноябрь", "декабрь",
)  # fmt: skip

# Id, name as organisers type it, time zone, latitude, longitude.
CITIES = (
    (1, "Москва", "Europe/Moscow", 55.7558, 37.6176),
    (2, "Санкт-Петербург", "Europe/Moscow", 59.9386, 30.3141),
    (65, "Новосибирск ", "Asia/Novosibirsk", 55.0302, 82.9204),
    (54, "Екатеринбург", "Asia/Yekaterinburg", 56.8389, 60.6057),
    (1, "москва", "Europe/Moscow", 55.7558, 37.6176),
    (43, "Казань", "Europe/Moscow", 55.7963, 49.1088),
    (24, "Томск", "Asia/Krasnoyarsk", 56.4595, 84.9655),
    (75, "ВЛАДИВОСТОК", "Asia/Vladivostok", 43.1155, 131.8855),
    (22, "Калининград", "Europe/Kaliningrad", 54.7104, 20.4522),
    (65, "Новосибирск", "Asia/Novosibirsk", 55.0302, 82.9204),
)
ASTANA = (300, "Астана", "Asia/Almaty", 51.1694, 71.4491)


@dataclass(frozen=True)
class Genre:
    """A kind of event: its titles, type id, price level in rubles and popularity."""

    name: str
    titles: tuple[str, ...]
    type_id: int
    price: int
    popularity: float
    shows: tuple[int, ...]


GENRES = (
    Genre("concert", ("Симфония света", "Джаз на крыше", "Хиты девяностых", "Органный вечер",
                      "Рок-ночь", "Музыка кино"), 3, 1800, 1.6, (1, 1, 2)),
    Genre("theatre", ("Вишнёвый сад", "Ревизор", "Три сестры", "Мастер-класс комедии",
                      "Чайка"), 5, 1100, 1.2, (2, 3, 4, 6, 9)),
    Genre("exhibition", ("Выставка «Город из кубиков»", "Выставка «Космос рядом»",
                         "Музей иллюзий", "Парк динозавров"), 11, 490, 1.5, (1, 1, 2)),
    Genre("children", ("Ёлка в цирке", "Шоу мыльных пузырей", "Бумажное шоу", "Фиксики на льду",
                       "Щелкунчик"), 3, 700, 1.0, (6, 9, 13)),
    Genre("masterclass", ("Слайм своими руками", "Рисуем маслом", "Шоколадная мастерская"),
          7, 600, 0.6, (3, 4, 6)),
)  # fmt: skip


@dataclass
class Show:
    """One date of an event. Times are in seconds, prices in units of the event's currency.

    With price tiers, tickets cost a fifth less until `cheaper_until` and a fifth more from
    `dearer_from` on.
    """

    id: int
    event_id: int
    created: int
    start: int
    finish: int
    sale_from: int
    sale_until: int
    prices: tuple[int, ...]
    weight: float
    hall: bool
    cheaper_until: int = 0
    dearer_from: int = NEVER
    deleted: int = NEVER

    @property
    def long(self) -> bool:
        """Whether it is an exhibition, which lasts weeks and sells tickets until it ends."""
        return self.finish - self.start > 2 * DAY

    def demand(self, timestamp: Floats) -> Floats:
        """Return the relative demand: a peak at first, then little, then a rush to the date.

        About half of the tickets are sold in the last week. Before the price rises, people hurry.
        """
        since, left = (timestamp - self.sale_from) / DAY, (self.sale_until - timestamp) / DAY
        if self.long:
            demand = 0.4 + 0.6 * (timestamp >= self.start) + np.exp(-left / 4)
        else:
            demand = 0.1 + 0.8 * np.exp(-since / 3) + 3.0 * np.exp(-left / 4)
        for rise in (self.cheaper_until, self.dearer_from):
            hurry = np.where(timestamp < rise, np.exp(-np.abs(rise - timestamp) / DAY), 0)
            demand = demand + 0.4 * hurry
        return np.asarray(self.weight * demand, dtype=np.float64)

    def prices_at(self, timestamp: int) -> tuple[int, ...]:
        """Return the price of each zone at a time."""
        prices = price_at(
            np.array(self.prices), np.array(timestamp), self.cheaper_until, self.dearer_from
        )
        return tuple(prices.tolist())

    @property
    def sale_finish(self) -> int:
        return self.finish if self.long else self.start - HOUR

    def short_row(self, now: int) -> dict[str, Any]:
        """Return the short form that `/discounts` contains."""
        deleted = self.deleted if self.deleted <= now else NEVER
        closed = self.sale_finish if self.sale_finish <= now else self.created
        return {
            "id": self.id,
            "is_active": int(deleted == NEVER and (self.finish > now or self.id % 3 > 0)),
            "event_id": self.event_id,
            "sale_start_date": None,
            "sale_finish_date": iso(self.sale_finish),
            "open_date": iso(self.start if self.long else self.start - HOUR),
            "start_date": iso(self.start),
            "finish_date": iso(self.finish),
            "created_at": iso(self.created),
            "updated_at": iso(deleted if deleted < NEVER else closed),
            "deleted_at": iso(deleted),
        }

    def zones(self) -> tuple[tuple[str, str], ...]:
        """Return (zone id, name) of the four zones."""
        return HALL if self.hall else ADMISSION

    def price_rows(self, now: int) -> list[dict[str, Any]]:
        return [
            {
                "id": self.id * 5 + zone,
                "default_price": price,
                "color_theme": str(zone + 1),
                "modifiers": [],
            }
            for zone, price in enumerate(self.prices_at(now))
        ]

    def row(self, now: int) -> dict[str, Any]:
        """Return a show as in its event: about 70 KB if it has a hall."""
        short = self.short_row(now)
        del short["event_id"]
        priced = sorted(self.price_rows(now), key=lambda row: row["default_price"])
        deleted = short["deleted_at"] is not None
        return {
            "id": short.pop("id"),
            "name": "",
            "is_active": short.pop("is_active"),
            **{name: short.pop(name) for name in list(short)[:5]},
            "scheme_properties": scheme_properties(self.id, self.hall, deleted),
            "prices": self.price_rows(now),
            "min_price": None if deleted else priced[0],
            "max_price": None if deleted else priced[-1],
            **short,
        }


def price_at(prices: Any, timestamp: Any, cheaper_until: Any, dearer_from: Any) -> Ints:
    """Return prices in their tier, in tens of the currency."""
    factor = np.where(timestamp < cheaper_until, 8, np.where(timestamp >= dearer_from, 12, 10))
    price: Ints = prices * factor // 100 * 10
    return price


_ROWS = [*(str(row) for row in range(1, 41)), "11а", "11б"]
_PARTERRE = [f"PARTERRE-{row};{place}" for row in _ROWS for place in range(1, 33)]


@lru_cache(maxsize=128)
def scheme_properties(show_id: int, hall: bool, closed: bool) -> dict[str, Any]:
    """Return the organiser's settings of a seating plan, keyed by names of zones, rows and seats.

    They have the irregularities of real ones: `rows` of a zone is an object in one show and `[""]`
    in another, rows have names such as `11а`, and flags are texts.
    """
    nothing = {"enabled": ""}
    if not hall:
        slugs = [slug for slug, _ in ADMISSION]
        flags = {"max_quantity": "", "hot": "", "show_free_quantity": ""}
        opened = {"opened": "0", "was_opened": "1", "rows": {"1": {"was_opened": "1"}}}
        zone = {"disabled": "0", "spread": nothing}
        return {
            "admin": {"zones": dict.fromkeys(slugs, opened)},
            "zones": {
                slug: {**zone, "price_id": str(show_id * 5 + number), "rows": [""]}
                for number, slug in enumerate(slugs)
            },
            "seats": {f"{slug}-1;1": flags for slug in slugs},
        }
    plan: dict[str, Any] = {
        "admin": {"zones": {slug: {"opened": "1", "was_opened": "1"} for slug, _ in HALL}},
        "zones": {},
    }
    for number, (slug, _) in enumerate(HALL):
        price_id = str(show_id * 5 + number)
        row = {"disabled": "0", "price_id": price_id, "spread": nothing}
        plan["zones"][slug] = {
            "disabled": "0",
            "price_id": "",
            "label": "",
            "rows": [""] if closed or slug == "DANCEFLOOR" else dict.fromkeys(_ROWS, row),
            "spread": nothing,
        }
    if not closed:
        priced = {"price_id": str(show_id * 5)}
        kept_back = {"disabled": "1", "spread": {"users": ["107610"], "enabled": "1"}}
        plan["seats"] = {
            seat: priced if number % 9 else kept_back for number, seat in enumerate(_PARTERRE)
        }
    return plan


@dataclass
class Event:
    """An event with its shows. Times are in seconds."""

    id: int
    name: str
    genre: Genre
    city: tuple[int, str, str, float, float]
    currency: str
    created: int
    deleted: int
    sells_out: bool
    shows: list[Show] = field(default_factory=list)

    def short_row(self, now: int) -> dict[str, Any]:
        """Return the short form that `/discounts` contains."""
        deleted = self.deleted if self.deleted <= now else NEVER
        over = max(show.finish for show in self.shows) + 2 * DAY <= now
        return {
            "id": self.id,
            "is_active": int(not over and deleted == NEVER),
            "name": self.name,
            "deleted_at": iso(deleted),
        }

    def row(self, now: int, with_shows: bool = True) -> dict[str, Any]:
        """Return a row of `/events`; without shows it is fast and has all columns for filters."""
        city_id, city, zone, latitude, longitude = self.city
        short = self.short_row(now)
        over = max(show.finish for show in self.shows) + 2 * DAY
        slug = f"meropriyatie-{self.id}"
        return {
            **{name: short[name] for name in ("id", "is_active", "name")},
            "scheme_id": 11707 if self.shows[0].hall else 9191,
            "currency_id": self.currency,
            "place_name": 'ДК "Пример"' if self.shows[0].hall else 'ТЦ "Пример"',
            "place_address": "ул. Примерная, 1",
            "place_description": "",
            "city_id": city_id,
            "description": "Описание мероприятия.\r\nВторая строка описания.",
            "site_url": "http://tickets.example.ru/",
            "external_id": None,
            "ticket_id": 35,
            "mail_template_id": 31,
            "age": f"{self.id % 4 * 6}+",
            "shows": [show.row(now) for show in self.shows] if with_shows else [],
            "payments": [
                {
                    "id": 12642,
                    "is_active": True,
                    "name": "ИП Дерюгина С.Я.",
                    "handler": "payanyway",
                    "agree_url": "https://qtickets.ru/legal/example/12642",
                }
            ],
            "poster": {
                "id": self.id * 3,
                "content_type": "image/jpeg",
                "file_size": 90_000 + self.id % 977,
                "url": f"https://storage.example.ru/posters/{self.id * 3}.jpg",
            },
            "event_type_id": self.genre.type_id,
            "city": {"id": city_id, "name": city, "timezone": zone},
            "ticket": {"id": 35, "is_active": 1, "name": "Шаблон 35"},
            "mail_template": {"id": 31, "is_active": 1, "name": "Шаблон 31"},
            "slug": slug,
            "place_coordinates": [latitude, longitude],
            "url": f"https://city.qtickets.events/{slug}",
            "created_at": iso(self.created),
            "updated_at": iso(
                max(t for t in (self.created, over, self.deleted) if t <= max(now, self.created))
            ),
            "deleted_at": short["deleted_at"],
        }


class Schedule:
    """All events of a world, oldest first, and columns of their shows."""

    def __init__(self, seed: int, count: int, start: int, end: int, tenge_event: bool) -> None:
        span = end + 45 * DAY - start
        self.events = [
            _make_event(Random(f"{seed}/event/{number}"), number, start, span / count)
            for number in range(count)
        ]
        _close_gaps(self.events, start, end)
        self.events.sort(key=lambda event: event.created)
        if tenge_event:
            event = self.events[min(3, count - 1)]
            event.currency, event.city = "KZT", ASTANA
            for show in event.shows:
                show.prices = tuple(price * 5 for price in show.prices)
        self.shows: list[Show] = []
        event_of, following = [], []
        for number, event in enumerate(self.events):
            event.id = 24_000 + 37 * number + seed % 37
            for show in event.shows:
                show.id, show.event_id = 152_000 + 11 * len(self.shows), event.id
                event_of.append(number)
                self.shows.append(show)
                following.append(len(self.shows) if show is not event.shows[-1] else -1)
        self.event_of: Ints = np.array(event_of)
        self.next_show: Ints = np.array(following)
        self.prices: Ints = np.array([show.prices for show in self.shows], dtype=np.int64)
        self.start: Ints = np.array([show.start for show in self.shows])
        self.finish: Ints = np.array([show.finish for show in self.shows])
        self.sale_from: Ints = np.array([show.sale_from for show in self.shows])
        self.sale_until: Ints = np.array([show.sale_until for show in self.shows])
        self.cheaper_until: Ints = np.array([show.cheaper_until for show in self.shows])
        self.dearer_from: Ints = np.array([show.dearer_from for show in self.shows])
        self.show_id: Ints = np.array([show.id for show in self.shows])
        self.event_id: Ints = np.array([event.id for event in self.events])
        self.sells_out: Flags = np.array([event.sells_out for event in self.events])
        self.currencies = np.array([event.currency for event in self.events], dtype=object)
        self.number_of_show = {show.id: number for number, show in enumerate(self.shows)}


def _make_event(random: Random, number: int, start: int, spacing: float) -> Event:
    genre = GENRES[number % len(GENRES)]
    first = start + (number + random.uniform(0.1, 0.9)) * spacing
    midnight = int((first + 3 * HOUR) // DAY * DAY) - 3 * HOUR
    lead = random.randint(30, 50) * DAY
    opening = midnight - lead
    sells_out = number % 8 == 2
    popularity = genre.popularity * random.lognormvariate(0, 0.6)
    prices = [round(genre.price * random.uniform(0.7, 1.6) / 50) * 50 - 10 * (number % 2)]
    prices += [round(prices[0] * factor / 10) * 10 for factor in (0.8, 1.3, 1.8)]
    event = Event(
        id=0,
        name=f"{genre.titles[number // 5 % len(genre.titles)]}, {_month(midnight)}",
        genre=genre,
        city=CITIES[number % len(CITIES)],
        currency="RUB",
        created=opening - random.randint(1, 5) * DAY - random.randint(0, 20 * HOUR),
        deleted=NEVER,
        sells_out=sells_out,
    )
    count = random.choice(genre.shows)
    for position in range(count):
        if genre.name == "exhibition":
            length = random.randint(14, 24) * DAY // count
            begin = midnight + 10 * HOUR + position * length
            finish = begin + length - 2 * HOUR
            sale_from, sale_until = max(opening, finish - LONGEST_SALE), finish
        else:
            per_day = 3 if genre.name == "children" else 1
            begin = midnight + position // per_day * DAY * (1 if per_day > 1 else 2)
            begin += (19 * HOUR) if per_day == 1 else (10 + position % 3 * 3) * HOUR
            finish = begin + random.choice((90, 120, 150)) * 60
            sale_from, sale_until = max(opening, begin - LONGEST_SALE), begin
        if sells_out:
            sale_until -= random.randint(3, 9) * DAY
        event.shows.append(
            Show(
                id=0,
                event_id=0,
                created=event.created - 1,
                start=begin,
                finish=finish,
                sale_from=sale_from,
                sale_until=sale_until,
                prices=tuple(prices),
                weight=popularity / count**0.5 * random.uniform(0.6, 1.4),
                hall=genre.name in ("concert", "theatre", "children"),
            )
        )
    if number % 9 == 4:
        event.deleted = event.shows[-1].finish + random.randint(5, 40) * DAY
    if number % 18 == 13:  # withdrawn while on sale
        event.deleted = event.shows[0].start - random.randint(4, 12) * DAY
    if count >= 4 and number % 10 in (1, 3):
        event.shows[-1].deleted = event.shows[-1].start - random.randint(4, 12) * DAY
    for show in event.shows:
        show.sale_until = min(show.sale_until, show.deleted, event.deleted)
        if genre.name in TIERED:
            show.cheaper_until = show.sale_from + (show.sale_until - show.sale_from) // 3
            show.dearer_from = show.sale_until - 3 * DAY
    return event


def _month(timestamp: int) -> str:
    day = datetime.fromtimestamp(timestamp, MOSCOW)
    return f"{_MONTHS[day.month - 1]} {day.year}"


def _close_gaps(events: list[Event], start: int, end: int) -> None:
    """Open sales earlier where needed, so that a show is on sale at any time."""
    covered = start
    order = [(show, event) for event in events for show in event.shows]
    for show, event in sorted(order, key=lambda pair: pair[0].sale_from):
        if show.sale_from > covered - DAY and show.sale_until > covered and covered < end:
            show.sale_from = min(show.sale_from, covered - DAY)
            event.created = min(event.created, show.sale_from - DAY)
            show.created = event.created - 1
        if show.sale_from <= covered:
            covered = max(covered, show.sale_until - DAY // 2)


def is_on_sale(show: dict[str, Any], timestamp: int) -> bool:
    """Return whether a show of a row of `/events` sells tickets at a given time."""
    return bool(
        show["is_active"]
        and not show["deleted_at"]
        and seconds(show["sale_finish_date"]) > timestamp
    )
