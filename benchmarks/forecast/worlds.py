"""Simulated accounts of eleven kinds, to measure forecasts of sales.

Every number is drawn from a seeded generator. A world is only shows and the days on which their
tickets were sold and given back: models see no demand, curve or other parameter of it.
"""

import math
import random
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from datetime import date, timedelta

FIRST_SHOW = date(2023, 9, 1)
LAST_SHOW = date(2025, 6, 30)
WEEKDAYS = (0.9, 0.92, 0.95, 1.0, 1.1, 1.1, 1.03)


@dataclass(frozen=True)
class Show:
    """A show: one date, or one run, of an event, with the seats of its hall."""

    show_id: int
    event_id: str
    city: str
    on_sale: date
    start_date: date
    end_date: date
    seats: int


@dataclass(frozen=True)
class Sale:
    """Tickets of a show sold on one day; `ended` is the day when they were given back, if ever."""

    show_id: int
    sold: date
    ended: date | None
    quantity: int
    price: int


@dataclass
class World:
    """One account: shows and sales."""

    family: str
    shows: list[Show] = field(default_factory=list)
    sales: list[Sale] = field(default_factory=list)


@dataclass(frozen=True)
class Demand:
    """What the buyers of one show do; known to the simulation alone."""

    tickets: float
    peak: float  # share of buyers in the days after sales open
    peak_days: float
    rush: float  # share of buyers in the last days
    rush_days: float
    refunds: float = 0.02
    refund_delay: float = 10.0
    noise: float = 0.35  # of a day
    wave: float = 0.25  # of a week
    price: int = 1000
    group: float = 2.0  # mean tickets of an order


def poisson(dice: random.Random, mean: float) -> int:
    """Return a Poisson number, by the normal distribution above 50."""
    if mean > 50:
        return max(0, round(dice.gauss(mean, math.sqrt(mean))))
    limit, count, product = math.exp(-mean), 0, dice.random()
    while product > limit:
        count += 1
        product *= dice.random()
    return count


def sell(dice: random.Random, show: Show, demand: Demand) -> Iterator[Sale]:
    """Yield the sales of `show`, day by day, until its hall is full."""
    days = (show.end_date - show.on_sale).days
    weights = []
    wave = 0.0
    for day in range(days + 1):
        if day % 7 == 0:
            wave = 0.6 * wave + dice.gauss(0, demand.wave)
        left = days - day
        early = math.exp(-day / demand.peak_days) / demand.peak_days
        late = math.exp(-left / demand.rush_days) / demand.rush_days
        base = 1 / (days + 1)
        weight = demand.peak * early + demand.rush * late
        weight += max(0.0, 1 - demand.peak - demand.rush) * base
        weekday = WEEKDAYS[(show.on_sale + timedelta(day)).weekday()]
        weights.append(weight * weekday * math.exp(wave + dice.gauss(0, demand.noise)))
    scale = demand.tickets / sum(weights) if days >= 3 else demand.tickets
    free = show.seats
    back: dict[date, int] = {}
    for day, weight in enumerate(weights):
        today = show.on_sale + timedelta(day)
        free += back.pop(today, 0)
        orders = poisson(dice, weight * scale / demand.group)
        wanted = sum(1 + poisson(dice, demand.group - 1) for _ in range(orders))
        kept = min(wanted, free)
        free -= kept
        ends: dict[date | None, int] = {}
        refunds = poisson(dice, kept * demand.refunds)
        for _ in range(min(refunds, kept)):
            ended = today + timedelta(int(dice.expovariate(1 / demand.refund_delay)))
            ended = min(ended, show.end_date)
            ends[ended] = ends.get(ended, 0) + 1
            back[ended] = back.get(ended, 0) + (1 if ended > today else 0)
        ends[None] = kept - sum(ends.values())
        for when, quantity in ends.items():
            if quantity:
                yield Sale(show.show_id, today, when, quantity, demand.price)


