"""Seats of a show: its plan, and how much of it the orders hold at a moment.

The sums by zone follow from the orders. Which numbered places are taken is drawn for the answer:
an order's `seat_id` names a place of its zone, but not one of its own.
"""

import numpy as np

from sandbox.search.search import Memory
from sandbox.search.tables import History
from sandbox.world.edits import holds
from sandbox.world.events import ZONES
from sandbox.world.orders import PLACES_IN_ROW, Row
from sandbox.world.seeded_random import Flags, Ints
from sandbox.world.timelines import Lives

Taken = dict[int, tuple[int, int]]
"""For each zone of a show: (paid, reserved) quantities."""

_END_OF_TIME = 2**61
_NOT_FOR_SALE = 3
"""Numbered places of every zone that are kept back: `disabled`, though nobody holds them."""


class Seating:
    """The seats of all shows of a generated world."""

    def __init__(self, history: History) -> None:
        self.history, self.plan = history, history.plan
        self._events = Memory(16)

    def _lives_of(self, event: int) -> Lives:
        """All orders that the event ever gets."""
        if event not in self._events:
            schedule, demand = self.plan.schedule, self.plan.demand
            mine = schedule.event_of == event
            first = demand.made_by(int(schedule.sale_from[mine].min()) - 1)
            last = demand.made_by(int(schedule.sale_until[mine].max()))
            found = [np.zeros(0, dtype=np.int64)]
            for start in range(first, last, 16_384):
                index = np.arange(start, min(start + 16_384, last))
                found.append(index[Lives(self.plan, index).event == event])
            self._events.keep(event, Lives(self.plan, np.concatenate(found)))
        lives: Lives = self._events[event]
        return lives

    def _sum(self, lives: Lives, chosen: Flags, quantity: Ints, show: int) -> list[int]:
        mine = (lives.ticket_show == show) & chosen[lives.order_of]
        sums = np.bincount(lives.zone[mine], quantity[mine], minlength=ZONES)
        return [int(total) for total in sums]

    def taken(self, show: int, now: int) -> Taken:
        """What the orders hold of a show at `now`, those changed on purpose included."""
        lives = self._lives_of(int(self.plan.schedule.event_of[show]))
        rows = self.history.changes.rows(now)
        generated = ~np.isin(lives.id, [row["id"] for row in rows])
        paid, reserved = (self._sum(lives, generated, held, show) for held in lives.held(now))
        for zone, quantity, payed in self._held_by(rows, show):
            (paid if payed else reserved)[zone] += quantity
        return dict(enumerate(zip(paid, reserved, strict=True)))

    def _held_by(self, rows: list[Row], show: int) -> list[tuple[int, int, bool]]:
        """(zone, quantity, whether paid) of the tickets in these orders that hold seats."""
        it = self.plan.schedule.shows[show]
        zones = {slug: number for number, (slug, _) in enumerate(it.zones())}
        return [
            (zones[ticket["seat_id"].rpartition("-")[0]], ticket["quantity"], payed)
            for row in rows
            for ticket, payed in holds(row)
            if ticket["show_id"] == it.id
        ]

    def capacity(self, show: int) -> list[int]:
        """Seats for sale in each zone, the same at any moment.

        As planned, or as many as all its tickets ever need. Where the event sells out, exactly
        those that are sold in the end; there, orders added on purpose bring their seats with them.
        """
        event = int(self.plan.schedule.event_of[show])
        lives = self._lives_of(event)
        changes = self.history.changes
        added = [row for row in changes.rows(_END_OF_TIME) if row["id"] in changes.added]
        more = [0] * ZONES
        for zone, quantity, _ in self._held_by(added, show):
            more[zone] += quantity
        everybody = np.ones(len(lives.index), dtype=np.bool_)
        if self.plan.schedule.events[event].sells_out:
            sold = self._sum(lives, everybody, lives.held(_END_OF_TIME)[0], show)
            return [sum(pair) for pair in zip(sold, more, strict=True)]
        ever = self._sum(lives, everybody, lives.quantity, show)
        needed = [sum(pair) for pair in zip(ever, more, strict=True)]
        return [
            max(pair) for pair in zip(self.plan.seats_planned[show].tolist(), needed, strict=True)
        ]

    def rows(self, show_id: int, now: int) -> list[Row] | None:
        """Every seat of a show in full, None if there is no such show yet."""
        schedule = self.plan.schedule
        show = schedule.number_of_show.get(show_id)
        if show is None or schedule.shows[show].created > now:
            return None
        it, taken, room = schedule.shows[show], self.taken(show, now), self.capacity(show)
        currency = schedule.events[int(schedule.event_of[show])].currency
        rows = []
        for zone, (slug, name) in enumerate(it.zones()):
            paid, reserved = taken[zone]
            priced = {"price": it.prices[zone], "currency_id": currency, "color_theme_id": zone + 1}
            if not self.plan.numbered[show, zone]:
                held = {"room": room[zone], "paid": paid, "reserved": reserved}
                rows.append(seat_row((slug, name), None, **held, disabled=False, priced=priced))
                continue
            size = max(room[zone], int(self.plan.seats_planned[show, zone])) + _NOT_FOR_SALE
            filling = np.argsort(self.plan.dice.bits(f"filling-{zone}", np.arange(room[zone])))
            turns = np.full(size, size)
            turns[filling] = np.arange(room[zone])
            for place, turn in enumerate(turns.tolist()):
                rows.append(
                    seat_row(
                        (slug, name),
                        divmod(place, PLACES_IN_ROW),
                        room=1,
                        paid=int(turn < paid),
                        reserved=int(paid <= turn < paid + reserved),
                        disabled=place >= room[zone],
                        priced=priced,
                    )
                )
        return rows

    def orders_of(self, show_id: int, now: int) -> list[int]:
        """Ids of the orders with tickets of a show, those changed on purpose included."""
        show = self.plan.schedule.number_of_show[show_id]
        lives = self._lives_of(int(self.plan.schedule.event_of[show]))
        mine = np.zeros(len(lives.index), dtype=np.bool_)
        mine[lives.order_of[lives.ticket_show == show]] = True
        mine &= lives.created <= now
        changed = [
            row["id"]
            for row in self.history.changes.rows(now)
            if any(ticket["show_id"] == show_id for ticket in row["baskets"])
        ]
        return sorted({*lives.id[mine].tolist(), *changed})


