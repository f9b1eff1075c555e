-- Sales by day of payment.
SELECT
    toInt32(sales_date) AS day, event_id AS event, toString(city) AS city, toString(currency) AS currency,
    tickets_sold AS tickets, toInt64(revenue * 100) AS revenue, orders
FROM fact_qtickets_sales_daily
WHERE sales_date >= {since}
ORDER BY event_id, sales_date
