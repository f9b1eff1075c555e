"""The world: what exists, at which moment, and what can be done to it on purpose."""

import time
from collections.abc import Iterator
from datetime import datetime
from itertools import islice
from threading import RLock
from typing import Any

import numpy as np

from sandbox.search.query import Query
from sandbox.search.search import Search, Table
from sandbox.search.tables import ClientsTable, History, ListTable, OrdersTable, TicketsTable
from sandbox.world.buyers import client_of, clients
from sandbox.world.demand import Demand
from sandbox.world.edits import Changes, cancelled, refunded, restored, scanned
from sandbox.world.events import ZONE_SHARES, Event, Schedule
from sandbox.world.orders import Order, Row, Ticket, order_row, seat_of, short_order
from sandbox.world.promotions import COLOURS, Promotions
from sandbox.world.seats import Seating, barcode_rows
from sandbox.world.seeded_random import Dice
from sandbox.world.timelines import (
    EXCHANGE_EVERY,
    FIRST_ORDER_ID,
    MAX_TICKETS,
    TICKETS_PER_ID,
    Blueprint,
)
from sandbox.world.timestamps import DAY, HOUR, MOSCOW, NEVER, seconds

YEAR = 365.25 * DAY
EVENTS_PER_YEAR = 25
Moment = datetime | str | int


class Clock:
    """The world's clock: the real one until it is set."""

    def __init__(self, now: Moment | None) -> None:
        self._now = None if now is None else seconds(now)

    @property
    def moment(self) -> int:
        """Seconds since 1970."""
        return int(time.time()) if self._now is None else self._now

    @property
    def now(self) -> datetime:
        return datetime.fromtimestamp(self.moment, MOSCOW)

    @now.setter
    def now(self, moment: Moment | None) -> None:
        self._now = None if moment is None else seconds(moment)

    def advance(self, hours: float) -> None:
        """Sets the clock forward; from then on it stands still."""
        self._now = self.moment + round(hours * HOUR)


