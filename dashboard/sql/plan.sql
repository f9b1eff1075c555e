-- Planned sales by day. Actual sales are in sales.sql.
SELECT
    toInt32(sales_date) AS day, event_id AS event, city, currency,
    toInt64(plan_tickets) AS tickets, toInt64(plan_revenue * 100) AS revenue
FROM v_plan_vs_fact
WHERE sales_date >= {since} AND (plan_tickets > 0 OR plan_revenue > 0)
