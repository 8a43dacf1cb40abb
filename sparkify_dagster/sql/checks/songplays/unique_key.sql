-- songplay_id is unique, over all days.
-- severity: error
--
-- The id is made of the start time among others: equal ids have equal times, so only plays within
-- the times of the changed days can be copies of theirs.
SELECT MIN(log_date) AS log_date, songplay_id, COUNT(*) AS copies
FROM songplays
WHERE start_time >= ( -- incremental
          SELECT MIN(start_time) FROM songplays -- incremental
          WHERE log_date IN (SELECT log_date FROM pending_songplays) -- incremental
      ) -- incremental
  AND start_time <= ( -- incremental
          SELECT MAX(start_time) FROM songplays -- incremental
          WHERE log_date IN (SELECT log_date FROM pending_songplays) -- incremental
      ) -- incremental
GROUP BY songplay_id
HAVING COUNT(*) > 1