class World(Clock):
    """A generated organiser: `orders` orders spread over [start, end), deterministic by `seed`.

    Orders made after `now` aren't visible yet. `events` is the number of events (by default 25,
    more for long or large worlds), `tenge_event` sells one of them in KZT.
    """

    def __init__(
        self,
        orders: int = 5000,
        seed: int = 1,
        *,
        start: Moment = "2026-01-01",
        end: Moment = "2027-01-01",
        now: Moment | None = None,
        events: int | None = None,
        tenge_event: bool = False,
    ) -> None:
        super().__init__(now)
        self.plan = blueprint(
            orders,
            seed,
            start=seconds(start),
            end=seconds(end),
            events=events,
            tenge_event=tenge_event,
        )
        self.changes = Changes()
        self.history = History(self.plan, self.changes)
        self.seating = Seating(self.history)
        self.search = Search()
        self.lock = RLock()
        self.tables: dict[str, Table] = {
            table.name: table
            for table in (
                OrdersTable(self.history),
                TicketsTable(self.history),
                ClientsTable(self.history),
                self._events_table(),
                ListTable("discounts", 100, *_list(self.plan.promotions.discount_rows)),
                ListTable("promo-codes", 500, *_list(self.plan.promotions.code_rows)),
            )
        }

    def _events_table(self) -> ListTable:
        events = {event.id: event for event in self.plan.schedule.events}
        return ListTable(
            "events",
            10,
            events[next(iter(events))].row(0, with_shows=False),
            lambda now: [event.row(now, with_shows=False) for event in self.visible_events(now)],
            lambda row, now: events[row["id"]].row(now),
        )

    # -- reading ------------------------------------------------------------------------------

    def visible_events(self, now: int) -> list[Event]:
        return [event for event in self.plan.schedule.events if event.created <= now]

    def orders(self, lo: int = 0, hi: int | None = None) -> list[Row]:
        """Full rows of the visible orders number lo … hi - 1, by id, as `/orders` gives them."""
        return list(islice(self._iterate(lo), None if hi is None else max(hi - lo, 0)))

    def _iterate(self, offset: int) -> Iterator[Row]:
        now, table = self.moment, self.tables["orders"]
        while True:
            keys, _ = self.search.keys(table, Query(), now, offset, 1000)
            if not keys:
                return
            yield from table.rows(keys, now)
            offset += len(keys)

    def count(self) -> int:
        """Number of visible orders."""
        return self.search.keys(self.tables["orders"], Query(), self.moment, 0, 0)[1]

    def order(self, order_id: int) -> Row:
        """One order as it is now. Raises KeyError."""
        row = self.history.order(order_id, self.moment)
        if row is None:
            raise KeyError(order_id)
        return row

    def events(self) -> list[Row]:
        """All visible events in full, as `/events` gives them."""
        now = self.moment
        return [event.row(now) for event in self.visible_events(now)]

    def seats(self, show_id: int) -> list[Row] | None:
        """All seats of a show as they are now, None if there is no such show."""
        with self.lock:
            return self.seating.rows(show_id, self.moment)

    def barcodes(self, show_id: int) -> list[Row] | None:
        """The valid tickets of a show, None if there is no such show."""
        if show_id not in self.plan.schedule.number_of_show:
            return None
        with self.lock:
            now = self.moment
            ids = self.seating.orders_of(show_id, now)
            return barcode_rows(self.history.order_rows(ids, now), show_id)

    def color_themes(self) -> list[Row]:
        return [{"id": number, "color": colour} for number, colour in COLOURS.items()]

    def personal_data(self, limit: int = 1000) -> Iterator[str]:
        """Texts about people, or that open their tickets, of the newest visible orders."""
        total = self.count()
        found = (text for row in self.orders(max(0, total - limit)) for text in personal_texts(row))
        yield from islice(dict.fromkeys(found), limit)

    # -- doing --------------------------------------------------------------------------------

    def sell(
        self,
        event_id: int | None = None,
        tickets: int = 2,
        price: float | None = None,
        at: Moment | None = None,
    ) -> int:
        """A new order, paid at once, for a show of the event that is on sale; returns its id.

        `price` of one ticket in rubles, by default the zone's. Raises ValueError when nothing is
        on sale, or for more than 8 tickets.
        """
        moment = self.moment if at is None else seconds(at)
        if not 1 <= tickets <= TICKETS_PER_ID:
            raise ValueError(f"an order has 1 to {TICKETS_PER_ID} tickets")
        schedule = self.plan.schedule
        on_sale = [
            number
            for number, show in enumerate(schedule.shows)
            if event_id in (None, show.event_id)
            and show.sale_from <= moment < min(show.finish, show.deleted)
        ]
        if not on_sale:
            raise ValueError("no show on sale then")
        # Houses that sell out come last: their seats are exactly what is sold in the end.
        show = min(on_sale, key=lambda number: bool(schedule.sells_out[schedule.event_of[number]]))
        return int(self._add(show, tickets, price, moment)["id"])

    def _add(self, show: int, tickets: int, price: float | None, moment: int) -> Row:
        with self.lock:
            plan, it = self.plan, self.plan.schedule.shows[show]
            index = max(self.history.visible(moment) - 1, 0)
            id_ = FIRST_ORDER_ID + index * plan.stride + plan.stride // 8
            while id_ in self.changes.added:
                id_ += 1
            if plan.index_of(id_) != index:
                raise ValueError("too many orders added at one moment")
            (client,) = clients(plan.dice, client_of(plan.dice, np.array([index])).tolist())
            original = it.prices[0] * 100
            paid = original if price is None else round(price * 100)
            places, numbered = int(plan.seats_planned[show, 0]), bool(plan.numbered[show, 0])
            ticket_ids = range(id_ * TICKETS_PER_ID, id_ * TICKETS_PER_ID + tickets)
            rows = [
                Ticket(
                    ticket_id, bits, it.id, *seat_of(it.zones()[0], numbered, places, bits),
                    max(original, paid), max(original - paid, 0), 1,
                    moment - 60, moment, NEVER, NEVER, NEVER, moment,
                )
                for ticket_id, bits in zip(
                    ticket_ids, plan.dice.bits("ticket", ticket_ids).tolist(), strict=True
                )
            ]  # fmt: skip
            event = plan.schedule.events[int(plan.schedule.event_of[show])]
            bits = int(plan.dice.bits("order", id_))
            row = order_row(
                Order(
                    id_, bits, client, event.id, event.currency, None, None, moment, moment,
                    moment, NEVER, moment + DAY, False, rows,
                )
            )  # fmt: skip
            self.changes.keep(row, moment, added=True)
            return row

    def _change(self, order_id: int, change: Any, *details: Any) -> None:
        with self.lock:
            now = self.moment
            self.changes.keep(change(self.order(order_id), now, *details), now)

    def refund(
        self, order_id: int, ticket_ids: list[int] | None = None, deduction: float = 0
    ) -> None:
        """Refunds tickets of a paid order (all by default), keeping `deduction` rubles back."""
        self._change(order_id, refunded, ticket_ids, deduction)

    def cancel(self, order_id: int) -> None:
        """Cancels an order and its tickets without paying back."""
        self._change(order_id, cancelled)

    def restore(self, order_id: int) -> None:
        """Brings a cancelled order back, if nothing in it was refunded."""
        self._change(order_id, restored)

    def scan(self, ticket_id: int) -> None:
        """Scans a ticket at the door: stamps the ticket, not the order."""
        self._change(ticket_id // TICKETS_PER_ID, scanned, ticket_id)

    def exchange(self, order_id: int) -> int:
        """Replaces an order by a new one for the same show; returns the new one's id."""
        with self.lock:
            now, old = self.moment, self.order(order_id)
            live = [ticket for ticket in old["baskets"] if ticket["deleted_at"] is None]
            if not live:
                raise ValueError("nothing left to exchange")
            show = self.plan.schedule.number_of_show[live[0]["show_id"]]
            ended = cancelled(old, now)
            new = self._add(show, min(len(live), MAX_TICKETS), live[0]["price"], now)
            new["client_id"], new["client"] = old["client_id"], old["client"]
            new["primary_orders"], new["secondary_orders"] = [short_order(ended)], []
            ended["primary_orders"], ended["secondary_orders"] = [], [short_order(new)]
            self.changes.keep(ended, now)
            return int(new["id"])


def blueprint(
    orders: int, seed: int, *, start: int, end: int, events: int | None, tenge_event: bool
) -> Blueprint:
    """The fixed part of a generated world, from its parameters."""
    if orders < 1 or end - start < DAY:
        raise ValueError("a world needs an order and a day at least")
    by_orders = round(25 * (max(orders, 5000) / 5000) ** 0.394)
    count = events or max(min(by_orders, 500), round(EVENTS_PER_YEAR * (end - start) / YEAR))
    dice = Dice(seed)
    schedule = Schedule(seed, count, start, end, tenge_event)
    demand = Demand(dice, orders, start, end, schedule.shows)
    tickets = demand.expected_orders[:, None] * 2.3 * np.array(ZONE_SHARES)
    spare = 1.05 + dice.unit("spare-seats", np.arange(len(schedule.shows)))[:, None]
    planned = np.ceil(tickets * spare + 4 * np.sqrt(tickets) + 4).astype(np.int64)
    hall = np.array([show.hall for show in schedule.shows])[:, None]
    numbered = hall & (np.arange(planned.shape[1]) < 3) & (planned <= 500)
    return Blueprint(
        orders=orders,
        stride=int(np.clip(10**9 // orders, 64, 1000)),
        dice=dice,
        schedule=schedule,
        demand=demand,
        promotions=Promotions(dice, orders, start, end, schedule.events),
        exchange_gap=int(np.clip(600 * orders / (end - start), 1, EXCHANGE_EVERY - 1)),
        seats_planned=planned,
        numbered=numbered,
    )


def demo_world(now: Moment | None = None) -> World:
    """The demo's organiser: about 40 orders a day from 2026 to 2036, the same in every run.

    The clock is the real one, so that a run tomorrow sees the same orders and tomorrow's new ones.
    """
    return World(orders=146_080, seed=2026, start="2026-01-01", end="2036-01-01", now=now,
                 events=400)  # fmt: skip


def personal_texts(order: Row) -> Iterator[str]:
    """E-mails, phones, names, cards, links and codes of an order."""
    details, tickets = order["client"]["details"], order["baskets"]
    texts = [order["client"]["email"], *(details[name] for name in _PERSON), order["uniqid"]]
    texts += [order[name] for name in ("payment_card_number", "payment_url", "cancel_url")]
    texts += [ticket[name] for ticket in tickets for name in _ON_TICKETS]
    return (text for text in texts if text)


_PERSON = ("phone", "name", "surname", "middlename")
_ON_TICKETS = ("barcode", "pdf_url", "passbook_url", "organization_name", "legal_name", "inn",
               "kpp", "comment")  # fmt: skip


def _list(rows_at: Any) -> tuple[list[str], Any]:
    """(column names, rows_at) of a short list."""
    return list(rows_at(0)[0]), rows_at
