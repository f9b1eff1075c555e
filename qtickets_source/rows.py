"""Answers of the service as Arrow tables of the raw layer: pure functions, no network, no clock."""

import re
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from decimal import Decimal
from itertools import chain
from typing import Any

import pyarrow as pa
from msgspec.structs import astuple

from .answers import Record
from .columns import at_once, flag, json_text, opened, plain_text, to_arrow
from .errors import BadRow
from .privacy import hashes, looks_personal
from .tables import (
    BARCODES,
    CLIENTS,
    DISCOUNTS,
    EVENTS,
    INVENTORY,
    ORDERS,
    PARTNER_TICKETS,
    PRICE_SHADES,
    PROMO_CODES,
    SHOWS,
    TICKETS,
    Column,
    Kind,
    RawTable,
)

Row = dict[str, Any]
Tables = tuple[pa.Table, pa.Table]
"""Rows of orders, and of their tickets."""

# The JSON types that the service sends a kind of column as. Text columns also hold numbers, and the
# names of multilingual accounts.
_USUAL_TYPES: dict[Kind, frozenset[type]] = {
    "integer": frozenset({int}),
    "money": frozenset({int, Decimal}),
    "timestamp": frozenset({str, datetime}),
    "flag": frozenset({bool, int}),
    "text": frozenset({str, int, dict}),
    "json": frozenset({list, dict}),
}
_JSON_NAMES: dict[type, str] = {
    bool: "true or false",
    int: "number",
    Decimal: "number",
    str: "text",
    list: "list",
    dict: "object",
}


@dataclass
class Findings:
    """What the answers held that nobody has seen before; shown at the end of a run.

    Attributes:
        new_columns: `table.field` of unknown fields, loaded as text columns.
        withheld: `table.field` of unknown fields that look personal, not loaded.
        missing: `table.field` of known fields that a whole page lacked.
        changed_types: `table.field (type)` of known fields that came as another JSON type. Where
            the value still fits the column it is loaded; else the run fails.
        ignored: What the service ignored of a request, by transport.
        skipped: Datasets that the account may not read, and why.
    """

    new_columns: set[str] = field(default_factory=set)
    withheld: set[str] = field(default_factory=set)
    missing: set[str] = field(default_factory=set)
    changed_types: set[str] = field(default_factory=set)
    ignored: list[str] = field(default_factory=list)
    skipped: dict[str, str] = field(default_factory=dict)

    def add(self, other: "Findings") -> None:
        """Adds what another part of the run found."""
        self.new_columns |= other.new_columns
        self.withheld |= other.withheld
        self.missing |= other.missing
        self.changed_types |= other.changed_types
        self.ignored += other.ignored
        self.skipped |= other.skipped


@dataclass(frozen=True)
class SnapshotMoment:
    """When seats were looked at: the run's moment, and that of the answer."""

    snapshot_at: datetime
    fetched_at: datetime


@dataclass(frozen=True)
class RowContext:
    """What turning answers into rows needs to know besides the answers.

    Attributes:
        salt: Key of the hashes of buyers and barcodes.
        allowed_fields: `table.field` of unknown fields to load though they look personal.
        findings: Collects what was new.
    """

    salt: bytes
    allowed_fields: frozenset[str] = frozenset()
    findings: Findings = field(default_factory=Findings)


def listed(value: Any) -> list[Row] | None:
    """A list of rows, also one that PHP sent as an object with numbers for keys; else None."""
    rows = list(value.values()) if isinstance(value, dict) else value
    are_rows = isinstance(rows, list) and all(isinstance(row, (dict, Record)) for row in rows)
    return rows if are_rows else None


class _Fields:
    """Rows by field: `fields["name"]` are the values of all rows, null where a row lacks it."""

    def __init__(self, rows: Sequence[Any]) -> None:
        self.rows = rows
        self.are_of_records = bool(rows) and isinstance(rows[0], Record)
        # All values of a record at once take half as long as one after the other.
        self._in_turn: list[Any] = []
        self._places: dict[str, int] = {}
        if self.are_of_records:
            self._places = {name: n for n, name in enumerate(rows[0].__struct_fields__)}
            for row in rows:
                self._in_turn += astuple(row)

    def __getitem__(self, name: str) -> Sequence[Any]:
        if (place := self._places.get(name)) is not None:
            return self._in_turn[place :: len(self._places)]
        return [row.get(name) for row in self.rows]


