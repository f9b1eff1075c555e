"""Timelines of orders: when each order is made, paid, refunded, cancelled and scanned.

An order is a pure function of (seed, index). `OrderTimelines` computes the facts of many orders at
once, one numpy array a fact, each when it is first used. Only methods with a `now` argument depend
on the clock.
"""

from collections.abc import Callable
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from sandbox.world.buyers import client_id, client_of
from sandbox.world.plan import EXCHANGE_EVERY, WorldPlan
from sandbox.world.promotions import FIRST_DISCOUNT_ID, FIRST_PROMO_CODE_ID
from sandbox.world.schedule import ZONE_SHARES, price_at
from sandbox.world.seeded_random import Flags, Ints, weighted_table
from sandbox.world.timestamps import DAY, HOUR, NEVER

MAX_TICKETS = 6
TICKETS_PER_ID = 8
"""Ids of an order's tickets start at 8 times its id: ticket ids run ahead of order ids."""
TICKETS_PER_ORDER = (0.30, 0.38, 0.17, 0.09, 0.035, 0.025)
FREE, UNPAID, PAID = 0, 1, 2
KIND_SHARES = (0.45, 0.12, 0.43)
KEPT, REFUNDED, PARTLY_REFUNDED, CANCELLED, RESTORED, EXCHANGED = range(6)
OUTCOME_SHARES = (0.92, 0.025, 0.02, 0.02, 0.015)
"""Shares of the outcomes from `KEPT` to `RESTORED`; exchanges come on top."""

ORDER_CHANGES_WITHIN = 20 * DAY
"""Orders are paid within 20 hours, refunded or cancelled within 14 days, restored within 3 more."""
TICKET_CHANGES_WITHIN = 60 * DAY
"""A ticket is scanned at its show, up to 60 days after the purchase."""

_COUNTS = weighted_table(TICKETS_PER_ORDER) + 1
_KINDS, _OUTCOMES = weighted_table(KIND_SHARES), weighted_table(OUTCOME_SHARES)
_ZONE_OF_BYTE = weighted_table(ZONE_SHARES, 256)


