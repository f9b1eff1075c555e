-- Planned and actual sales, from the first to the last planned day of each event.
SELECT
    toInt32(sales_date) AS day, event_id AS event, city, currency,
    toInt64(plan_tickets) AS tickets, toInt64(plan_revenue * 100) AS revenue,
    toInt64(fact_tickets) AS actual_tickets, toInt64(fact_revenue * 100) AS actual_revenue
FROM v_plan_vs_fact
WHERE sales_date >= {since} AND is_planned
