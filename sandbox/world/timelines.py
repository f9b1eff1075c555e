"""Lives of orders: everything that ever happens to them, one numpy array a fact.

An order is a pure function of (seed, index). `Lives` works out the facts of many orders at once,
each fact when it is first asked for: when they are made, for which show, paid, changed, cancelled,
and how they look at a given moment. Nothing here depends on the clock but the `now` arguments.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sandbox.world.buyers import client_id, client_of
from sandbox.world.demand import Demand
from sandbox.world.events import ZONE_SHARES, Schedule
from sandbox.world.promotions import FIRST_DISCOUNT_ID, FIRST_PROMO_CODE_ID, Promotions
from sandbox.world.seeded_random import Dice, Flags, Ints, shared_out
from sandbox.world.timestamps import DAY, HOUR, NEVER

FIRST_ORDER_ID = 1_600_000
MAX_TICKETS = 6
TICKETS_PER_ID = 8
"""Ids of an order's tickets are 8 x its id and on: ticket ids run ahead of order ids, as seen."""
TICKETS_PER_ORDER = (0.30, 0.38, 0.17, 0.09, 0.035, 0.025)
FREE, UNPAID, PAID = 0, 1, 2
KINDS = (0.45, 0.12, 0.43)
KEPT, REFUNDED, PARTLY_REFUNDED, CANCELLED, RESTORED, EXCHANGED = range(6)
FATES = (0.92, 0.025, 0.02, 0.02, 0.015)
EXCHANGE_EVERY = 199
"""Order 199·k may be exchanged for the one `exchange_gap` places after it."""

ORDER_CHANGES_WITHIN = 20 * DAY
"""Paid within 20 h, refunded or cancelled within 14 days after, restored within 3 more."""
TICKET_CHANGES_WITHIN = 60 * DAY
"""A ticket is scanned at its show, up to 60 days after it was bought."""

_COUNTS = shared_out(TICKETS_PER_ORDER) + 1
_KINDS, _FATES = shared_out(KINDS), shared_out(FATES)
_ZONE_OF_BYTE = shared_out(ZONE_SHARES, 256)


