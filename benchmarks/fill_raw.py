"""Raw tables of any size, generated inside ClickHouse.

`fill` generates N orders over two years with 2.3 tickets each, and 300 events of five shows, except
for the orders of the last day. `change` adds that day: its orders, and new versions of as many
older ones, spread over the last 60 days; half of the new versions are refunds.
"""

from clickhouse_connect.driver.client import Client

DAYS, CHANGED_DAYS = 730, 60

# An order is a function of its number, so a change can write a new version of the same order.
ORDER = """
    number + 1 AS id,
    1 + number % 300 AS event_id,
    now64(6, 'UTC') - INTERVAL {days} DAY
        + toIntervalSecond(intDiv(number * {seconds}, {orders})) AS payed_at,
    [1, 2, 2, 3, 2, 2, 4, 2, 3, 2][number % 10 + 1] AS baskets_count
FROM numbers({first}, {count})
"""

ORDERS = """
INSERT INTO {raw}.orders (id, _fetched_at, buyer_hash, baskets_count, event_id, payed, payed_at,
    updated_at, created_at, price, currency_id, promo_code_id, discount_id, utm)
SELECT id, {fetched_at}, lower(hex(MD5(toString(id % greatest(1, intDiv({orders} * 7, 10)))))),
    baskets_count, event_id, id % 10 != 9, payed_at, payed_at, payed_at, 700 * baskets_count, 'RUB',
    if(id % 12 = 0, id % 1000, NULL), if(id % 12 = 0, id % 50, NULL),
    if(id % 3 = 0, concat('{{"utm_source":"', ['vk', 'yandex', 'telegram', 'mail'][id % 4 + 1],
        '","utm_medium":"cpc","utm_campaign":"c', toString(id % 40), '"}}'), '[]')
FROM (SELECT {order}) WHERE {which}
"""

TICKETS = """
INSERT INTO {raw}.tickets (order_id, id, _fetched_at, show_id, quantity, price, discount_value,
    refunded_deduction_amount, updated_at, refunded_at, deleted_at, checked_at)
SELECT id, id * 10 + place, {fetched_at}, event_id * 10 + (id + place) % 5, 1, 700, 0,
    if(refunded, 70, NULL), payed_at,
    if(refunded, payed_at + INTERVAL 3 DAY, NULL),
    if(refunded OR id % 100 = 1, payed_at + INTERVAL 3 DAY, NULL),
    if(id % 5 < 3, payed_at + INTERVAL 20 DAY, NULL)
FROM (
    SELECT *, arrayJoin(range(baskets_count)) AS place, {refunded} AS refunded FROM (SELECT {order})
) WHERE {which}
"""

EVENTS = """
INSERT INTO {raw}.events (id, _fetched_at, name, city_name, city_timezone, currency_id, updated_at)
SELECT number + 1, now64(6), concat('Event ', toString(number)), concat('City ',
    toString(number % 20)), 'Asia/Novosibirsk', 'RUB', now64(6) FROM numbers(300)
"""

SHOWS = """
INSERT INTO {raw}.shows (id, _fetched_at, event_id, start_date, finish_date, updated_at)
SELECT (intDiv(number, 5) + 1) * 10 + number % 5, now64(6), intDiv(number, 5) + 1,
    now64(6) + toIntervalDay(toInt32(number % 330) - 300) AS start_date,
    start_date + INTERVAL 2 HOUR, now64(6) FROM numbers(1500)
"""

INVENTORY = """
INSERT INTO {raw}.inventory (show_id, snapshot_at, zone_id, price, _fetched_at, event_id,
    max_quantity, free_quantity)
SELECT (number % 150 + 1) * 10 + 1, toStartOfHour(now64(6)) - toIntervalMinute(30 * intDiv(number,
    450)) AS snapshot_at, toString(intDiv(number, 150) % 3), 700, snapshot_at, number % 150 + 1,
    500, number % 500 FROM numbers(450 * 48 * 30)
"""

# Some tests of the marts read only recently loaded rows, which history is not.
LAST_WEEK = "now64(6) - INTERVAL 7 DAY"


def fill(client: Client, raw: str, orders: int) -> None:
    """Replace the contents of the raw tables by `orders` orders, without those of the last day."""
    for table in ("orders", "tickets", "events", "shows", "inventory"):
        client.command(f"TRUNCATE TABLE {raw}.{table}")
    for statement in (EVENTS, SHOWS, INVENTORY):
        client.command(statement.format(raw=raw))
    # In slices, since more orders in one statement need more memory than a small machine has.
    until = orders - orders // DAYS
    for first in range(0, until, 2_000_000):
        count = min(2_000_000, until - first)
        _insert(client, raw, orders, first, count, "true", "id % 50 = 0", LAST_WEEK)


def change(client: Client, raw: str, orders: int) -> None:
    """Add the orders of the last day, and new versions of as many of the last 60 days."""
    day, count = orders // DAYS, orders * CHANGED_DAYS // DAYS
    which = f"id > {orders - day} OR id % {CHANGED_DAYS} = 0"
    refunded = f"id % {2 * CHANGED_DAYS} = 0"
    _insert(client, raw, orders, orders - count, count, which, refunded, "now64(6)")


def _insert(
    client: Client,
    raw: str,
    orders: int,
    first: int,
    count: int,
    which: str,
    refunded: str,
    fetched_at: str,
) -> None:
    order = ORDER.format(days=DAYS, seconds=DAYS * 86400, orders=orders, first=first, count=count)
    # One timestamp for both statements: an order and its tickets come from one response.
    timestamp = client.query(f"SELECT toString({fetched_at})").result_rows[0][0]
    for statement in (ORDERS, TICKETS):
        client.command(
            statement.format(
                raw=raw,
                orders=orders,
                order=order,
                which=which,
                refunded=refunded,
                fetched_at=f"toDateTime64('{timestamp}', 6, 'UTC')",
            )
        )
