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
        argMin(tuple(toString(compared_with), compared_shows), days_before_show) AS last
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
    if(forecast.show_id = 0, NULL, forecast.tickets_p50) AS expected,
    if(forecast.show_id = 0, NULL, forecast.tickets_p10) AS expected_low,
    if(forecast.show_id = 0, NULL, forecast.tickets_p90) AS expected_high,
    accuracy.horizon_days AS error_days,
    accuracy.shows AS error_shows,
    accuracy.wape AS error
FROM curves
LEFT JOIN fact_qtickets_forecast AS forecast
    ON curves.show_id = forecast.show_id AND curves.currency = forecast.currency
-- The error at the nearest horizon of the backtest; 0 shows without one.
LEFT JOIN (
    SELECT horizon_days, shows, wape FROM fact_qtickets_forecast_accuracy WHERE method = 'pickup'
) AS accuracy
    ON accuracy.horizon_days = multiIf(
        curves.days_left <= 1, 1, curves.days_left <= 4, 3, curves.days_left <= 10, 7,
        curves.days_left <= 21, 14, 30
    )
LEFT JOIN dim_shows AS shows ON curves.show_id = shows.show_id
ORDER BY curves.day, starts, event, currency
SETTINGS join_use_nulls = 0
