-- Every start_time has its row in time.
-- severity: error
--
-- Of time, only the moments of the changed days are read: an outer join alone would read them all.
SELECT child.log_date, child.songplay_id, child.start_time
FROM songplays AS child
LEFT JOIN (
    SELECT start_time
    FROM time
    WHERE start_time IN ( -- incremental
        SELECT start_time FROM songplays -- incremental
        WHERE log_date IN (SELECT log_date FROM pending_songplays) -- incremental
    ) -- incremental
) AS parent
    ON parent.start_time = child.start_time
WHERE parent.start_time IS NULL
  AND child.start_time IS NOT NULL
  AND child.log_date IN (SELECT log_date FROM pending_songplays) -- incremental
