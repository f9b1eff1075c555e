"""Seats of a show, summed by price zone, as rows of `inventory`."""

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from decimal import Decimal
from typing import Any

import pyarrow as pa

from ..errors import BadRow
from .columns import as_rows, flag
from .context import RowContext
from .schema import INVENTORY
from .table import make_table

Row = dict[str, Any]


# How the quantities of a place follow from those of its tariffs.
_OF_TARIFFS: dict[str, Callable[[Iterable[int]], int]] = {
    "max_quantity": max,
    "free_quantity": min,
    "ordered_quantity": max,
    "payed_quantity": max,
}


@dataclass(frozen=True)
class SnapshotMoment:
    """The moment of a run's snapshot of all seats, and the version of one show's answer."""

    snapshot_at: datetime
    fetched_at: datetime


def seat_rows(answer: Any) -> list[Row]:
    """Return the seats of a show: a list, an object by seat, or, without `flat`, zones with seats.

    The zones are under `zones`, or keyed by their ids.

    Raises:
        BadRow: The answer has another shape.
    """
    rows = as_rows(answer.get("zones", answer) if isinstance(answer, dict) else answer)
    if rows is None:
        raise BadRow("the seats of a show came in an unknown shape.")
    if not any("seats" in row for row in rows):
        return rows
    seats = []
    for zone in rows:
        of_zone = as_rows(zone.get("seats") or [])
        if of_zone is None:
            raise BadRow("the seats of a zone came in an unknown shape.")
        seats += [{"zone_id": zone.get("zone_id"), **seat} for seat in of_zone]
    return seats


def inventory_table(
    event_id: int,
    show_id: int,
    seats: Iterable[Row],
    moment: SnapshotMoment,
    context: RowContext,
) -> pa.Table:
    """Return the seats of one show, summed by price zone.

    A seat is one place or an admission zone with many tickets, so capacity is the sum of
    `max_quantity`, never the number of seats. Disabled seats are not for sale and are counted
    in `disabled_quantity`. A place that is sold at several tariffs has a row for each, with one
    `root_id`: it is counted once, at the highest price. Where more are free than there are, or
    fewer than none, the show is recorded in the findings.
    """
    zones: dict[tuple[str, Decimal, str | None], Row] = {}
    for seat in _places(seats, show_id):
        where = f"show {show_id}, seat {seat.get('id')}"
        price = _amount(seat, "price", where)
        zone_id, currency = str(seat.get("zone_id") or ""), seat.get("currency_id")
        zone = zones.setdefault(
            (zone_id, price, currency),
            {
                "zone_id": zone_id,
                "price": price,
                "currency_id": currency,
                "seats": 0,
                "max_quantity": 0,
                "free_quantity": 0,
                "ordered_quantity": 0,
                "payed_quantity": 0,
                "disabled_quantity": 0,
            },
        )
        zone["seats"] += 1
        if flag(seat.get("disabled")):
            zone["disabled_quantity"] += _count(seat, "max_quantity", where)
            continue
        for name in ("max_quantity", "free_quantity", "ordered_quantity", "payed_quantity"):
            zone[name] += _count(seat, name, where)
        if not 0 <= _count(seat, "free_quantity", where) <= _count(seat, "max_quantity", where):
            context.findings.doubtful_seats[show_id] = (
                f"seat {seat.get('id')}: {seat.get('free_quantity')} of"
                f" {seat.get('max_quantity')} tickets are free"
            )
    # The capacity of a show without seats is known to be 0, so it has a row.
    rows = list(zones.values()) or [{"zone_id": "", "price": Decimal(0), "seats": 0}]
    for row in rows:
        for name in ("max_quantity", "free_quantity", "ordered_quantity", "payed_quantity"):
            row.setdefault(name, 0)
        row.setdefault("disabled_quantity", 0)
    return _inventory(event_id, show_id, rows, moment, context)


def _places(seats: Iterable[Row], show_id: int) -> Iterator[Row]:
    """Yield one row for each place: of the tariffs for sale, that with the highest price.

    A place is free only if it is free at every tariff, and sold if it is sold at one.
    """
    tariffs: dict[str, list[Row]] = {}
    for seat in seats:
        tariffs.setdefault(str(seat.get("root_id") or seat.get("id")), []).append(seat)
    for rows in tariffs.values():
        for_sale = [row for row in rows if not flag(row.get("disabled"))]
        if len(for_sale) <= 1:
            yield for_sale[0] if for_sale else rows[0]
            continue
        wheres = [f"show {show_id}, seat {row.get('id')}" for row in for_sale]
        prices = [_amount(row, "price", where) for row, where in zip(for_sale, wheres, strict=True)]
        quantities = {
            name: pick(
                _count(row, name, where) for row, where in zip(for_sale, wheres, strict=True)
            )
            for name, pick in _OF_TARIFFS.items()
        }
        yield for_sale[prices.index(max(prices))] | quantities


def unreadable_inventory_table(
    event_id: int,
    show_id: int,
    reason: str,
    moment: SnapshotMoment,
    context: RowContext,
) -> pa.Table:
    """Return one row for a show whose seats could not be read: its quantities are null, not 0."""
    rows = [{"zone_id": "", "price": Decimal(0), "unreadable": reason}]
    return _inventory(event_id, show_id, rows, moment, context)


def _inventory(
    event_id: int,
    show_id: int,
    rows: Sequence[Row],
    moment: SnapshotMoment,
    context: RowContext,
) -> pa.Table:
    fixed = {
        "_fetched_at": moment.fetched_at,
        "event_id": event_id,
        "show_id": show_id,
        "snapshot_at": moment.snapshot_at,
    }
    derived = {
        column.name: [fixed.get(column.name, row.get(column.name)) for row in rows]
        for column in INVENTORY.derived_columns
    }
    return make_table(INVENTORY, f"show {show_id}", rows, context, **derived)


def _count(seat: Mapping[str, Any], name: str, where: str) -> int:
    value = seat.get(name)
    if value is None and name == "max_quantity" and not flag(seat.get("admission")):
        return 1  # A place; only an admission zone has more tickets.
    try:
        return int(str(value))
    except ValueError:
        raise BadRow(f"{where}: `{name}` is {value!r}, not a number of tickets.") from None


def _amount(seat: Mapping[str, Any], name: str, where: str) -> Decimal:
    value = seat.get(name)
    try:
        return Decimal(str(value or 0))
    except ArithmeticError:
        raise BadRow(f"{where}: `{name}` is {value!r}, not an amount.") from None
