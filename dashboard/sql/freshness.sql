-- Freshness by dataset.
SELECT
    toString(dataset) AS dataset,
    toUnixTimestamp(latest_ts) AS latest,
    rows,
    toString(status) AS status
FROM v_qtickets_freshness
ORDER BY dataset