@dataclass(frozen=True)
class Blueprint:
    """What a generated world is made of, fixed by its parameters."""

    orders: int
    stride: int
    dice: Dice
    schedule: Schedule
    demand: Demand
    promotions: Promotions
    exchange_gap: int
    """Orders made in about ten minutes: a replacement comes so many places after its original."""
    seats_planned: Ints
    """Seats of each (show, zone), before the sales are known."""
    numbered: Flags
    """Zones (show, zone) with rows and places; the others are admission zones."""

    def order_id(self, index: Ints) -> Ints:
        """Ids rise with gaps: many organisers share one counter."""
        return (
            FIRST_ORDER_ID
            + index * self.stride
            + self.dice.below("order-id", index, self.stride // 8)
        )

    def index_of(self, order_id: int) -> int:
        """The index whose stretch of ids holds this one."""
        return (order_id - FIRST_ORDER_ID) // self.stride


class Lives:
    """The facts of the orders with the given indices. Money in kopecks, moments in seconds."""

    def __init__(self, plan: Blueprint, index: Ints) -> None:
        self.plan, self.index, self.dice = plan, index, plan.dice
        place = index % EXCHANGE_EVERY
        self.exchanged = np.zeros(len(index), dtype=np.bool_)
        gap = plan.exchange_gap
        self.exchanged[place == 0] = self._is_exchanged(index[place == 0])
        self.replacement = np.zeros(len(index), dtype=np.bool_)
        self.replacement[place == gap] = self._is_exchanged(index[place == gap] - gap)
        self.root: Ints = index - gap * self.replacement
        """The order whose buyer, show and tickets these are: itself, or the exchanged one."""

    def _is_exchanged(self, first: Ints) -> Flags:
        demand, schedule = self.plan.demand, self.plan.schedule
        made, again = demand.created(first), demand.created(first + self.plan.exchange_gap)
        show = demand.show(first, made)
        exchanged: Flags = (
            (first + self.plan.exchange_gap < self.plan.orders)
            & (again - made > 300)
            & (again - made < DAY / 2)
            & (again < schedule.sale_until[show])
        )
        return exchanged

    @cached_property
    def id(self) -> Ints:
        return self.plan.order_id(self.index)

    @cached_property
    def created(self) -> Ints:
        return self.plan.demand.created(self.index)

    @cached_property
    def show(self) -> Ints:
        made = self.created
        if self.replacement.any():
            made = made.copy()
            made[self.replacement] = self.plan.demand.created(self.root[self.replacement])
        return self.plan.demand.show(self.root, made)

    @cached_property
    def event(self) -> Ints:
        return self.plan.schedule.event_of[self.show]

    @cached_property
    def sells_out(self) -> Flags:
        return self.plan.schedule.sells_out[self.event]

    @cached_property
    def client(self) -> Ints:
        return client_of(self.dice, self.root)

    @cached_property
    def kind(self) -> Ints:
        """FREE 45 %, UNPAID 12 %, else PAID. Who gets a ticket to a full house pays for it."""
        kind = self.dice.pick("kind", self.root, _KINDS)
        paid = (kind == UNPAID) & (self.sells_out | self.exchanged | self.replacement)
        return np.where(paid, PAID, kind)

    @cached_property
    def fate(self) -> Ints:
        fate = self.dice.pick("fate", self.index, _FATES)
        free = self.kind == FREE
        fate = np.where(free & (fate == REFUNDED), CANCELLED, fate)
        fate = np.where(free & (fate == PARTLY_REFUNDED), KEPT, fate)
        fate = np.where(self.sells_out | (self.kind == UNPAID) | self.replacement, KEPT, fate)
        return np.where(self.exchanged, EXCHANGED, fate)

    # -- moments of an order -------------------------------------------------------------------

    @cached_property
    def paid_at(self) -> Ints:
        draw = self.dice.unit("paying", self.index)
        delay = np.where(draw < 0.9, 20 + 700 * draw**2, 20 * HOUR * (draw - 0.9) * 10 + 60)
        delay = np.where((self.kind == FREE) | self.replacement, draw < 0.2, delay)
        delay = np.where(self.exchanged, 60, delay).astype(np.int64)
        return np.where(self.kind == UNPAID, NEVER, self.created + delay)

    @cached_property
    def extended(self) -> Flags:
        extended: Flags = (self.kind == UNPAID) & (self.dice.unit("extended", self.index) < 0.08)
        return extended

    @cached_property
    def reserved_to(self) -> Ints:
        return self.created + DAY + DAY * self.extended

    @cached_property
    def changed_at(self) -> Ints:
        """When its fate comes: within 14 days of the payment, before the show is over."""
        left = self.plan.schedule.finish[self.show] - self.created
        span = np.clip(left, 2 * HOUR, 13 * DAY) - HOUR
        wait = (HOUR + self.dice.unit("change", self.index) * span).astype(np.int64)
        moment = np.where(self.fate == KEPT, NEVER, self.created + wait)
        if self.exchanged.any():
            replacing = self.index[self.exchanged] + self.plan.exchange_gap
            moment[self.exchanged] = self.plan.demand.created(replacing)
        return np.maximum(moment, np.where(self.kind == UNPAID, 0, self.paid_at + 60))

    @cached_property
    def dies_at(self) -> Ints:
        """`deleted_at` to be: an unpaid order expires some 15 minutes after `reserved_to`."""
        expiry = -(-(self.reserved_to + 900) // 60) * 60 + 3
        also_cancelled = (self.fate == REFUNDED) & (self.index % 2 == 0)
        ends = (self.fate >= CANCELLED) | also_cancelled
        changed = np.where(ends, self.changed_at, NEVER)
        return np.where(self.kind == UNPAID, expiry, changed)

    @cached_property
    def restored_at(self) -> Ints:
        wait = HOUR + self.dice.below("restore", self.index, 2 * DAY)
        return np.where(self.fate == RESTORED, self.changed_at + wait, NEVER)

    @cached_property
    def refunded_at(self) -> Ints:
        refunded = (self.fate == REFUNDED) | (self.fate == PARTLY_REFUNDED)
        return np.where(refunded, self.changed_at, NEVER)

    @cached_property
    def touched_at(self) -> Ints:
        """The service stamps an order again later without a visible change (seen on free ones)."""
        draw = self.dice.unit("touch", self.index)
        wait = np.where((self.kind == FREE) & (draw < 0.8), draw * 60 * HOUR, 4).astype(np.int64)
        return np.where(self.kind == UNPAID, NEVER, self.paid_at + wait)

    def deleted_at(self, now: int) -> Ints:
        deleted = (self.dies_at <= now) & (self.restored_at > now)
        return np.where(deleted, self.dies_at, NEVER)

    def updated_at(self, now: int) -> Ints:
        """The last stamp so far. A scan is not among them: it stamps only the ticket."""
        last = self.created
        for stamp in (
            self.paid_at, self.touched_at, self.dies_at, self.refunded_at, self.restored_at,
        ):  # fmt: skip
            last = np.maximum(last, np.where(stamp <= now, stamp, 0))
        return last

    # -- tickets: flat arrays, one value for each ticket, order by order ------------------------

    @cached_property
    def count(self) -> Ints:
        return self.dice.pick("count", self.root, _COUNTS)

    @cached_property
    def starts(self) -> Ints:
        """Where the tickets of each order begin."""
        return np.cumsum(self.count) - self.count

    @cached_property
    def order_of(self) -> Ints:
        """The order of each ticket, as a position in the arrays of orders."""
        return np.repeat(np.arange(len(self.index)), self.count)

    @cached_property
    def place(self) -> Ints:
        """The place of each ticket in its order, from 0."""
        return np.arange(len(self.order_of)) - self.starts[self.order_of]

    @cached_property
    def _ticket_byte(self) -> Ints:
        shift = (self.place * 8).astype(np.uint64)
        bits = self.dice.bits("tickets", self.root)[self.order_of]
        return ((bits >> shift) & np.uint64(255)).astype(np.int64)

    @cached_property
    def zone(self) -> Ints:
        return _ZONE_OF_BYTE[self._ticket_byte]

    @cached_property
    def ticket_show(self) -> Ints:
        """The order's show; for one order in sixteen the last ticket is for the next date."""
        schedule, following = self.plan.schedule, self.plan.schedule.next_show[self.show]
        on_sale = (schedule.sale_from[following] <= self.created) & (
            schedule.sale_until[following] > self.created
        )
        mixed = (self.count > 1) & (following >= 0) & on_sale
        mixed &= self.dice.bits("mixed", self.root) & np.uint64(15) == 0
        shows = self.show[self.order_of]
        shows[(self.starts + self.count - 1)[mixed]] = following[mixed]
        return shows

    @cached_property
    def quantity(self) -> Ints:
        """1, but 2 to 4 for one in twenty-five of the tickets to admission zones."""
        shift = (self.place * 8).astype(np.uint64)
        byte = (self.dice.bits("quantity", self.root)[self.order_of] >> shift) & np.uint64(255)
        many = (byte < 10) & ~self.plan.numbered[self.ticket_show, self.zone]
        return np.where(many, 2 + byte % np.uint64(3), 1).astype(np.int64)

    @cached_property
    def promo_code(self) -> Ints:
        """Number of the promo code, -1 without one (45 % of the orders that aren't free)."""
        with_code = (self.kind == FREE) | (self.dice.unit("promo", self.root) < 0.55)
        code = self.plan.promotions.code("which-promo", self.root, self.kind == FREE)
        return np.where(with_code, code, -1)

    @cached_property
    def discount(self) -> Ints:
        """Number of the discount, -1 without one."""
        discount = self.plan.promotions.discount_of[self.promo_code]
        return np.where(self.promo_code < 0, -1, discount)

    @cached_property
    def original_price(self) -> Ints:
        """Price of one ticket before the discount."""
        price: Ints = self.plan.schedule.prices[self.ticket_show, self.zone] * 100
        return price

    @cached_property
    def discount_value(self) -> Ints:
        """Taken off one ticket: whole rubles, so that the price is rounded up, save for a few.

        Some codes are good for the first ticket of an order only.
        """
        promotions = self.plan.promotions
        percent = np.where(self.discount < 0, 0, promotions.percent[self.discount])
        first_only = (self.kind != FREE) & (self.promo_code % 12 == 5)
        applies = ~first_only[self.order_of] | (self.place == 0)
        exact = self.original_price // 100 * percent[self.order_of] * applies
        to_kopeck = promotions.kopecks[self.discount][self.order_of]
        value: Ints = np.where(to_kopeck, exact, exact // 100 * 100)
        return value

    def money(self, unit: Ints) -> Ints:
        """An order's sum of a price per ticket, times quantity, over all its tickets."""
        ends: Ints = np.concatenate([[0], np.cumsum(unit * self.quantity)])
        sums: Ints = np.diff(ends[np.append(self.starts, len(self.order_of))])
        return sums

    @cached_property
    def scanned_at(self) -> Ints:
        """When each ticket is scanned at the door, NEVER for those who don't come.

        Whoever cancelled, restored or refunded doesn't come.
        """
        schedule, shows, order_of = self.plan.schedule, self.ticket_show, self.order_of
        draw = self.dice.unit("scan", self.index)
        comes = (self.kind == PAID) | ((self.kind == FREE) & (draw < 0.4))
        comes &= (self.fate == KEPT) | (self.fate == PARTLY_REFUNDED)
        start, finish = schedule.start[shows], schedule.finish[shows]
        after = (self.created + 6 * HOUR)[order_of]
        visit = np.maximum(start, after) + (draw * 5 * DAY).astype(np.int64)[order_of]
        door = start - 50 * 60 + (draw * 60 * 60).astype(np.int64)[order_of]
        moment = np.where(finish - start > 2 * DAY, visit, door) + 9 * self.place
        here = comes[order_of] & (self._ticket_byte % 8 > 0) & (self.ticket_refunded_at == NEVER)
        here &= (moment < finish) & (moment > after) & (moment - after < 58 * DAY)
        return np.where(here, moment, NEVER)

    @cached_property
    def ticket_refunded_at(self) -> Ints:
        """All tickets of a refunded order, the first one of a partly refunded."""
        all_of_it = (self.fate != PARTLY_REFUNDED)[self.order_of]
        return np.where(all_of_it | (self.place == 0), self.refunded_at[self.order_of], NEVER)

    def ticket_updated_at(self, now: int) -> Ints:
        """The last stamp of each ticket: its order's payment or end, its refund, its scan."""
        last = self.created
        for stamp in (self.paid_at, self.dies_at, self.restored_at):
            last = np.maximum(last, np.where(stamp <= now, stamp, 0))
        refunded, scanned = self.ticket_refunded_at, self.scanned_at
        last = np.maximum(last[self.order_of], np.where(refunded <= now, refunded, 0))
        return np.maximum(last, np.where(scanned <= now, scanned + 3, 0))

    def held(self, now: int) -> tuple[Ints, Ints]:
        """(paid, reserved) quantity of each ticket that holds a seat at `now`, else 0."""
        alive = (self.created <= now) & (self.deleted_at(now) == NEVER)
        here = self.quantity * (alive[self.order_of] & (self.ticket_refunded_at > now))
        paid = (self.paid_at <= now)[self.order_of]
        return here * paid, here * ~paid

    # -- columns by the names a `where` uses ------------------------------------------------------

    def column(self, name: str, now: int) -> NDArray[Any]:
        """A column of `/orders`: moments, ids, flags and kopecks as integers, the currency."""
        columns: dict[str, Callable[[], NDArray[Any]]] = {
            "id": lambda: self.id,
            "payed": lambda: (self.paid_at <= now).astype(np.int64),
            "payed_at": lambda: so_far(self.paid_at, now),
            "created_at": lambda: self.created,
            "updated_at": lambda: self.updated_at(now),
            "deleted_at": lambda: self.deleted_at(now),
            "reserved_to": lambda: self.reserved_to,
            "reserve_extended": lambda: self.extended.astype(np.int64),
            "event_id": lambda: self.plan.schedule.event_id[self.event],
            "currency_id": lambda: self.plan.schedule.currencies[self.event],
            "client_id": lambda: client_id(self.dice, self.client),
            "discount_id": lambda: _or_null(FIRST_DISCOUNT_ID, 7, self.discount),
            "promo_code_id": lambda: _or_null(FIRST_PROMO_CODE_ID, 11, self.promo_code),
            "original_price": lambda: self.money(self.original_price),
            "price": lambda: self.money(self.original_price - self.discount_value),
        }
        return columns[name]()

    def ticket_column(self, name: str, now: int) -> Ints:
        """A column of `/baskets`."""
        columns: dict[str, Callable[[], Ints]] = {
            "id": lambda: self.id[self.order_of] * TICKETS_PER_ID + self.place,
            "order_id": lambda: self.id[self.order_of],
            "show_id": lambda: self.plan.schedule.show_id[self.ticket_show],
            "quantity": lambda: self.quantity,
            "price": lambda: self.original_price - self.discount_value,
            "original_price": lambda: self.original_price,
            "discount_value": lambda: self.discount_value,
            "checked_at": lambda: so_far(self.scanned_at, now),
            "created_at": lambda: self.created[self.order_of] - 60 + 3 * self.place,
            "updated_at": lambda: self.ticket_updated_at(now),
            "deleted_at": lambda: self.deleted_at(now)[self.order_of],
            "refunded_at": lambda: so_far(self.ticket_refunded_at, now),
        }
        return columns[name]()


def so_far(moments: Ints, now: int) -> Ints:
    """Moments that have come by `now`; the others are null."""
    return np.where(moments <= now, moments, NEVER)


def _or_null(first: int, step: int, number: Ints) -> Ints:
    return np.where(number < 0, NEVER, first + step * number)
