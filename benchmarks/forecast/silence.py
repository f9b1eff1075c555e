"""`python -m benchmarks.forecast.silence`: false alarms about sales that stop, and their delay.

The model is built as of several days. Each sale in its twelve weeks has the time at which a silence
after it would become unusual; a threshold knows only earlier weeks. It is a false alarm if a sale
was made later, or if the show had not ended by then. A cut is a time after which no sale is made.
"""

import json
import math
import random
from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime, time, timedelta
from statistics import quantiles
from zoneinfo import ZoneInfo

import typer
from clickhouse_connect.driver.client import Client

from .models import create, rendered
from .options import Constants, Seeds
from .server import empty_server
from .worlds import FAMILIES, Show, World, world

ZONE = ZoneInfo("Europe/Moscow")
MODEL = "int_qtickets_sales_gaps"
AS_OF = (date(2024, 4, 1), date(2024, 9, 15), date(2025, 1, 12), date(2025, 5, 1))
"""Days on which the model is built; the third sees the new year."""
CUTS = 4
"""Number of cuts of each show, and of each account, in the twelve weeks before such a day."""
WORTH_AN_ALARM = 12
"""A cut counts if at least so many orders come after it."""
FULL = 0.98
WEEK = 7 * 86400

BY_HOUR = (3, 2, 1, 1, 1, 2, 4, 7, 10, 13, 15, 16, 17, 16, 15, 15, 16, 17, 19, 21, 22, 19, 13, 7)
AT_WEEKENDS = (5, 4, 2, 1, 1, 1, 2, 3, 6, 10, 14, 17, 18, 18, 17, 16, 16, 16, 17, 18, 18, 16, 12, 8)
RUSH_EVERY = 15
"""A third of the orders of every fifteenth day come within an hour, as after a newsletter."""

TABLES = (
    "CREATE OR REPLACE TABLE {prefix}fact_qtickets_tickets (show_id Int64, sale_ts "
    "DateTime('Europe/Moscow'), sales_date Date ALIAS toDate(sale_ts), is_box_office UInt8, "
    "is_free UInt8) ORDER BY show_id",
    "CREATE OR REPLACE TABLE {prefix}dim_shows (show_id Int64, start_ts Nullable(DateTime("
    "'Europe/Moscow')), end_ts Nullable(DateTime('Europe/Moscow')), sale_end_ts Nullable(DateTime("
    "'Europe/Moscow')), is_deleted UInt8) ORDER BY show_id",
    "CREATE OR REPLACE TABLE {prefix}fact_qtickets_inventory_by_show (show_id Int64, "
    "sell_through Nullable(Float64)) ORDER BY show_id",
)


class TimedWorld:
    """A simulated account whose orders have a time of day."""

    def __init__(self, family: str, seed: int) -> None:
        """Draw every time from a seeded generator."""
        self.dice = random.Random(f"{family}:{seed}:times")
        account: World = world(family, seed)
        self.shows = {show.show_id: show for show in account.shows}
        self.entries: dict[int, list[tuple[date, int]]] = defaultdict(list)
        sold: dict[tuple[int, date], int] = defaultdict(int)
        for sale in account.sales:
            sold[sale.show_id, sale.sold] += sale.quantity
            self.entries[sale.show_id].append((sale.sold, sale.quantity))
            if sale.ended:
                self.entries[sale.show_id].append((sale.ended, -sale.quantity))
        self.orders: dict[int, list[float]] = defaultdict(list)
        for (show_id, day), tickets in sold.items():
            self.orders[show_id] += self._times(self.shows[show_id], day, math.ceil(tickets / 2))
        for times in self.orders.values():
            times.sort()
        self.orders[0] = sorted(at for times in self.orders.values() for at in times)

    def _times(self, show: Show, day: date, orders: int) -> Iterator[float]:
        weights = AT_WEEKENDS if day.weekday() >= 5 else BY_HOUR
        open_hours = 19 if day == show.end_date else 24
        rush = self.dice.randrange(9, 19) if self.dice.random() < 1 / RUSH_EVERY else None
        for _ in range(orders):
            (hour,) = self.dice.choices(range(open_hours), weights[:open_hours])
            if rush is not None and self.dice.random() < 1 / 3:
                hour = rush
            yield datetime.combine(day, time(hour), ZONE).timestamp() + self.dice.random() * 3599

    def sale_end(self, show_id: int) -> datetime:
        """Return when the sale of a show ends: at 19:00 of its last day."""
        return datetime.combine(self.shows[show_id].end_date, time(19), ZONE)

    def sell_through(self, show_id: int, day: date) -> float:
        """Return the share of the seats that are taken at the end of a day."""
        taken = sum(quantity for known, quantity in self.entries[show_id] if known <= day)
        return taken / self.shows[show_id].seats

    def fill(self, client: Client, prefix: str, now: datetime) -> None:
        """Create the tables that the model reads, with what is known at `now`."""
        first = now - timedelta(weeks=13)
        shows = [show for show in self.shows.values() if self.sale_end(show.show_id) > first]
        ids = [show.show_id for show in shows]
        for table in TABLES:
            client.command(table.format(prefix=prefix))
        client.insert(
            f"{prefix}dim_shows",
            [
                (
                    show.show_id,
                    datetime.combine(show.start_date, time(19), ZONE),
                    self.sale_end(show.show_id),
                    self.sale_end(show.show_id),
                    0,
                )
                for show in shows
            ],
        )
        client.insert(
            f"{prefix}fact_qtickets_tickets",
            [
                (show_id, datetime.fromtimestamp(at, ZONE), 0, 0)
                for show_id in ids
                for at in self.orders[show_id]
                if first.timestamp() < at <= now.timestamp()
            ],
        )
        yesterday = now.date() - timedelta(1)
        client.insert(
            f"{prefix}fact_qtickets_inventory_by_show",
            [(show_id, self.sell_through(show_id, yesterday)) for show_id in ids],
        )


