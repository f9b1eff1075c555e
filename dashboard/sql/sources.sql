-- Sales by advertising. utm_content and utm_term stay out: nobody reads them here.
SELECT
    toInt32(d) AS day, event_id AS event, toString(city) AS city, toString(currency) AS currency,
    (toString(utm_group), lowerUTF8(trim(utm_medium)), trim(utm_campaign)) AS mark,
    sum(tickets_sold) AS tickets,
    toInt64(sum(revenue) * 100) AS revenue
FROM v_qtickets_sales_utm_daily
WHERE d >= {since}
GROUP BY d, event_id, city, currency, mark
ORDER BY event_id, mark, d
