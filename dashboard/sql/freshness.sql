-- How old each dataset is.
SELECT
    toString(dataset) AS dataset,
    toUnixTimestamp(latest_ts) AS latest,
    rows,
    age_hours,
    toString(status) AS status
FROM v_qtickets_freshness
ORDER BY dataset