@dataclass
class Alarms:
    """Alarms about the shows of an account, or about the whole account.

    Attributes:
        weeks: Weeks that were watched.
        false: Alarms about sales that had not stopped.
        cuts: Cuts after which there were enough orders to notice.
        hours: Hours from a cut to its alarm.
        lost: Orders that the cut had prevented by then.
    """

    weeks: float = 0
    false: int = 0
    cuts: int = 0
    hours: list[float] = field(default_factory=list)
    lost: list[float] = field(default_factory=list)

    def __add__(self, other: "Alarms") -> "Alarms":
        """Return both together."""
        return Alarms(
            self.weeks + other.weeks,
            self.false + other.false,
            self.cuts + other.cuts,
            self.hours + other.hours,
            self.lost + other.lost,
        )


Gaps = Sequence[tuple[int, int | None, int | None]]
"""Times of a sale, of its alarm and of the next sale, of one show."""


def measure(
    client: Client, family: str, seed: int, constants: dict[str, float]
) -> dict[str, Alarms]:
    """Return the alarms about the shows of a family, and about its account."""
    account = TimedWorld(family, seed)
    found = {"shows": Alarms(), "account": Alarms()}
    for day in AS_OF:
        now = datetime.combine(day, time(12), ZONE)
        prefix = f"{family}_{seed}_"
        account.fill(client, prefix, now)
        create(
            client, f"{prefix}{MODEL}", rendered(f"intermediate/{MODEL}", prefix, day, constants)
        )
        rows = client.query(
            "SELECT show_id, arraySort(groupArray((toUnixTimestamp(sale_ts),"
            " toUnixTimestamp(alarm_ts), toUnixTimestamp(next_sale_ts))))"
            f" FROM {prefix}{MODEL} GROUP BY show_id ORDER BY show_id"
        ).result_rows
        for show_id, gaps in rows:
            found["shows" if show_id else "account"] += _judge(account, show_id, gaps, now)
    return found


def _judge(account: TimedWorld, show_id: int, gaps: Gaps, now: datetime) -> Alarms:
    end = account.sale_end(show_id).timestamp() if show_id else math.inf
    until = min(now.timestamp(), end)
    first = gaps[0][0]
    orders = account.orders[show_id]
    found = Alarms(weeks=(until - first) / WEEK)
    for _, alarm, following in gaps:
        if alarm is None or alarm >= min(following or until, until):
            continue
        day = datetime.fromtimestamp(alarm, ZONE).date()
        # The check leaves shows out whose seats are taken at that time.
        found.false += not show_id or account.sell_through(show_id, day) < FULL
    for _ in range(CUTS):
        cut = first + account.dice.random() * (until - first)
        _, alarm, _ = gaps[bisect_right(gaps, cut, key=lambda gap: gap[0]) - 1]
        after = len(orders) - bisect_right(orders, cut)
        if after < WORTH_AN_ALARM:
            continue
        found.cuts += 1
        if alarm is not None and alarm < end:
            found.hours.append(max(0, alarm - cut) / 3600)
            found.lost.append(max(0, bisect_right(orders, alarm) - bisect_right(orders, cut)))
    return found


def table(found: dict[tuple[str, str], Alarms]) -> str:
    """Return Markdown: all families, then each of them."""
    lines = [
        "| of | accounts | weeks | false alarms | in 100 weeks | cuts | noticed |"
        " orders lost, median | of 90 % | hours, median | of 90 % |",
        "| --- " * 11 + "|",
    ]
    for scope in ("shows", "account"):
        own = {family: alarms for (of, family), alarms in found.items() if of == scope}
        for family, alarms in {"all": sum(own.values(), Alarms()), **own}.items():
            cells: list[str] = [
                f"{alarms.weeks:,.0f}",
                f"{alarms.false}",
                f"{100 * alarms.false / alarms.weeks:.2f}",
                f"{alarms.cuts}",
                f"{len(alarms.hours) / alarms.cuts:.0%}" if alarms.cuts else "",
            ]
            for values in (alarms.lost, alarms.hours):
                tenths = quantiles(values, n=10) if len(values) > 1 else [math.nan] * 9
                cells += [f"{tenths[4]:.0f}", f"{tenths[8]:.0f}"]
            lines.append(f"| {scope} | {family.replace('_', ' ')} | {' | '.join(cells)} |")
    return "\n".join(lines)


def main(
    seeds: Seeds = "101,102",
    constants: Constants = "{}",
) -> None:
    """Build the alarm on the worlds of `seeds`, cut their sales, and print what it says."""
    found: dict[tuple[str, str], Alarms] = defaultdict(Alarms)
    with empty_server() as client:
        for family in FAMILIES:
            for seed in seeds.split(","):
                measured = measure(client, family, int(seed), json.loads(constants))
                for scope, alarms in measured.items():
                    found[scope, family] += alarms
    typer.echo(table(found))


if __name__ == "__main__":
    typer.run(main)
