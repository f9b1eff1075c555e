"""The raw tables: their columns, keys and engines.

Every raw table is append-only. On ClickHouse it is a `ReplacingMergeTree` sorted by its key, with
`_fetched_at` as version: a repeated, overlapping or interrupted load adds versions of rows, and the
reader (`FINAL`) takes the newest one. On other destinations the rows are simply appended.

Names are the service's own. All timestamps are UTC, all money `Decimal(18, 2)` in the currency of
the order or event, all identifiers integers as the service sends them.
"""

from dataclasses import dataclass
from typing import Literal

import pyarrow as pa

from ..privacy import WITHHELD_EVENT_FIELDS, WITHHELD_ORDER_FIELDS, WITHHELD_TICKET_FIELDS

Kind = Literal["integer", "money", "timestamp", "flag", "text", "json"]

ARROW_TYPES: dict[Kind, pa.DataType] = {
    "integer": pa.int64(),
    "money": pa.decimal128(18, 2),
    "timestamp": pa.timestamp("us", tz="UTC"),
    "flag": pa.bool_(),
    "text": pa.string(),
    "json": pa.string(),
}


@dataclass(frozen=True)
class Column:
    """One column.

    Attributes:
        required: It may not be null: money, counts and keys depend on it.
        lenient: No number depends on it: a value that cannot be read becomes null.
    """

    name: str
    kind: Kind
    required: bool = False
    lenient: bool = False


@dataclass(frozen=True)
class RawTable:
    """A raw table.

    Attributes:
        key: Columns that identify a row, and its sorting key.
        field_columns: Columns taken from the service's field of the same name.
        derived_columns: Columns computed on the way (keys of parents, hashes, sums).
        withheld: Fields of the service that are known and never loaded.
        nested: Fields of the service that become rows or columns elsewhere.
        occasional: Fields that a row need not have; the absence of others is reported.
    """

    name: str
    key: tuple[str, ...]
    derived_columns: tuple[Column, ...]
    field_columns: tuple[Column, ...]
    withheld: frozenset[str] = frozenset()
    nested: frozenset[str] = frozenset()
    occasional: frozenset[str] = frozenset()

    @property
    def columns(self) -> tuple[Column, ...]:
        # The key comes first, in the order of the sorting key: ClickHouse wants the primary key
        # to be a prefix of it, and dlt writes the primary key in the order of the columns.
        columns = (*self.derived_columns, *self.field_columns)
        by_name = {column.name: column for column in columns}
        keys = tuple(by_name[name] for name in self.key)
        return (*keys, *(column for column in columns if column.name not in self.key))

    @property
    def known_fields(self) -> frozenset[str]:
        names = {c.name for c in self.field_columns} | {"_fetched_at"}
        return self.withheld | self.nested | names

    def arrow_schema(self) -> pa.Schema:
        return pa.schema(
            pa.field(c.name, ARROW_TYPES[c.kind], nullable=not c.required) for c in self.columns
        )


def _columns(
    kind: Kind, names: str, *, required: bool = False, lenient: bool = False
) -> tuple[Column, ...]:
    return tuple(Column(name, kind, required, lenient) for name in names.split())


_FETCHED_AT = Column("_fetched_at", "timestamp", required=True)

ORDERS = RawTable(
    name="orders",
    key=("id",),
    derived_columns=(
        _FETCHED_AT,
        *_columns("text", "buyer_hash"),
        *_columns("integer", "baskets_count", required=True),
        # Set by reconciliation alone: the service no longer lists the order.
        *_columns("timestamp", "vanished_at"),
        *_columns("flag", "is_box_office"),
    ),
    field_columns=(
        *_columns("integer", "id event_id", required=True),
        *_columns("flag", "payed", required=True),
        *_columns("timestamp", "payed_at updated_at deleted_at"),
        *_columns("timestamp", "reserved_to", lenient=True),
        *_columns("timestamp", "created_at", required=True),
        *_columns("money", "price original_price"),
        *_columns("text", "currency_id", required=True),
        *_columns("integer", "payment_id discount_id promo_code_id access_code_id site_id"),
        *_columns("text", "payment_type_id"),
        *_columns("flag", "reserved reserve_extended"),
        *_columns("json", "utm refunds primary_orders secondary_orders"),
    ),
    withheld=WITHHELD_ORDER_FIELDS,
    nested=frozenset({"baskets"}),
    # Only an exchange has them.
    occasional=frozenset({"primary_orders", "secondary_orders"}),
)

# Tickets carry their order's `_fetched_at`: the newest answer about an order decides which
# tickets it has.
TICKETS = RawTable(
    name="tickets",
    key=("order_id", "id"),
    derived_columns=(
        _FETCHED_AT,
        Column("order_id", "integer", required=True),
        *_columns("text", "barcode_hash"),
        # Season tickets: rows/season_tickets.py.
        *_columns("integer", "main_ticket_id related_tickets"),
    ),
    field_columns=(
        *_columns("integer", "id show_id quantity", required=True),
        *_columns("money", "price", required=True),
        *_columns(
            "money",
            "original_price ticket_original_price discount_value ticket_amount"
            " service_fee_amount refunded_amount refunded_deduction_amount",
        ),
        *_columns("timestamp", "created_at updated_at deleted_at refunded_at checked_at"),
        *_columns("text", "seat_id seat_name multiprice_code series"),
        *_columns("json", "refunds related_baskets services"),
    ),
    withheld=WITHHELD_TICKET_FIELDS,
)

