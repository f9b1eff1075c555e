-- Sales by UTM source, medium and campaign. The page does not show utm_content and utm_term.
SELECT
    toInt32(d) AS day, event_id AS event, city, currency,
    concat(utm_group, '\x1f', medium, '\x1f', campaign) AS utm,
    tickets, revenue
FROM (
    SELECT
        d, event_id, city, currency, utm_group,
        lowerUTF8(trim(utm_medium)) AS medium,
        trim(utm_campaign) AS campaign,
        toInt64(sum(tickets_sold)) AS tickets,
        toInt64(sum(revenue) * 100) AS revenue
    FROM v_qtickets_sales_utm_daily
    WHERE d >= {since}
    GROUP BY d, event_id, city, currency, utm_group, medium, campaign
)
