-- The latest runs, with the warnings of the data tests, the orders left out, or the error.
SELECT
    toUnixTimestamp(started_at) AS started,
    toUnixTimestamp(finished_at) AS finished,
    toString(status) AS status,
    left(message, 400) AS message,
    arrayConcat(
        if(status = 'ok' AND message != '', [message], []),
        JSONExtract(metrics, 'test_warnings', 'Array(String)')
    ) AS warnings
FROM meta_job_runs
-- Without what `serve` reads between two runs.
WHERE NOT endsWith(job, '_live')
ORDER BY started_at DESC
LIMIT 10
