-- Every day with songplays has its row, and counts as many as there are.
-- severity: error
SELECT
    COALESCE(counted.log_date, found.log_date) AS log_date,
    COALESCE(counted.plays, 0) AS counted_plays,
    COALESCE(found.plays, 0) AS songplays
FROM (
    SELECT log_date, SUM(songplays) AS plays
    FROM songplays_per_day
    WHERE log_date IN (SELECT log_date FROM pending_songplays_per_day) -- incremental
    GROUP BY log_date
) AS counted
FULL OUTER JOIN (
    SELECT log_date, COUNT(*) AS plays
    FROM songplays
    WHERE log_date IN (SELECT log_date FROM pending_songplays_per_day) -- incremental
    GROUP BY log_date
) AS found
    ON found.log_date = counted.log_date
WHERE COALESCE(counted.plays, 0) <> COALESCE(found.plays, 0)