def order_tables(orders: Sequence[Row], context: RowContext) -> Tables:
    """Orders, stamped with `_fetched_at`, as (`orders` rows, `tickets` rows)."""
    order_fields = _Fields(orders)
    baskets = _baskets(order_fields, context)
    ticket_fields = _Fields(list(chain.from_iterable(baskets)))
    order_table = _table(
        ORDERS,
        "order",
        order_fields,
        context,
        buyer_hash=hashes(context.salt, "client", order_fields["client_id"]),
        baskets_count=list(map(len, baskets)),
    )
    # The place of each ticket's order.
    places = pa.array((place for place, tickets in enumerate(baskets) for _ in tickets), pa.int32())
    ticket_table = _table(
        TICKETS,
        "ticket",
        ticket_fields,
        context,
        _fetched_at=order_table["_fetched_at"].take(places),
        order_id=order_table["id"].take(places),
        barcode_hash=hashes(context.salt, "barcode", ticket_fields["barcode"]),
    )
    return order_table, ticket_table


def joined(tables: Sequence[Tables]) -> Tables:
    """One table of orders and one of tickets; an unknown field that some lack is null there."""
    orders, tickets = (
        pa.concat_tables(some, promote_options="default") for some in zip(*tables, strict=True)
    )
    return orders, tickets


def _baskets(orders: _Fields, context: RowContext) -> Sequence[list[Row]]:
    """The tickets of each order."""
    values = orders["baskets"]
    if orders.are_of_records:
        return values
    _note_nested("orders.baskets", list, values, context)
    baskets = []
    for order, value in zip(orders.rows, values, strict=True):
        tickets = listed(value)
        if tickets is None:
            raise BadRow(
                f"order {order.get('id')} came without its tickets (`baskets`). Nothing was loaded:"
                " it would count as an order that sold nothing. Report it as a changed API."
            )
        baskets.append(tickets)
    return baskets


def event_tables(events: Sequence[Row], context: RowContext) -> tuple[pa.Table, pa.Table]:
    """Events, stamped with `_fetched_at`, as (`events` rows, `shows` rows)."""
    _note_nested("events.shows", list, [event.get("shows") for event in events], context)
    _note_nested("events.city", dict, [event.get("city") for event in events], context)
    cities = [city if isinstance(city := event.get("city"), dict) else {} for event in events]
    shows = [(event, show) for event in events for show in listed(event.get("shows")) or ()]
    return (
        _table(
            EVENTS,
            "event",
            events,
            context,
            city_name=[plain_text(city.get("name")) for city in cities],
            city_timezone=[city.get("timezone") for city in cities],
        ),
        _table(
            SHOWS,
            "show",
            [show for _, show in shows],
            context,
            _fetched_at=[event["_fetched_at"] for event, _ in shows],
            event_id=[event["id"] for event, _ in shows],
        ),
    )


def discount_table(discounts: Sequence[Row], context: RowContext) -> pa.Table:
    """Discounts, stamped; the events and shows they apply to stay JSON text."""
    return _table(DISCOUNTS, "discount", discounts, context)


def promo_code_table(codes: Sequence[Row], context: RowContext) -> pa.Table:
    """Promo codes, stamped."""
    return _table(PROMO_CODES, "promo code", codes, context)


def price_shade_table(shades: Sequence[Row], context: RowContext) -> pa.Table:
    """Price shades, stamped: the colours of price zones on a seat plan."""
    return _table(PRICE_SHADES, "price shade", shades, context)


def client_table(clients: Sequence[Row], context: RowContext) -> pa.Table:
    """Buyers, stamped, as hashes; the hash of the id is that of `orders.buyer_hash`."""
    details = [client.get("details") or {} for client in clients]
    return _table(
        CLIENTS,
        "client",
        clients,
        context,
        _fetched_at=[client["_fetched_at"] for client in clients],
        id_hash=hashes(context.salt, "client", _Fields(clients)["id"]),
        email_hash=hashes(context.salt, "email", [_folded(c.get("email")) for c in clients]),
        phone_hash=hashes(context.salt, "phone", [_digits(d.get("phone")) for d in details]),
    )


def barcode_table(show_id: int, tickets: Sequence[Row], context: RowContext) -> pa.Table:
    """Valid tickets of a show, stamped; the hash is that of `tickets.barcode_hash`."""
    return _table(
        BARCODES,
        f"show {show_id}, ticket",
        tickets,
        context,
        show_id=[show_id] * len(tickets),
        barcode_hash=hashes(context.salt, "barcode", _Fields(tickets)["barcode"]),
    )


def partner_ticket_table(tickets: Sequence[Row], context: RowContext) -> pa.Table:
    """Tickets found through the Partners API, stamped; the partner's own numbers as hashes."""
    fields = _Fields(tickets)
    return _table(
        PARTNER_TICKETS,
        "partner ticket",
        fields,
        context,
        barcode_hash=hashes(context.salt, "barcode", fields["barcode"]),
        external_order_hash=hashes(context.salt, "external order", fields["external_order_id"]),
        external_hash=hashes(context.salt, "external", fields["external_id"]),
    )


