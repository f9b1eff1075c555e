"""A generated world: a made-up organiser whose orders are a pure function of a seed."""

from collections.abc import Callable, Iterator
from itertools import islice
from threading import RLock
from typing import Any

import numpy as np

from sandbox.search.order_chunks import OrderChunks
from sandbox.search.paged_search import PagedSearch, Table
from sandbox.search.query import Query
from sandbox.search.tables import ClientsTable, ListTable, OrdersTable, TicketsTable
from sandbox.world.buyers import client_of, clients
from sandbox.world.clock import Clock, TimestampLike
from sandbox.world.edits import Edits, cancel_order, refund_order, restore_order, scan_ticket
from sandbox.world.order_payloads import Order, Row, Ticket, order_row, seat_of, short_order
from sandbox.world.plan import FIRST_ORDER_ID, make_plan
from sandbox.world.promotions import COLOURS
from sandbox.world.schedule import Event
from sandbox.world.seating import Seating, barcode_rows
from sandbox.world.timelines import MAX_TICKETS, TICKETS_PER_ID
from sandbox.world.timestamps import DAY, NEVER, iso, seconds
from sandbox.world.visible_orders import VisibleOrders

_PERSONAL_DETAILS = ("phone", "name", "surname", "middlename")
_PERSONAL_TICKET_FIELDS = (
    "barcode", "pdf_url", "passbook_url", "organization_name", "legal_name", "inn", "kpp",
    "comment",
)  # fmt: skip


