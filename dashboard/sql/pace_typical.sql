-- Mean curves of past shows: of each event, and of each city.
SELECT
    of_event,
    key,
    arrayMap(at -> at.2, arraySort(at -> -at.1, groupArray((days_before_show, tickets)))) AS curve
FROM (
    SELECT
        grouping(event_id) = 0 AS of_event,
        if(of_event, event_id, toString(city)) AS key,
        days_before_show,
        sum(tickets_so_far) / uniqExact(show_id) AS tickets
    FROM fact_qtickets_sales_pace
    WHERE is_over
    GROUP BY GROUPING SETS ((event_id, days_before_show), (city, days_before_show))
)
GROUP BY of_event, key
