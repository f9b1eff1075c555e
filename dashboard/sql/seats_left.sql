-- Seats left of shows on sale: as last counted by the service, less what was sold since then.
WITH counted AS (
    SELECT
        show_id, any(seats.tickets_total) AS total, any(seats.tickets_left) AS free,
        any(seats.snapshot_ts) AS counted_ts
    FROM fact_qtickets_inventory_by_show AS seats
    WHERE seats.snapshot_ts IS NOT NULL AND seats.tickets_left IS NOT NULL
    GROUP BY show_id
),
sold_since AS (
    SELECT tickets.show_id AS show_id, toInt64(sum(tickets.entrances)) AS sold
    FROM fact_qtickets_tickets AS tickets
    INNER JOIN counted ON tickets.show_id = counted.show_id
    WHERE tickets.ticket_state = 'sold' AND tickets.sales_date >= {today} - 7
        AND tickets.sale_ts > counted.counted_ts
    GROUP BY tickets.show_id
)
SELECT
    shows.show_id AS show,
    shows.event_name AS event,
    shows.start_local AS starts,
    toInt64(counted.total) AS total,
    greatest(0, toInt64(counted.free) - coalesce(sold_since.sold, 0)) AS left,
    toUnixTimestamp(counted.counted_ts) AS counted_at
FROM dim_shows AS shows
INNER JOIN counted ON shows.show_id = counted.show_id
LEFT JOIN sold_since ON shows.show_id = sold_since.show_id
WHERE NOT shows.is_deleted AND NOT shows.is_over
ORDER BY shows.start_ts, shows.show_id
LIMIT {shows}
