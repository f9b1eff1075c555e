"""Seats of a show, summed by price zone, as rows of `inventory`."""

from collections.abc import Iterable, Mapping, Sequence
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


@dataclass(frozen=True)
class SnapshotMoment:
    """The moment of a run's snapshot of all seats, and the version of one show's answer."""

    snapshot_at: datetime
    fetched_at: datetime


def seat_rows(answer: Any) -> list[Row]:
    """Return the seats of a show: a list, an object by seat, or, without `flat`, zones with seats.

    Raises:
        BadRow: The answer has another shape.
    """
    zones = as_rows(answer.get("zones")) if isinstance(answer, dict) else None
    seats = (
        [as_rows(answer)] if zones is None else [as_rows(zone.get("seats") or []) for zone in zones]
    )
    if None in seats:
        raise BadRow("the seats of a show came in an unknown shape.")
    return [seat for some in seats for seat in some or ()]


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
    in `disabled_quantity`.
    """
    zones: dict[tuple[str, Decimal, str | None], Row] = {}
    for seat in seats:
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
    # The capacity of a show without seats is known to be 0, so it has a row.
    rows = list(zones.values()) or [{"zone_id": "", "price": Decimal(0), "seats": 0}]
    for row in rows:
        for name in ("max_quantity", "free_quantity", "ordered_quantity", "payed_quantity"):
            row.setdefault(name, 0)
        row.setdefault("disabled_quantity", 0)
    return _inventory(event_id, show_id, rows, moment, context)


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
