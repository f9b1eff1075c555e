-- Refunds by day of the refund.
SELECT
    toInt32(refund_date) AS day, event_id AS event, city, currency,
    toInt64(tickets_refunded) AS tickets,
    toInt64(refunded_amount * 100) AS amount,
    toInt64(refund_deduction_amount * 100) AS deducted
FROM fact_qtickets_refunds_daily
WHERE refund_date >= {since}
