-- Promo codes and discounts by day of payment.
SELECT
    toInt32(sales_date) AS day, event_id AS event, toString(city) AS city, toString(currency) AS currency,
    (promo_code, discount_name) AS promo,
    sum(uses) AS uses,
    sum(tickets_sold) AS tickets,
    toInt64(sum(revenue) * 100) AS revenue,
    toInt64(sum(discount_amount) * 100) AS discount
FROM fact_qtickets_promo_daily
WHERE sales_date >= {since}
GROUP BY sales_date, event_id, city, currency, promo
ORDER BY event_id, promo, sales_date
