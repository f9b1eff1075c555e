-- Who came, by show.
SELECT
    attendance.event_id AS event,
    toString(attendance.city) AS city,
    toInt32(assumeNotNull(shows.start_date)) AS day,
    shows.start_local AS starts,
    attendance.tickets_sold AS tickets,
    attendance.tickets_scanned AS came
FROM fact_qtickets_attendance AS attendance
INNER JOIN dim_shows AS shows ON attendance.show_id = shows.show_id
WHERE shows.start_date BETWEEN {since} AND {today} AND NOT shows.is_deleted
    AND attendance.tickets_sold > 0
ORDER BY event, day
