-- Of the plays of a day, the share without a listener, and that without an artist, is at most five
-- points above that of the 28 days before it. Days with fewer than seven days to compare with are
-- not judged.
-- severity: warn
WITH days AS (
    SELECT
        log_date,
        COUNT(*) AS plays,
        SUM(CASE WHEN user_id IS NULL THEN 1 ELSE 0 END) AS without_listener,
        SUM(CASE WHEN artist IS NULL THEN 1 ELSE 0 END) AS without_artist
    FROM staging_events
    WHERE page = 'NextSong'
      AND log_date IN (
          SELECT day
          FROM load_files
          WHERE table_name = 'staging_events'
            AND day >= (SELECT MIN(day) FROM loading) - 28 -- incremental
            AND day <= (SELECT MAX(day) FROM loading) -- incremental
      )
    GROUP BY log_date
)
SELECT today.log_date, today.plays, today.without_listener, today.without_artist
FROM days AS today
INNER JOIN days AS before
    ON before.log_date < today.log_date
    AND before.log_date >= today.log_date - 28
WHERE today.log_date IN (SELECT day FROM loading) -- incremental
GROUP BY today.log_date, today.plays, today.without_listener, today.without_artist
HAVING COUNT(*) >= 7
   AND (CAST(today.without_listener AS DOUBLE PRECISION) / today.plays
            > CAST(SUM(before.without_listener) AS DOUBLE PRECISION) / SUM(before.plays) + 0.05
        OR CAST(today.without_artist AS DOUBLE PRECISION) / today.plays
            > CAST(SUM(before.without_artist) AS DOUBLE PRECISION) / SUM(before.plays) + 0.05)
ORDER BY today.log_date
