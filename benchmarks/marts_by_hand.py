"""The sales facts written by hand: three SQL statements without dbt, tests, views and docs.

The results equal those of the models for sales by day and by UTM.
"""

from pipelines.warehouse.server import Warehouse

TICKETS = """
CREATE OR REPLACE TABLE {marts}.hand_tickets ENGINE = MergeTree
ORDER BY (event_id, sales_date, order_id) AS
SELECT
    toString(o.event_id) AS event_id,
    toDate(toTimeZone(coalesce(o.payed_at, o.created_at), '{zone}')) AS sales_date,
    o.id AS order_id,
    if(e.city = '', 'unknown', e.city) AS city,
    toLowCardinality(o.currency_id) AS currency,
    multiIf(t.refunded_at IS NOT NULL, 'refunded',
        t.deleted_at IS NOT NULL OR o.deleted_at IS NOT NULL, 'cancelled', 'sold') AS state,
    toUInt32(t.quantity) AS quantity,
    toDecimal64(t.price * t.quantity, 2) AS amount,
    o.utm AS utm
FROM {raw}.tickets AS t FINAL
INNER JOIN (SELECT * FROM {raw}.orders FINAL WHERE payed) AS o
    ON t.order_id = o.id AND t._fetched_at = o._fetched_at
LEFT JOIN (
    SELECT id, lowerUTF8(trim(coalesce(city_name, ''))) AS city FROM {raw}.events FINAL
) AS e ON o.event_id = e.id
SETTINGS join_use_nulls = 0
"""

DAILY = """
CREATE OR REPLACE TABLE {marts}.hand_sales_daily ENGINE = MergeTree
PARTITION BY toYear(sales_date) ORDER BY (sales_date, event_id, city, currency) AS
SELECT sales_date, event_id, city, currency,
    sumIf(quantity, state = 'sold') AS tickets_sold,
    toDecimal64(sumIf(amount, state = 'sold'), 2) AS revenue,
    uniqExactIf(order_id, state = 'sold') AS orders,
    toDecimal64(sum(amount), 2) AS gross_revenue,
    toDecimal64(sumIf(amount, state = 'refunded'), 2) AS refunded_amount
FROM {marts}.hand_tickets GROUP BY sales_date, event_id, city, currency
"""

UTM_DAILY = """
CREATE OR REPLACE TABLE {marts}.hand_sales_utm_daily ENGINE = MergeTree
PARTITION BY toYear(sales_date) ORDER BY (sales_date, event_id) AS
SELECT sales_date, event_id, city, currency,
    JSONExtractString(coalesce(utm, ''), 'utm_source') AS source,
    JSONExtractString(coalesce(utm, ''), 'utm_medium') AS medium,
    JSONExtractString(coalesce(utm, ''), 'utm_campaign') AS campaign,
    sumIf(quantity, state = 'sold') AS tickets_sold,
    toDecimal64(sumIf(amount, state = 'sold'), 2) AS revenue
FROM {marts}.hand_tickets GROUP BY ALL
"""

TOTALS = "SELECT sum(tickets_sold), sum(revenue), count() FROM {marts}.{table}"


def build_by_hand(warehouse: Warehouse) -> None:
    """Build the three tables."""
    with warehouse.connect(warehouse.transformer) as client:
        for statement in (TICKETS, DAILY, UTM_DAILY):
            client.command(
                statement.format(
                    marts=warehouse.marts_db, raw=warehouse.raw_db, zone="Europe/Moscow"
                ),
                settings={"send_timeout": 1800, "receive_timeout": 1800},
            )


def verify_totals(warehouse: Warehouse) -> None:
    """Compare the totals of the tables built by hand with those of the project.

    Raises:
        RuntimeError: They differ.
    """
    with warehouse.connect(warehouse.transformer) as client:
        hand, built = (
            client.query(TOTALS.format(marts=warehouse.marts_db, table=table)).result_rows[0]
            for table in ("hand_sales_daily", "fact_qtickets_sales_daily")
        )
    if hand != built:
        raise RuntimeError(f"by hand {hand}, built {built}")
