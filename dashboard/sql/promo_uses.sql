-- Orders with a promo code or discount, by day of payment.
SELECT
    toInt32(sales_date) AS day, event_id AS event, city, currency,
    concat(promo_code, '\x1f', discount_name) AS promo,
    toInt64(sum(uses)) AS uses,
    toInt64(sum(revenue) * 100) AS revenue,
    toInt64(sum(discount_amount) * 100) AS discount
FROM fact_qtickets_promo_daily
WHERE sales_date >= {since}
GROUP BY sales_date, event_id, city, currency, promo_code, discount_name