EVENTS = RawTable(
    name="events",
    key=("id",),
    derived_columns=(_FETCHED_AT, *_columns("text", "city_name city_timezone")),
    field_columns=(
        *_columns("integer", "id", required=True),
        *_columns("text", "name"),
        *_columns("flag", "is_active"),
        *_columns("text", "currency_id place_name place_address age url slug external_id"),
        *_columns("integer", "scheme_id city_id event_type_id ticket_id mail_template_id"),
        *_columns("text", "site_url"),
        *_columns("json", "place_coordinates"),
        *_columns("timestamp", "created_at updated_at deleted_at"),
    ),
    withheld=WITHHELD_EVENT_FIELDS,
    nested=frozenset({"shows", "city"}),
)

SHOWS = RawTable(
    name="shows",
    key=("id",),
    derived_columns=(_FETCHED_AT, Column("event_id", "integer", required=True)),
    field_columns=(
        *_columns("integer", "id", required=True),
        *_columns("text", "name"),
        *_columns("flag", "is_active"),
        *_columns("timestamp", "sale_start_date sale_finish_date open_date", lenient=True),
        *_columns("timestamp", "start_date finish_date created_at updated_at deleted_at"),
        *_columns("json", "prices min_price max_price"),
    ),
    # Up to 76 KB a show, keyed by the names of zones, rows and seats. No table needs it.
    withheld=frozenset({"scheme_properties"}),
)

# One row a show, price zone and snapshot; quantities are null in the single row of a show whose
# seats could not be read.
INVENTORY = RawTable(
    name="inventory",
    key=("show_id", "snapshot_at", "zone_id", "price"),
    derived_columns=(
        _FETCHED_AT,
        Column("snapshot_at", "timestamp", required=True),
        *_columns("integer", "show_id event_id", required=True),
        Column("zone_id", "text", required=True),
        Column("price", "money", required=True),
        *_columns("text", "currency_id"),
        *_columns("integer", "seats max_quantity free_quantity ordered_quantity payed_quantity"),
        *_columns("integer", "disabled_quantity"),
        *_columns("text", "unreadable"),
    ),
    field_columns=(),
)

DISCOUNTS = RawTable(
    name="discounts",
    key=("id",),
    derived_columns=(_FETCHED_AT,),
    field_columns=(
        *_columns("integer", "id", required=True),
        *_columns("text", "name type"),
        *_columns("flag", "is_active"),
        *_columns("timestamp", "active_from active_to", lenient=True),
        *_columns("timestamp", "created_at updated_at deleted_at"),
        *_columns("json", "events shows"),
    ),
)

PROMO_CODES = RawTable(
    name="promo_codes",
    key=("id",),
    derived_columns=(_FETCHED_AT,),
    field_columns=(
        *_columns("integer", "id", required=True),
        *_columns("text", "code type"),
        *_columns("flag", "is_active"),
        *_columns("integer", "discount_id max_uses_count"),
        *_columns("timestamp", "active_from active_to", lenient=True),
        *_columns("timestamp", "created_at updated_at deleted_at"),
    ),
)

PRICE_SHADES = RawTable(
    name="price_shades",
    key=("id",),
    derived_columns=(_FETCHED_AT,),
    field_columns=(*_columns("integer", "id", required=True), *_columns("text", "name color")),
    occasional=frozenset({"name"}),
)

# Only what distinguishes buyers is kept.
CLIENTS = RawTable(
    name="clients",
    key=("id_hash",),
    derived_columns=(
        _FETCHED_AT,
        Column("id_hash", "text", required=True),
        *_columns("text", "email_hash phone_hash"),
    ),
    field_columns=(),
)

# The valid tickets of a show, as the scanners at the entrance have them.
BARCODES = RawTable(
    name="barcodes",
    key=("show_id", "barcode_hash"),
    derived_columns=(
        _FETCHED_AT,
        Column("show_id", "integer", required=True),
        Column("barcode_hash", "text", required=True),
    ),
    field_columns=(
        *_columns("money", "price"),
        *_columns("text", "seat_name zone_name row place"),
        *_columns("flag", "admission"),
        *_columns("timestamp", "checked_at"),
    ),
    withheld=WITHHELD_TICKET_FIELDS,
    occasional=frozenset({"checked_at"}),
)

PARTNER_TICKETS = RawTable(
    name="partner_tickets",
    key=("id",),
    derived_columns=(
        _FETCHED_AT,
        *_columns("text", "barcode_hash external_order_hash external_hash"),
    ),
    field_columns=(
        *_columns("integer", "id", required=True),
        *_columns("integer", "event_id show_id"),
        *_columns("flag", "paid deleted admission"),
        *_columns("timestamp", "paid_at reserved_to"),
        *_columns("text", "seat_id offer_id"),
        *_columns("money", "price"),
    ),
    withheld=WITHHELD_TICKET_FIELDS | {"external_id", "external_order_id"},
    occasional=frozenset({"event_id", "show_id"}),
)

ALL_TABLES = (
    ORDERS,
    TICKETS,
    EVENTS,
    SHOWS,
    INVENTORY,
    DISCOUNTS,
    PROMO_CODES,
    PRICE_SHADES,
    CLIENTS,
    BARCODES,
    PARTNER_TICKETS,
)

TABLE_NAMES = tuple(table.name for table in ALL_TABLES)