class Account:
    """Collects the shows of one account."""

    def __init__(self, family: str, seed: int) -> None:
        """Start an empty account; `family` and `seed` decide every number."""
        self.dice = random.Random(f"{family}:{seed}")
        self.world = World(family)

    def lognormal(self, middle: float, spread: float) -> float:
        """Return a number around `middle`."""
        return middle * math.exp(self.dice.gauss(0, spread))

    def day(self, first: date = FIRST_SHOW, last: date = LAST_SHOW) -> date:
        """Return a day of a show, more often at the end of a week."""
        while True:
            found = first + timedelta(self.dice.randrange((last - first).days))
            if found.weekday() >= 3 or self.dice.random() < 0.35:
                return found

    def show(
        self,
        event: str,
        city: str,
        start: date,
        ahead: float,
        seats: int,
        demand: Demand,
        run_days: int = 0,
    ) -> None:
        """Add a show that goes on sale `ahead` days before its start."""
        show = Show(
            len(self.world.shows) + 1,
            event,
            city,
            start - timedelta(max(2, round(ahead))),
            start,
            start + timedelta(run_days),
            seats,
        )
        self.world.shows.append(show)
        self.world.sales.extend(sell(self.dice, show, demand))


def _season(day: date) -> float:
    return 1 + 0.25 * math.cos(2 * math.pi * (day.timetuple().tm_yday - 350) / 365)


def repertory(account: Account) -> None:
    """A theatre: thirty plays in two halls, each played again and again."""
    dice = account.dice
    for play in range(30):
        seats = dice.choice((120, 450))
        level = account.lognormal(0.55 * seats, 0.45)
        rush = dice.uniform(0.3, 0.55)
        for _ in range(dice.randint(4, 14)):
            day = account.day()
            tickets = account.lognormal(level * _season(day), 0.3)
            demand = Demand(
                tickets, 0.12, 5, rush, dice.uniform(4, 7), price=dice.choice((600, 900))
            )
            account.show(f"play{play}", "moscow", day, dice.uniform(35, 65), seats, demand)


def _concerts(account: Account, *, early: bool) -> None:
    dice = account.dice
    cities = ["moscow", "kazan", "perm", "omsk", "tula", "ufa"]
    size = {city: account.lognormal(1, 0.4) for city in cities}
    for tour in range(26):
        level = account.lognormal(380, 0.6)
        for city in dice.sample(cities, dice.randint(3, 6)):
            seats = dice.choice((400, 800, 1500, 2500))
            tickets = account.lognormal(level * size[city], 0.35)
            if early:
                shape = Demand(tickets, dice.uniform(0.35, 0.55), 6, dice.uniform(0.12, 0.25), 5)
                ahead = dice.uniform(70, 150)
            else:
                shape = Demand(tickets, dice.uniform(0.03, 0.1), 6, dice.uniform(0.5, 0.75), 5.5)
                ahead = dice.uniform(40, 90)
            account.show(f"tour{tour}", city, account.day(), ahead, seats, shape)


def early_concerts(account: Account) -> None:
    """Concerts whose fans buy when sales open."""
    _concerts(account, early=True)


def late_concerts(account: Account) -> None:
    """Concerts whose buyers decide in the last week."""
    _concerts(account, early=False)


def children(account: Account) -> None:
    """Children's shows: small halls, families, a rush in the last days, the new year."""
    dice = account.dice
    for tale in range(18):
        level = account.lognormal(90, 0.35)
        city = dice.choice(("moscow", "tver", "tula"))
        for _ in range(dice.randint(6, 16)):
            day = account.day()
            high = 1.7 if day.month == 12 or (day.month == 1 and day.day < 9) else 1.0
            demand = Demand(
                account.lognormal(level * high, 0.35),
                0.08,
                4,
                dice.uniform(0.5, 0.7),
                4,
                refunds=0.05,
                refund_delay=5,
                group=3.0,
                price=700,
            )
            account.show(f"tale{tale}", city, day, dice.uniform(25, 50), 220, demand)


def exhibition_days(account: Account) -> None:
    """Exhibitions with a ticket for one day: many small shows, bought late."""
    for number in range(4):
        level = account.lognormal(70, 0.4)
        first = account.day(FIRST_SHOW, LAST_SHOW - timedelta(100))
        for index in range(90):
            day = first + timedelta(index)
            weekend = 1.9 if day.weekday() >= 5 else 1.0
            fading = 1 + 0.5 * math.exp(-index / 15)
            tickets = account.lognormal(level * weekend * fading, 0.3)
            demand = Demand(tickets, 0.05, 5, 0.7, 3, price=500)
            account.show(f"exhibition{number}", "moscow", day, min(45, 20 + index / 2), 400, demand)