def seat_row(
    zone: tuple[str, str],
    place: tuple[int, int] | None,
    *,
    room: int,
    paid: int,
    reserved: int,
    disabled: bool,
    priced: Row,
) -> Row:
    """One place (`place` is its row and number from 0), or an admission zone (`place` is None)."""
    zone_id, zone_name = zone
    row, number = (place[0] + 1, place[1] + 1) if place else (1, 1)
    free = room - paid - reserved
    return {
        "id": f"{zone_id}-{row};{number}",
        "root_id": f"{zone_id}-{row};{number}",
        "name": f"{zone_name}: Ряд {row}, Место {number}" if place else zone_name,
        "zone_id": zone_id,
        "zone_root_id": zone_id,
        "short_seat_id": f"{row};{number}",
        "admission": place is None,
        "row": str(row),
        "place": str(number),
        "max_quantity": room,
        "free_quantity": free,
        "ordered_quantity": paid + reserved,
        "available": free > 0 and not disabled,
        "disabled": disabled,
        "ordered": paid + reserved > 0,
        "payed_quantity": paid,
        "in_basket_quantity": 0,
        **priced,
        "related_seats": [],
        "multiprice_name": None,
        "multiprice_code": None,
        "spread": {
            "partner_id": None,
            "users": [],
            "client_groups": [],
            "client_emails": [],
            "agents": False,
        },
        "coords": [325 + 22 * number, 347 + 20 * row],
    }


def barcode_rows(orders: list[Row], show_id: int) -> list[Row]:
    """The valid tickets of a show: paid, neither cancelled nor refunded."""
    return [
        {
            **{
                name: ticket[name]
                for name in (
                    "barcode", "price", "seat_name", "client_name", "client_surname",
                    "client_middlename",
                )
            },
            "admission": ticket["seat_id"].endswith("-1;1"),
            "zone_name": ticket["seat_name"].partition(":")[0],
            "row": ticket["seat_id"].rpartition("-")[2].partition(";")[0],
            "place": ticket["seat_id"].rpartition(";")[2],
        }
        for order in orders
        for ticket, payed in holds(order)
        if payed and ticket["show_id"] == show_id
    ]  # fmt: skip
