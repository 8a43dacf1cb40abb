-- A day has between a quarter and four times the rows of the average of the 28 days before it.
-- Days with fewer than seven days to compare with are not judged.
-- severity: warn
WITH days AS (
    SELECT day, SUM(rows) AS day_rows
    FROM (
        SELECT
            key, day, rows,
            ROW_NUMBER() OVER (PARTITION BY key ORDER BY loaded_at DESC) AS place
        FROM load_files
        WHERE table_name = 'staging_events'
          AND day >= (SELECT MIN(day) FROM loading) - 28 -- incremental
    ) AS versions
    WHERE place = 1
    GROUP BY day
)
SELECT
    today.day AS log_date,
    today.day_rows,
    -- FLOOR(x + 0.5): how a cast rounds halves differs from engine to engine.
    CAST(
        FLOOR(CAST(SUM(before.day_rows) AS DOUBLE PRECISION) / COUNT(*) + 0.5) AS BIGINT
    ) AS usual_rows
FROM days AS today
INNER JOIN days AS before
    ON before.day < today.day
    AND before.day >= today.day - 28
WHERE today.day IN (SELECT day FROM loading) -- incremental
GROUP BY today.day, today.day_rows
HAVING COUNT(*) >= 7
   AND (today.day_rows * 4 * COUNT(*) < SUM(before.day_rows)
        OR today.day_rows * COUNT(*) > 4 * SUM(before.day_rows))
ORDER BY today.day
