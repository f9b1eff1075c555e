-- Shows on sale. A curve is the cumulative number of tickets, from 180 days before the show to now.
WITH curves AS (
    SELECT
        show_id,
        currency,
        any(event_id) AS event,
        any(toString(city)) AS city,
        toInt32(any(show_date)) AS day,
        min(days_before_show) AS days_left,
        groupArray((days_before_show, tickets_so_far)) AS days,
        arrayMap(at -> at.2, arraySort(at -> -at.1, days)) AS curve,
        argMin(
            tuple(toString(compared_with), compared_shows, tickets_expected),
            days_before_show
        ) AS last
    FROM fact_qtickets_sales_pace
    WHERE NOT is_over
    GROUP BY show_id, currency
    ORDER BY day, show_id
    LIMIT {shows_with_pace}
)
SELECT
    curves.event AS event,
    curves.city AS city,
    toString(curves.currency) AS currency,
    curves.day AS day,
    shows.start_local AS starts,
    curves.days_left AS days_left,
    curves.curve AS curve,
    curves.last.1 AS compared_with,
    curves.last.2 AS compared_shows,
    curves.last.3 AS expected
FROM curves
LEFT JOIN dim_shows AS shows ON curves.show_id = shows.show_id
ORDER BY curves.day, starts, event, currency
SETTINGS join_use_nulls = 0