def exhibition_runs(account: Account) -> None:
    """Exhibitions sold as one show that runs for weeks."""
    dice = account.dice
    for number in range(110):
        run = dice.randint(14, 60)
        tickets = account.lognormal(28 * run, 0.55)
        demand = Demand(tickets, 0.08, 8, dice.uniform(0.1, 0.25), 8, price=400)
        city = dice.choice(("moscow", "kazan", "sochi"))
        account.show(
            f"run{number % 40}", city, account.day(), dice.uniform(10, 40), 100000, demand, run
        )


def festivals(account: Account) -> None:
    """Festivals with tiers: sales rise before each rise of the price."""
    dice = account.dice
    for number in range(45):
        level = account.lognormal(900, 0.6)
        for year in range(2):
            day = account.day(
                FIRST_SHOW + timedelta(300 * year), LAST_SHOW - timedelta(300 * (1 - year))
            )
            demand = Demand(
                account.lognormal(level, 0.3),
                dice.uniform(0.15, 0.3),
                4,
                dice.uniform(0.2, 0.35),
                6,
                wave=0.5,
                price=2500,
            )
            account.show(
                f"festival{number}",
                dice.choice(("moscow", "sochi")),
                day,
                dice.uniform(90, 170),
                6000,
                demand,
            )


def sell_outs(account: Account) -> None:
    """Halls that are too small: half of the shows sell out, some weeks before."""
    dice = account.dice
    for number in range(28):
        seats = dice.choice((150, 300, 600))
        level = account.lognormal(1.1 * seats, 0.35)
        for _ in range(dice.randint(4, 9)):
            demand = Demand(
                account.lognormal(level, 0.3), dice.uniform(0.2, 0.4), 6, dice.uniform(0.2, 0.4), 6
            )
            account.show(
                f"hit{number}",
                dice.choice(("moscow", "kazan")),
                account.day(),
                dice.uniform(40, 90),
                seats,
                demand,
            )


def refunds(account: Account) -> None:
    """Every fifth ticket comes back, in some shows half of them."""
    dice = account.dice
    for number in range(24):
        level = account.lognormal(260, 0.5)
        for _ in range(dice.randint(4, 9)):
            demand = Demand(
                account.lognormal(level, 0.3),
                0.2,
                6,
                dice.uniform(0.3, 0.5),
                6,
                refunds=min(0.5, account.lognormal(0.18, 0.5)),
                refund_delay=14,
            )
            account.show(
                f"show{number}",
                dice.choice(("moscow", "omsk")),
                account.day(),
                dice.uniform(40, 80),
                700,
                demand,
            )


def growth(account: Account) -> None:
    """An account that goes to new cities and sells more every season."""
    dice = account.dice
    cities = [f"city{number}" for number in range(16)]
    size = {city: account.lognormal(1, 0.5) for city in cities}
    for number in range(150):
        day = account.day()
        age = (day - FIRST_SHOW).days / 365
        known = cities[: 2 + int(age * 7)]
        city = dice.choice(known)
        tickets = account.lognormal(170 * 1.5**age * size[city], 0.4)
        demand = Demand(tickets, 0.15, 6, dice.uniform(0.35, 0.55), 6)
        account.show(f"programme{number % 12}", city, day, dice.uniform(30, 75), 1200, demand)


def mixture(account: Account) -> None:
    """Everything in one account and the same cities."""
    dice = account.dice
    for number in range(70):
        kind = dice.randrange(4)
        city = dice.choice(("moscow", "kazan"))
        level = account.lognormal((60, 200, 700, 1500)[kind], 0.4)
        seats = (200, 500, 2000, 6000)[kind]
        for _ in range(dice.randint(1, 6)):
            early = (0.05, 0.15, 0.4, 0.25)[kind]
            late = (0.65, 0.45, 0.2, 0.3)[kind]
            ahead = (30, 50, 110, 140)[kind] * dice.uniform(0.7, 1.3)
            demand = Demand(account.lognormal(level, 0.3), early, 5, late, (4, 5, 6, 6)[kind])
            account.show(f"mixed{number}", city, account.day(), ahead, seats, demand)


FAMILIES: dict[str, Callable[[Account], None]] = {
    "repertory": repertory,
    "early_concerts": early_concerts,
    "late_concerts": late_concerts,
    "children": children,
    "exhibition_days": exhibition_days,
    "exhibition_runs": exhibition_runs,
    "festivals": festivals,
    "sell_outs": sell_outs,
    "refunds": refunds,
    "growth": growth,
    "mixture": mixture,
}


def world(family: str, seed: int) -> World:
    """Return the account of `family` that `seed` decides."""
    account = Account(family, seed)
    FAMILIES[family](account)
    return account.world