def _folded(text: Any) -> str | None:
    """An e-mail as people mean it: without case and blanks."""
    return str(text).strip().lower() if text else None


def _digits(text: Any) -> str | None:
    """A phone number as people mean it: its digits."""
    return re.sub(r"\D", "", str(text)) if text else None


def seat_rows(answer: Any) -> list[Row]:
    """The seats of a show: a list, an object by seat, or, without `flat`, zones with seats.

    Raises:
        BadRow: They are none of these.
    """
    zones = listed(answer.get("zones")) if isinstance(answer, dict) else None
    seats = (
        [listed(answer)] if zones is None else [listed(zone.get("seats") or []) for zone in zones]
    )
    if None in seats:
        raise BadRow("the seats of a show came in a shape that is not known.")
    return [seat for some in seats for seat in some or ()]


def inventory_table(
    event_id: int,
    show_id: int,
    seats: Iterable[Row],
    moment: SnapshotMoment,
    context: RowContext,
) -> pa.Table:
    """Seats of one show summed by price zone.

    A seat is one place or an admission zone with many tickets, so capacity is the sum of
    `max_quantity`, never the number of seats. Disabled seats are not for sale: they are counted
    apart, in `disabled_quantity`.
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
    # A show without any seats has a capacity of 0, which is known, and so has a row.
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
    """One row that says that a show's seats could not be read: unknown, which is not 0."""
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
    return _table(INVENTORY, f"show {show_id}", rows, context, **derived)


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


def _table(
    table: RawTable,
    what: str,
    rows: Sequence[Row] | _Fields,
    context: RowContext,
    **derived: list[Any] | pa.ChunkedArray,
) -> pa.Table:
    fields = rows if isinstance(rows, _Fields) else _Fields(rows)
    ids = fields["id"]
    columns: dict[str, pa.Array | pa.ChunkedArray] = {}
    for column in table.columns:
        is_field = column.name not in derived
        values = fields[column.name] if is_field else derived[column.name]
        if isinstance(values, pa.ChunkedArray):
            columns[column.name] = values
            continue
        array = at_once(column.kind, values)
        if array is None and is_field:
            values = opened(values)
            _note_types(table, column, values, context)
        columns[column.name] = to_arrow(column, values, array, what, ids)
    arrow = pa.Table.from_pydict(columns, schema=table.arrow_schema())
    # Records have no other fields than those that are known.
    if table.field_columns and fields.rows and not fields.are_of_records:
        for name, unknown in _unknown_fields(table, fields.rows, context).items():
            arrow = arrow.append_column(name, pa.array(unknown, pa.string()))
    return arrow


def _note_nested(label: str, usual: type, values: Iterable[Any], context: RowContext) -> None:
    """Reports nested values of another type than the usual one."""
    for value in values:
        if value not in (None, "", [], {}) and not isinstance(value, usual):
            kind = _JSON_NAMES.get(type(value), "number")
            context.findings.changed_types.add(f"{label} ({kind})")


def _note_types(
    table: RawTable, column: Column, values: Sequence[Any], context: RowContext
) -> None:
    """Reports values of a type that the field never had; PHP's empty values have none."""
    types = {type(value) for value in values if value not in (None, "", [], {})}
    for kind in types - _USUAL_TYPES[column.kind]:
        name = _JSON_NAMES.get(kind, "number")
        context.findings.changed_types.add(f"{table.name}.{column.name} ({name})")


def _unknown_fields(
    table: RawTable, rows: Sequence[Row], context: RowContext
) -> dict[str, list[str | None]]:
    """Fields that nobody has seen before, as text: a type that changes later breaks nothing."""
    present: set[str] = set().union(*rows)
    findings = context.findings
    for name in {c.name for c in table.field_columns} - table.occasional - present:
        findings.missing.add(f"{table.name}.{name}")
    taken = {column.name for column in table.columns}
    columns: dict[str, list[str | None]] = {}
    for name in sorted(present - table.known_fields):
        values = [row.get(name) for row in rows]
        label = f"{table.name}.{name}"
        if label not in context.allowed_fields and any(looks_personal(name, v) for v in values):
            findings.withheld.add(label)
            continue
        findings.new_columns.add(label)
        column_name = _column_name(name)
        while column_name in taken or column_name in columns:
            column_name += "_x"
        columns[column_name] = [
            json_text(value) if isinstance(value, (dict, list)) else plain_text(value)
            for value in values
        ]
    return columns


def _column_name(field_name: str) -> str:
    return re.sub(r"\W+", "_", field_name).strip("_").lower() or "unnamed"
