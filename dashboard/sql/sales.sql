-- Sales by day of payment.
SELECT
    toInt32(sales_date) AS day, event_id AS event, city, currency,
    toInt64(tickets_sold) AS tickets, toInt64(revenue * 100) AS revenue, toInt64(orders) AS orders
FROM fact_qtickets_sales_daily
WHERE sales_date >= {since}
