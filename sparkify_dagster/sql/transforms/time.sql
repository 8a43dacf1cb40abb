-- The parts of every moment at which a song was started. Weeks are ISO weeks; weekday 0 is Sunday.

-- name: pending
CREATE TABLE IF NOT EXISTS pending_time (start_time TIMESTAMP NOT NULL)

-- name: changed by staging_events
INSERT INTO pending_time (start_time)
SELECT DISTINCT event_time
FROM staging_events
WHERE page = 'NextSong'
  AND user_id IS NOT NULL
  AND log_date IN (SELECT day FROM loading)
  AND source_file IN (SELECT key FROM loading)

-- name: delete
DELETE FROM time
WHERE start_time IN (SELECT start_time FROM pending_time) -- incremental

-- name: insert
INSERT INTO time (start_time, hour, day, week, month, year, weekday)
WITH moments AS (
    SELECT DISTINCT event_time
    FROM staging_events
    WHERE page = 'NextSong'
      AND user_id IS NOT NULL
      AND event_time IN (SELECT start_time FROM pending_time) -- incremental
)
SELECT
    event_time,
    CAST(EXTRACT(HOUR FROM event_time) AS INTEGER),
    CAST(EXTRACT(DAY FROM event_time) AS INTEGER),
    CAST(EXTRACT(WEEK FROM event_time) AS INTEGER),
    CAST(EXTRACT(MONTH FROM event_time) AS INTEGER),
    CAST(EXTRACT(YEAR FROM event_time) AS INTEGER),
    CAST(EXTRACT(DOW FROM event_time) AS INTEGER)
FROM moments
