-- The current day and moment, the range of the history, and the origin of the sales.
SELECT
    toInt32({today}) AS today,
    toUnixTimestamp({now}) AS as_of,
    toInt32({since}) AS history_from,
    (
        SELECT if(count() = 0, NULL, toInt32(min(sales_date))) FROM fact_qtickets_sales_daily
    ) AS first_day,
    (SELECT toString(argMax(mode, started_at)) FROM meta_job_starts) AS mode
