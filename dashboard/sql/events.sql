-- All events, including deleted ones. Seats are those of shows that are not over.
SELECT
    event_id AS event,
    event_name AS name,
    toString(city) AS city,
    toString(currency) AS currency,
    toInt32(start_date) AS starts,
    toInt32(end_date) AS ends,
    tickets_total AS total,
    tickets_left AS left,
    is_deleted AS deleted
FROM dim_events
ORDER BY toUInt64OrZero(event_id), event_id
