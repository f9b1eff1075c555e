"""Base URL, endpoints, selected fields, and the defaults of the source."""

from datetime import timedelta
from typing import Literal

BASE_URL = "https://qtickets.ru/api/rest/v1"

ORDERS_PATH = "orders"
EVENTS_PATH = "events"
DISCOUNTS_PATH = "discounts"
PROMO_CODES_PATH = "promo-codes"
COLOR_THEMES_PATH = "color-themes"
PARTNERS_FIND_PATH = "tickets/find"
CLIENTS_PATH = "clients"
BARCODES_PATH = "shows/{show_id}/barcodes"
SEATS_PATH = "shows/{show_id}/seats"

# Only what capacity, free seats and prices need: the answer for a large hall is large.
SEAT_FIELDS = (
    "id",
    "root_id",
    "zone_id",
    "admission",
    "price",
    "currency_id",
    "max_quantity",
    "free_quantity",
    "ordered_quantity",
    "payed_quantity",
    "disabled",
)

BARCODE_FIELDS = ("barcode", "price", "seat_name", "admission", "zone_name", "row", "place")

LARGER_PAGES = {ORDERS_PATH: 100, EVENTS_PATH: 100}
"""Rows of a page that are asked for, by list; by itself the service sends 50 orders, 10 events."""

Transport = Literal["get_body", "get_query", "post_body"]
TRANSPORTS: tuple[Transport, ...] = ("get_body", "get_query")
"""How list requests are sent, in the order in which the transports are tried.

`get_body` is the documented one, `get_query` sends the same as JSON in the query string.
`post_body`, for old deployments, must be asked for by name: the same path creates orders.
"""
ALL_TRANSPORTS: tuple[Transport, ...] = (*TRANSPORTS, "post_body")

INITIAL_DAYS = 30
OVERLAP_HOURS = 2.0
REREAD_DAYS = 3.0
# A little less than a day, so that a daily run may start a minute earlier than yesterday.
REREAD_EVERY = timedelta(hours=23)
# Unchanged seats are loaded again after this time, so that the newest snapshot says how fresh they
# are: with a run every half an hour, every second run.
SNAPSHOT_EVERY = timedelta(minutes=45)
CONNECTIONS = 4
TIMEOUT_SECONDS = 60.0
RETRY_SECONDS = 120.0
