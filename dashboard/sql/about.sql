-- The day of the page, where its sales begin, whose they are.
SELECT
    toInt32({today}) AS today,
    toUnixTimestamp({now}) AS moment,
    toInt32({since}) AS history_from,
    (
        SELECT if(count() = 0, NULL, toInt32(min(sales_date))) FROM fact_qtickets_sales_daily
    ) AS first_day,
    (SELECT toString(argMax(mode, started_at)) FROM meta_job_starts) AS mode
