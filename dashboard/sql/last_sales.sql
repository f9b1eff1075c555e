-- The last orders that still hold a sold ticket. Nothing in it is about a person.
SELECT
    toUnixTimestamp(max(tickets.sale_ts)) AS at,
    any(if(events.event_name = '', tickets.event_id, events.event_name)) AS event,
    toInt64(sum(tickets.quantity)) AS tickets,
    toInt64(sum(tickets.amount) * 100) AS amount,
    toString(any(tickets.currency)) AS currency
FROM fact_qtickets_tickets AS tickets
LEFT JOIN dim_events AS events ON tickets.event_id = events.event_id
WHERE tickets.ticket_state = 'sold' AND tickets.sales_date >= {today} - 7
GROUP BY tickets.order_id
ORDER BY at DESC, tickets.order_id DESC
LIMIT {last_sales}
