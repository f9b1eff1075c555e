-- Tickets sold and scanned at the entrance, by show with scans; the day is that of the show.
SELECT
    toInt32(assumeNotNull(shows.start_date)) AS day,
    attendance.event_id AS event,
    attendance.city AS city,
    toInt64(attendance.tickets_sold) AS tickets,
    toInt64(attendance.tickets_scanned) AS scanned
FROM fact_qtickets_attendance AS attendance
INNER JOIN dim_shows AS shows ON attendance.show_id = shows.show_id
WHERE shows.start_date BETWEEN {since} AND {today} AND NOT shows.is_deleted
    AND attendance.tickets_scanned > 0
