-- Every distinct NextSong event of an identified listener is one songplay, on its earliest day.
-- severity: error
WITH events AS (
    SELECT MIN(log_date) AS log_date
    FROM staging_events
    WHERE page = 'NextSong'
      AND user_id IS NOT NULL
      AND event_time IN ( -- incremental
          SELECT event_time FROM staging_events -- incremental
          WHERE page = 'NextSong' -- incremental
            AND log_date IN (SELECT log_date FROM pending_songplays) -- incremental
      ) -- incremental
    GROUP BY ts, user_id, session_id, item_in_session
),
expected AS (
    SELECT log_date, COUNT(*) AS events
    FROM events
    WHERE log_date IN (SELECT log_date FROM pending_songplays) -- incremental
    GROUP BY log_date
),
found AS (
    SELECT log_date, COUNT(*) AS plays
    FROM songplays
    WHERE log_date IN (SELECT log_date FROM pending_songplays) -- incremental
    GROUP BY log_date
)
SELECT
    COALESCE(expected.log_date, found.log_date) AS log_date,
    COALESCE(expected.events, 0) AS events,
    COALESCE(found.plays, 0) AS plays
FROM expected
FULL OUTER JOIN found ON found.log_date = expected.log_date
WHERE COALESCE(expected.events, 0) <> COALESCE(found.plays, 0)
ORDER BY 1