class OrderTimelines:
    """The facts of the orders with the given indices: money in kopecks, times in seconds."""

    def __init__(self, plan: WorldPlan, index: Ints) -> None:
        self.plan, self.index, self.random = plan, index, plan.random
        remainder = index % EXCHANGE_EVERY
        self.exchanged = np.zeros(len(index), dtype=np.bool_)
        gap = plan.exchange_gap
        self.exchanged[remainder == 0] = self._is_exchanged(index[remainder == 0])
        self.replacement = np.zeros(len(index), dtype=np.bool_)
        self.replacement[remainder == gap] = self._is_exchanged(index[remainder == gap] - gap)
        self.original: Ints = index - gap * self.replacement
        """Index of the order that decides buyer, show and tickets: itself or the exchanged one."""

    def _is_exchanged(self, first: Ints) -> Flags:
        """Return which orders are exchanged: both exist, and the show is on sale all the time."""
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
    def chosen(self) -> Ints:
        """Time when show and price were chosen: that of the exchanged order, if there is one."""
        made = self.created
        if self.replacement.any():
            made = made.copy()
            made[self.replacement] = self.plan.demand.created(self.original[self.replacement])
        return made

    @cached_property
    def show(self) -> Ints:
        return self.plan.demand.show(self.original, self.chosen)

    @cached_property
    def event(self) -> Ints:
        return self.plan.schedule.event_of[self.show]

    @cached_property
    def sells_out(self) -> Flags:
        return self.plan.schedule.sells_out[self.event]

    @cached_property
    def client(self) -> Ints:
        return client_of(self.random, self.original)

    @cached_property
    def kind(self) -> Ints:
        """FREE (45 %), UNPAID (12 %) or PAID; no order of a sold-out event stays unpaid."""
        kind = self.random.pick("kind", self.original, _KINDS)
        paid = (kind == UNPAID) & (self.sells_out | self.exchanged | self.replacement)
        return np.where(paid, PAID, kind)

    @cached_property
    def outcome(self) -> Ints:
        """What happens after the payment: one of KEPT, REFUNDED, …, EXCHANGED."""
        outcome = self.random.pick("fate", self.index, _OUTCOMES)
        free = self.kind == FREE
        outcome = np.where(free & (outcome == REFUNDED), CANCELLED, outcome)
        outcome = np.where(free & (outcome == PARTLY_REFUNDED), KEPT, outcome)
        outcome = np.where(self.sells_out | (self.kind == UNPAID) | self.replacement, KEPT, outcome)
        return np.where(self.exchanged, EXCHANGED, outcome)

    # -- timestamps of an order -----------------------------------------------------------------

    @cached_property
    def paid_at(self) -> Ints:
        draw = self.random.unit("paying", self.index)
        delay = np.where(draw < 0.9, 20 + 700 * draw**2, 20 * HOUR * (draw - 0.9) * 10 + 60)
        delay = np.where((self.kind == FREE) | self.replacement, draw < 0.2, delay)
        delay = np.where(self.exchanged, 60, delay).astype(np.int64)
        return np.where(self.kind == UNPAID, NEVER, self.created + delay)

    @cached_property
    def extended(self) -> Flags:
        extended: Flags = (self.kind == UNPAID) & (self.random.unit("extended", self.index) < 0.08)
        return extended

    @cached_property
    def reserved_to(self) -> Ints:
        return self.created + DAY + DAY * self.extended

    @cached_property
    def outcome_at(self) -> Ints:
        """Time of the refund, cancellation or exchange: within 14 days, before the show ends.

        Most refunds follow soon after the purchase, most cancellations late.
        """
        left = self.plan.schedule.finish[self.show] - self.created
        span = np.clip(left, 2 * HOUR, 13 * DAY) - HOUR
        draw = self.random.unit("change", self.index)
        refunded = (self.outcome == REFUNDED) | (self.outcome == PARTLY_REFUNDED)
        share = np.where(refunded, draw**2, 1 - (1 - draw) ** 2)
        wait = (HOUR + share * span).astype(np.int64)
        timestamp = np.where(self.outcome == KEPT, NEVER, self.created + wait)
        if self.exchanged.any():
            replacing = self.index[self.exchanged] + self.plan.exchange_gap
            timestamp[self.exchanged] = self.plan.demand.created(replacing)
        return np.maximum(timestamp, np.where(self.kind == UNPAID, 0, self.paid_at + 60))

    @cached_property
    def deletion_at(self) -> Ints:
        """The later `deleted_at`: an unpaid order expires about 15 minutes after `reserved_to`."""
        expiry = -(-(self.reserved_to + 900) // 60) * 60 + 3
        also_cancelled = (self.outcome == REFUNDED) & (self.index % 2 == 0)
        ends = (self.outcome >= CANCELLED) | also_cancelled
        changed = np.where(ends, self.outcome_at, NEVER)
        return np.where(self.kind == UNPAID, expiry, changed)

    @cached_property
    def restored_at(self) -> Ints:
        wait = HOUR + self.random.below("restore", self.index, 2 * DAY)
        return np.where(self.outcome == RESTORED, self.outcome_at + wait, NEVER)

    @cached_property
    def refunded_at(self) -> Ints:
        refunded = (self.outcome == REFUNDED) | (self.outcome == PARTLY_REFUNDED)
        return np.where(refunded, self.outcome_at, NEVER)

    @cached_property
    def restamped_at(self) -> Ints:
        """Time of a later `updated_at` without a visible change, as seen on free orders."""
        draw = self.random.unit("touch", self.index)
        wait = np.where((self.kind == FREE) & (draw < 0.8), draw * 60 * HOUR, 4).astype(np.int64)
        return np.where(self.kind == UNPAID, NEVER, self.paid_at + wait)

    def deleted_at(self, now: int) -> Ints:
        """`deleted_at` as it is at `now`."""
        deleted = (self.deletion_at <= now) & (self.restored_at > now)
        return np.where(deleted, self.deletion_at, NEVER)

    def updated_at(self, now: int) -> Ints:
        """`updated_at` as it is at `now`. A scan changes that of the ticket only."""
        last = self.created
        for time in (
            self.paid_at, self.restamped_at, self.deletion_at, self.refunded_at, self.restored_at,
        ):  # fmt: skip
            last = np.maximum(last, np.where(time <= now, time, 0))
        return last

    # -- tickets: flat arrays with one value for each ticket, in the order of the orders ----------

    @cached_property
    def count(self) -> Ints:
        """Number of tickets of each order."""
        return self.random.pick("count", self.original, _COUNTS)

    @cached_property
    def starts(self) -> Ints:
        """Position of the first ticket of each order."""
        return np.cumsum(self.count) - self.count

    @cached_property
    def order_of(self) -> Ints:
        """Position of each ticket's order in the arrays of orders."""
        return np.repeat(np.arange(len(self.index)), self.count)

    @cached_property
    def position(self) -> Ints:
        """Number of each ticket within its order, from 0."""
        return np.arange(len(self.order_of)) - self.starts[self.order_of]

    @cached_property
    def _ticket_byte(self) -> Ints:
        shift = (self.position * 8).astype(np.uint64)
        bits = self.random.bits("tickets", self.original)[self.order_of]
        return ((bits >> shift) & np.uint64(255)).astype(np.int64)

    @cached_property
    def zone(self) -> Ints:
        """Zone of each ticket, from 0."""
        return _ZONE_OF_BYTE[self._ticket_byte]

    @cached_property
    def ticket_show(self) -> Ints:
        """Show of each ticket; in one order of sixteen the last ticket is for the next show."""
        schedule, following = self.plan.schedule, self.plan.schedule.next_show[self.show]
        on_sale = (schedule.sale_from[following] <= self.created) & (
            schedule.sale_until[following] > self.created
        )
        mixed = (self.count > 1) & (following >= 0) & on_sale
        mixed &= self.random.bits("mixed", self.original) & np.uint64(15) == 0
        shows = self.show[self.order_of]
        shows[(self.starts + self.count - 1)[mixed]] = following[mixed]
        return shows

    @cached_property
    def quantity(self) -> Ints:
        """1, or 2 to 4 for one in twenty-five tickets of admission zones."""
        shift = (self.position * 8).astype(np.uint64)
        byte = (self.random.bits("quantity", self.original)[self.order_of] >> shift) & np.uint64(
            255
        )
        many = (byte < 10) & ~self.plan.numbered[self.ticket_show, self.zone]
        return np.where(many, 2 + byte % np.uint64(3), 1).astype(np.int64)

    @cached_property
    def promo_code(self) -> Ints:
        """Number of the promo code, or -1 (45 % of the orders that are not free have none)."""
        with_code = (self.kind == FREE) | (self.random.unit("promo", self.original) < 0.55)
        code = self.plan.promotions.code("which-promo", self.original, self.kind == FREE)
        return np.where(with_code, code, -1)

    @cached_property
    def discount(self) -> Ints:
        """Number of the discount, or -1."""
        discount = self.plan.promotions.discount_of[self.promo_code]
        return np.where(self.promo_code < 0, -1, discount)

    @cached_property
    def original_price(self) -> Ints:
        """Price of one ticket before the discount."""
        schedule, shows = self.plan.schedule, self.ticket_show
        tiers = schedule.cheaper_until[shows], schedule.dearer_from[shows]
        price = price_at(schedule.prices[shows, self.zone], self.chosen[self.order_of], *tiers)
        return price * 100

    @cached_property
    def discount_value(self) -> Ints:
        """Discount on one ticket: rounded down to rubles, except for the discounts of 15 %.

        Some promo codes apply to the first ticket of an order only.
        """
        promotions = self.plan.promotions
        percent = np.where(self.discount < 0, 0, promotions.percent[self.discount])
        first_only = (self.kind != FREE) & (self.promo_code % 12 == 5)
        applies = ~first_only[self.order_of] | (self.position == 0)
        exact = self.original_price // 100 * percent[self.order_of] * applies
        to_kopeck = promotions.kopecks[self.discount][self.order_of]
        value: Ints = np.where(to_kopeck, exact, exact // 100 * 100)
        return value

    def money(self, unit: Ints) -> Ints:
        """Return each order's sum of an amount per ticket times quantity."""
        ends: Ints = np.concatenate([[0], np.cumsum(unit * self.quantity)])
        sums: Ints = np.diff(ends[np.append(self.starts, len(self.order_of))])
        return sums

    @cached_property
    def scanned_at(self) -> Ints:
        """Time when each ticket is scanned, NEVER for a buyer who does not attend.

        Buyers of refunded, cancelled and restored orders do not attend.
        """
        schedule, shows, order_of = self.plan.schedule, self.ticket_show, self.order_of
        draw = self.random.unit("scan", self.index)
        attends = (self.kind == PAID) | ((self.kind == FREE) & (draw < 0.4))
        attends &= (self.outcome == KEPT) | (self.outcome == PARTLY_REFUNDED)
        start, finish = schedule.start[shows], schedule.finish[shows]
        after = (self.created + 6 * HOUR)[order_of]
        visit = np.maximum(start, after) + (draw * 5 * DAY).astype(np.int64)[order_of]
        door = start - 50 * 60 + (draw * 60 * 60).astype(np.int64)[order_of]
        timestamp = np.where(finish - start > 2 * DAY, visit, door) + 9 * self.position
        scanned = (
            attends[order_of] & (self._ticket_byte % 8 > 0) & (self.ticket_refunded_at == NEVER)
        )
        scanned &= (timestamp < finish) & (timestamp > after) & (timestamp - after < 58 * DAY)
        return np.where(scanned, timestamp, NEVER)

    @cached_property
    def ticket_refunded_at(self) -> Ints:
        """Time of the refund: of all tickets, or of the first one if partly refunded."""
        all_tickets = (self.outcome != PARTLY_REFUNDED)[self.order_of]
        return np.where(all_tickets | (self.position == 0), self.refunded_at[self.order_of], NEVER)

    def ticket_updated_at(self, now: int) -> Ints:
        """`updated_at` of each ticket: payment or deletion of its order, its refund or scan."""
        last = self.created
        for time in (self.paid_at, self.deletion_at, self.restored_at):
            last = np.maximum(last, np.where(time <= now, time, 0))
        refunded, scanned = self.ticket_refunded_at, self.scanned_at
        last = np.maximum(last[self.order_of], np.where(refunded <= now, refunded, 0))
        return np.maximum(last, np.where(scanned <= now, scanned + 3, 0))

    def occupied(self, now: int) -> tuple[Ints, Ints]:
        """Return each ticket's (paid, reserved) quantity at `now`; 0 if it occupies no seat."""
        exists = (self.created <= now) & (self.deleted_at(now) == NEVER)
        occupied = self.quantity * (exists[self.order_of] & (self.ticket_refunded_at > now))
        paid = (self.paid_at <= now)[self.order_of]
        return occupied * paid, occupied * ~paid

    # -- columns by the names that a `where` uses --------------------------------------------------

    def column(self, name: str, now: int) -> NDArray[Any]:
        """Return a column of `/orders`; all but the currency are integers, money in kopecks."""
        columns: dict[str, Callable[[], NDArray[Any]]] = {
            "id": lambda: self.id,
            "payed": lambda: (self.paid_at <= now).astype(np.int64),
            "payed_at": lambda: null_if_future(self.paid_at, now),
            "created_at": lambda: self.created,
            "updated_at": lambda: self.updated_at(now),
            "deleted_at": lambda: self.deleted_at(now),
            "reserved_to": lambda: self.reserved_to,
            "reserve_extended": lambda: self.extended.astype(np.int64),
            "event_id": lambda: self.plan.schedule.event_id[self.event],
            "currency_id": lambda: self.plan.schedule.currencies[self.event],
            "client_id": lambda: client_id(self.random, self.client),
            "discount_id": lambda: _or_null(FIRST_DISCOUNT_ID, 7, self.discount),
            "promo_code_id": lambda: _or_null(FIRST_PROMO_CODE_ID, 11, self.promo_code),
            "original_price": lambda: self.money(self.original_price),
            "price": lambda: self.money(self.original_price - self.discount_value),
        }
        return columns[name]()

    def ticket_column(self, name: str, now: int) -> Ints:
        """Return a column of `/baskets`."""
        columns: dict[str, Callable[[], Ints]] = {
            "id": lambda: self.id[self.order_of] * TICKETS_PER_ID + self.position,
            "order_id": lambda: self.id[self.order_of],
            "show_id": lambda: self.plan.schedule.show_id[self.ticket_show],
            "quantity": lambda: self.quantity,
            "price": lambda: self.original_price - self.discount_value,
            "original_price": lambda: self.original_price,
            "discount_value": lambda: self.discount_value,
            "checked_at": lambda: null_if_future(self.scanned_at, now),
            "created_at": lambda: self.created[self.order_of] - 60 + 3 * self.position,
            "updated_at": lambda: self.ticket_updated_at(now),
            "deleted_at": lambda: self.deleted_at(now)[self.order_of],
            "refunded_at": lambda: null_if_future(self.ticket_refunded_at, now),
        }
        return columns[name]()


def null_if_future(timestamps: Ints, now: int) -> Ints:
    """Return the times, with those after `now` replaced by null."""
    return np.where(timestamps <= now, timestamps, NEVER)


def _or_null(first: int, step: int, number: Ints) -> Ints:
    return np.where(number < 0, NEVER, first + step * number)