class World(Clock):
    """A generated organiser.

    Args:
        orders: Number of orders made from `start` until before `end`.
        seed: Another seed gives another organiser; the same seed gives the same rows.
        now: The time at which the clock stands still; None for the real time. Orders made later
            are not visible yet.
        events: Number of events; by default 25, and more for long or large worlds.
        tenge_event: Sell one event in KZT.
    """

    def __init__(
        self,
        orders: int = 5000,
        seed: int = 1,
        *,
        start: TimestampLike = "2026-01-01",
        end: TimestampLike = "2027-01-01",
        now: TimestampLike | None = None,
        events: int | None = None,
        tenge_event: bool = False,
    ) -> None:
        super().__init__(now)
        self.plan = make_plan(
            orders,
            seed,
            start=seconds(start),
            end=seconds(end),
            events=events,
            tenge_event=tenge_event,
        )
        self.edits = Edits()
        self.listeners: list[Callable[[str, Row], None]] = []
        """Called with the type of the event (`payed`, `refunded`, …) and the order of each edit."""
        self.visible_orders = VisibleOrders(self.plan, self.edits)
        self.order_chunks = OrderChunks(self.visible_orders)
        self.seating = Seating(self.visible_orders)
        self.search = PagedSearch()
        self.lock = RLock()
        self.tables: dict[str, Table] = {
            table.name: table
            for table in (
                OrdersTable(self.order_chunks),
                TicketsTable(self.order_chunks),
                ClientsTable(self.order_chunks),
                self._events_table(),
                ListTable("discounts", 100, *_columns_and_rows(self.plan.promotions.discount_rows)),
                ListTable("promo-codes", 500, *_columns_and_rows(self.plan.promotions.code_rows)),
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

    # -- reading --------------------------------------------------------------------------------

    def visible_events(self, now: int) -> list[Event]:
        return [event for event in self.plan.schedule.events if event.created <= now]

    def orders(self, lo: int = 0, hi: int | None = None) -> list[Row]:
        """Return the rows of the visible orders lo … hi - 1, sorted by id, as in `/orders`."""
        return list(islice(self._iterate(lo), None if hi is None else max(hi - lo, 0)))

    def _iterate(self, offset: int) -> Iterator[Row]:
        now, table = self.timestamp, self.tables["orders"]
        while True:
            keys, _ = self.search.keys(table, Query(), now, offset, 1000)
            if not keys:
                return
            yield from table.rows(keys, now)
            offset += len(keys)

    def count(self) -> int:
        """Return the number of visible orders."""
        return self.search.keys(self.tables["orders"], Query(), self.timestamp, 0, 0)[1]

    def order(self, order_id: int) -> Row:
        """Return an order as it is now.

        Raises:
            KeyError: No visible order has this id.
        """
        row = self.visible_orders.row(order_id, self.timestamp)
        if row is None:
            raise KeyError(order_id)
        return row

    def events(self) -> list[Row]:
        """Return all visible events, as in `/events`."""
        now = self.timestamp
        return [event.row(now) for event in self.visible_events(now)]

    def seats(self, show_id: int) -> list[Row] | None:
        """Return all seats of a show as they are now, or None if there is no such show."""
        with self.lock:
            return self.seating.rows(show_id, self.timestamp)

    def barcodes(self, show_id: int) -> list[Row] | None:
        """Return the valid tickets of a show, or None if there is no such show."""
        if show_id not in self.plan.schedule.number_of_show:
            return None
        with self.lock:
            now = self.timestamp
            ids = self.seating.orders_of(show_id, now)
            return barcode_rows(self.visible_orders.rows(ids, now), show_id)

    def color_themes(self) -> list[Row]:
        return [{"id": number, "color": colour} for number, colour in COLOURS.items()]

    def personal_data(self, limit: int = 1000) -> Iterator[str]:
        """Yield personal data, links and barcodes of the newest visible orders."""
        total = self.count()
        found = (text for row in self.orders(max(0, total - limit)) for text in personal_texts(row))
        yield from islice(dict.fromkeys(found), limit)

    # -- editing --------------------------------------------------------------------------------

    def sell(
        self,
        event_id: int | None = None,
        tickets: int = 2,
        price: float | None = None,
        at: TimestampLike | None = None,
    ) -> int:
        """Add an order that is paid at once, and return its id.

        Args:
            event_id: The event; by default any that is on sale.
            tickets: Number of tickets, up to 8.
            price: Price of one ticket in rubles; by default that of the zone.
            at: Time of the order; by default now.

        Raises:
            ValueError: No show is on sale then, or there are too many tickets.
        """
        timestamp = self.timestamp if at is None else seconds(at)
        if not 1 <= tickets <= TICKETS_PER_ID:
            raise ValueError(f"an order has 1 to {TICKETS_PER_ID} tickets")
        schedule = self.plan.schedule
        on_sale = [
            number
            for number, show in enumerate(schedule.shows)
            if event_id in (None, show.event_id)
            and show.sale_from <= timestamp < min(show.finish, show.deleted)
        ]
        if not on_sale:
            raise ValueError("no show on sale then")
        # Events that sell out come last: they have no seats beyond those of the generated orders.
        show = min(on_sale, key=lambda number: bool(schedule.sells_out[schedule.event_of[number]]))
        return int(self._add(show, tickets, price, timestamp)["id"])

    def _add(self, show: int, tickets: int, price: float | None, timestamp: int) -> Row:
        with self.lock:
            plan, its_show = self.plan, self.plan.schedule.shows[show]
            index = max(self.visible_orders.generated(timestamp) - 1, 0)
            id_ = FIRST_ORDER_ID + index * plan.stride + plan.stride // 8
            while id_ in self.edits.added:
                id_ += 1
            if plan.index_of(id_) != index:
                raise ValueError("too many orders were added at the same time")
            (client,) = clients(plan.random, client_of(plan.random, np.array([index])).tolist())
            original = its_show.prices_at(timestamp)[0] * 100
            paid = original if price is None else round(price * 100)
            places, numbered = int(plan.seats_planned[show, 0]), bool(plan.numbered[show, 0])
            ticket_ids = range(id_ * TICKETS_PER_ID, id_ * TICKETS_PER_ID + tickets)
            rows = [
                Ticket(
                    ticket_id, bits, its_show.id,
                    *seat_of(its_show.zones()[0], numbered, places, bits),
                    max(original, paid), max(original - paid, 0), 1,
                    timestamp - 60, timestamp, NEVER, NEVER, NEVER, timestamp,
                )
                for ticket_id, bits in zip(
                    ticket_ids, plan.random.bits("ticket", ticket_ids).tolist(), strict=True
                )
            ]  # fmt: skip
            event = plan.schedule.events[int(plan.schedule.event_of[show])]
            bits = int(plan.random.bits("order", id_))
            row = order_row(
                Order(
                    id_, bits, client, event.id, event.currency, None, None, timestamp, timestamp,
                    timestamp, NEVER, timestamp + DAY, False, rows,
                )
            )  # fmt: skip
            self.edits.add(row, timestamp, added=True)
        self._tell("created", row)
        self._tell("payed", row)
        return row

    def _tell(self, event_type: str, order: Row) -> None:
        for listener in self.listeners:
            listener(event_type, order)

    def _edit(self, event_type: str, order_id: int, edit: Any, *details: Any) -> None:
        with self.lock:
            now = self.timestamp
            row = edit(self.order(order_id), now, *details)
            self.edits.add(row, now)
        self._tell(event_type, row)

    def refund(
        self, order_id: int, ticket_ids: list[int] | None = None, deduction: float = 0
    ) -> None:
        """Refund tickets of a paid order (by default all), less `deduction` rubles."""
        self._edit("refunded", order_id, refund_order, ticket_ids, deduction)

    def erase(self, order_id: int) -> None:
        """Remove an order from the account, which then does not list it any more."""
        with self.lock:
            self.edits.erase(order_id)

    def change(self, order_id: int, **fields: Any) -> None:
        """Change fields of an order, such as its `payed_at`."""
        self._edit("updated", order_id, lambda row, now: {**row, **fields, "updated_at": iso(now)})

    def cancel(self, order_id: int) -> None:
        """Cancel an order and its tickets without a refund."""
        self._edit("deleted", order_id, cancel_order)

    def restore(self, order_id: int) -> None:
        """Restore a cancelled order; none of its tickets may have been refunded."""
        self._edit("updated", order_id, restore_order)

    def scan(self, ticket_id: int) -> None:
        """Scan a ticket: `updated_at` of the ticket changes, that of its order does not."""
        self._edit("checked", ticket_id // TICKETS_PER_ID, scan_ticket, ticket_id)

    def exchange(self, order_id: int) -> int:
        """Replace an order by a new one for the same show, and return the id of the new one."""
        with self.lock:
            now, old = self.timestamp, self.order(order_id)
            valid = [ticket for ticket in old["baskets"] if ticket["deleted_at"] is None]
            if not valid:
                raise ValueError("the order has no tickets left to exchange")
            show = self.plan.schedule.number_of_show[valid[0]["show_id"]]
            ended = cancel_order(old, now)
            new = self._add(show, min(len(valid), MAX_TICKETS), valid[0]["price"], now)
            new["client_id"], new["client"] = old["client_id"], old["client"]
            new["primary_orders"], new["secondary_orders"] = [short_order(ended)], []
            ended["primary_orders"], ended["secondary_orders"] = [], [short_order(new)]
            self.edits.add(ended, now)
        self._tell("deleted", ended)
        return int(new["id"])


def demo_world(now: TimestampLike | None = None) -> World:
    """Return the organiser of the demo: about 40 orders a day from 2026 to 2036.

    By default its clock is the real one. So a run tomorrow reads the same orders and new ones.
    """
    return World(orders=146_080, seed=2026, start="2026-01-01", end="2036-01-01", now=now,
                 events=400)  # fmt: skip


def personal_texts(order: Row) -> Iterator[str]:
    """Yield names, e-mails, phones, card numbers, links and barcodes of an order."""
    details, tickets = order["client"]["details"], order["baskets"]
    texts = [
        order["client"]["email"],
        *(details[name] for name in _PERSONAL_DETAILS),
        order["uniqid"],
    ]
    texts += [order[name] for name in ("payment_card_number", "payment_url", "cancel_url")]
    texts += [ticket[name] for ticket in tickets for name in _PERSONAL_TICKET_FIELDS]
    return (text for text in texts if text)


def _columns_and_rows(rows_at: Any) -> tuple[list[str], Any]:
    """Return (column names, `rows_at`), the arguments of a `ListTable`."""
    return list(rows_at(0)[0]), rows_at
