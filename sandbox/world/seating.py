"""Seats of a show: its seating plan, and the seats that orders occupy at a given time.

The sums by zone follow from the orders. The occupied places within a zone are random: the `seat_id`
of a ticket names a place of its zone, and another ticket may name the same place.
"""

import numpy as np

from sandbox.world.bounded_cache import BoundedCache
from sandbox.world.edits import valid_tickets
from sandbox.world.order_payloads import PLACES_IN_ROW, Row
from sandbox.world.schedule import ZONES
from sandbox.world.seeded_random import Flags, Ints
from sandbox.world.timelines import OrderTimelines
from sandbox.world.visible_orders import VisibleOrders

Occupied = dict[int, tuple[int, int]]
"""(paid, reserved) quantities by zone of a show."""

_END_OF_TIME = 2**61
_NOT_FOR_SALE = 3
"""Number of `disabled` places of every numbered zone that nobody occupies."""


class Seating:
    """The seats of all shows of a generated world."""

    def __init__(self, orders: VisibleOrders) -> None:
        self.orders, self.plan = orders, orders.plan
        self._events = BoundedCache(16)

    def _timelines_of(self, event: int) -> OrderTimelines:
        """Return the timelines of all orders of an event, future ones included."""
        if event not in self._events:
            schedule, demand = self.plan.schedule, self.plan.demand
            shows = schedule.event_of == event
            first = demand.made_by(int(schedule.sale_from[shows].min()) - 1)
            last = demand.made_by(int(schedule.sale_until[shows].max()))
            found = [np.zeros(0, dtype=np.int64)]
            for start in range(first, last, 16_384):
                index = np.arange(start, min(start + 16_384, last))
                found.append(index[OrderTimelines(self.plan, index).event == event])
            self._events.store(event, OrderTimelines(self.plan, np.concatenate(found)))
        timelines: OrderTimelines = self._events[event]
        return timelines

    def _sum_by_zone(
        self, timelines: OrderTimelines, chosen: Flags, quantity: Ints, show: int
    ) -> list[int]:
        of_show = (timelines.ticket_show == show) & chosen[timelines.order_of]
        sums = np.bincount(timelines.zone[of_show], quantity[of_show], minlength=ZONES)
        return [int(total) for total in sums]

    def occupied(self, show: int, now: int) -> Occupied:
        """Return the quantities of a show that orders occupy at `now`, edited orders included."""
        timelines = self._timelines_of(int(self.plan.schedule.event_of[show]))
        rows = self.orders.edits.rows(now)
        generated = ~np.isin(timelines.id, [row["id"] for row in rows])
        paid, reserved = (
            self._sum_by_zone(timelines, generated, quantity, show)
            for quantity in timelines.occupied(now)
        )
        for zone, quantity, payed in self._occupied_by(rows, show):
            (paid if payed else reserved)[zone] += quantity
        return dict(enumerate(zip(paid, reserved, strict=True)))

    def _occupied_by(self, rows: list[Row], show: int) -> list[tuple[int, int, bool]]:
        """Return (zone, quantity, whether paid) of the valid tickets of these orders."""
        its_show = self.plan.schedule.shows[show]
        zones = {slug: number for number, (slug, _) in enumerate(its_show.zones())}
        return [
            (zones[ticket["seat_id"].rpartition("-")[0]], ticket["quantity"], payed)
            for row in rows
            for ticket, payed in valid_tickets(row)
            if ticket["show_id"] == its_show.id
        ]

    def capacity(self, show: int) -> list[int]:
        """Return the number of seats for sale in each zone, which is constant over time.

        It is the planned number, or more if all tickets ever sold need more. A show of an event
        that sells out has exactly the seats that are sold in the end, and those of added orders.
        """
        event = int(self.plan.schedule.event_of[show])
        timelines = self._timelines_of(event)
        edits = self.orders.edits
        added = [row for row in edits.rows(_END_OF_TIME) if row["id"] in edits.added]
        more = [0] * ZONES
        for zone, quantity, _ in self._occupied_by(added, show):
            more[zone] += quantity
        all_orders = np.ones(len(timelines.index), dtype=np.bool_)
        if self.plan.schedule.events[event].sells_out:
            sold = self._sum_by_zone(
                timelines, all_orders, timelines.occupied(_END_OF_TIME)[0], show
            )
            return [sum(pair) for pair in zip(sold, more, strict=True)]
        ever = self._sum_by_zone(timelines, all_orders, timelines.quantity, show)
        needed = [sum(pair) for pair in zip(ever, more, strict=True)]
        return [
            max(pair) for pair in zip(self.plan.seats_planned[show].tolist(), needed, strict=True)
        ]

    def rows(self, show_id: int, now: int) -> list[Row] | None:
        """Return every seat of a show, or None if there is no such show at `now`."""
        schedule = self.plan.schedule
        show = schedule.number_of_show.get(show_id)
        if show is None or schedule.shows[show].created > now:
            return None
        its_show, occupied, room = (
            schedule.shows[show],
            self.occupied(show, now),
            self.capacity(show),
        )
        currency = schedule.events[int(schedule.event_of[show])].currency
        prices = its_show.prices_at(now)
        rows = []
        for zone, (slug, name) in enumerate(its_show.zones()):
            paid, reserved = occupied[zone]
            priced = {
                "price": prices[zone],
                "currency_id": currency,
                "color_theme_id": zone + 1,
            }
            if not self.plan.numbered[show, zone]:
                quantities = {"room": room[zone], "paid": paid, "reserved": reserved}
                rows.append(
                    seat_row((slug, name), None, **quantities, disabled=False, priced=priced)
                )
                continue
            size = max(room[zone], int(self.plan.seats_planned[show, zone])) + _NOT_FOR_SALE
            filling = np.argsort(self.plan.random.bits(f"filling-{zone}", np.arange(room[zone])))
            sale_position = np.full(size, size)
            sale_position[filling] = np.arange(room[zone])
            for place, position in enumerate(sale_position.tolist()):
                rows.append(
                    seat_row(
                        (slug, name),
                        divmod(place, PLACES_IN_ROW),
                        room=1,
                        paid=int(position < paid),
                        reserved=int(paid <= position < paid + reserved),
                        disabled=place >= room[zone],
                        priced=priced,
                    )
                )
        return rows

    def orders_of(self, show_id: int, now: int) -> list[int]:
        """Return the ids of the orders with tickets of a show, edited orders included."""
        show = self.plan.schedule.number_of_show[show_id]
        timelines = self._timelines_of(int(self.plan.schedule.event_of[show]))
        of_show = np.zeros(len(timelines.index), dtype=np.bool_)
        of_show[timelines.order_of[timelines.ticket_show == show]] = True
        of_show &= timelines.created <= now
        edited = [
            row["id"]
            for row in self.orders.edits.rows(now)
            if any(ticket["show_id"] == show_id for ticket in row["baskets"])
        ]
        return sorted({*timelines.id[of_show].tolist(), *edited})


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
    """Return a place (`place` is its row and number from 0) or an admission zone (None)."""
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
    """Return the tickets of a show that are paid, and neither cancelled nor refunded."""
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
        for ticket, payed in valid_tickets(order)
        if payed and ticket["show_id"] == show_id
    ]  # fmt: skip
