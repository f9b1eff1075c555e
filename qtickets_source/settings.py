"""Where the service is, what its lists are called, and the defaults of the source."""

from datetime import timedelta

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

# The least that capacity, what is left, and prices need; the answer of a hall is large.
SEAT_FIELDS = (
    "id",
    "zone_id",
    "price",
    "currency_id",
    "max_quantity",
    "free_quantity",
    "ordered_quantity",
    "payed_quantity",
    "disabled",
)

BARCODE_FIELDS = ("barcode", "price", "seat_name", "admission", "zone_name", "row", "place")

# Left out unless selected: slow, or of use to few.
OPTIONAL_RESOURCES = ("clients", "barcodes", "partner_tickets")

INITIAL_DAYS = 30
OVERLAP_HOURS = 2.0
REREAD_DAYS = 3.0
# A little less than a day: a daily run that starts a minute earlier than yesterday's counts.
REREAD_EVERY = timedelta(hours=23)
# Seats that stay the same are loaded again after this time, so that a snapshot says until when
# they are known: in a run every half an hour, every second one.
SNAPSHOT_EVERY = timedelta(minutes=45)
CONNECTIONS = 4
TIMEOUT_SECONDS = 60.0
RETRY_SECONDS = 120.0

# Rows of one Arrow table. dlt handles a table at a cost that hardly depends on its size, so
# single pages of 50 orders would be slow, and whole histories would not fit in memory.
ROWS_PER_BATCH = 2000
