-- Unbroken periods of one listener at one level, from the NextSong events in order of time.
-- A period starts at its first event and ends where the next one starts; at one instant paid
-- wins over free (MAX: 'paid' is the greater word). Periods that end before a listener's first
-- changed event stay as they are.

-- name: pending
CREATE TABLE IF NOT EXISTS pending_user_levels (user_id INTEGER NOT NULL, since TIMESTAMP NOT NULL)

-- name: changed by staging_events
INSERT INTO pending_user_levels (user_id, since)
SELECT user_id, MIN(event_time)
FROM staging_events
WHERE page = 'NextSong'
  AND user_id IS NOT NULL
  AND log_date IN (SELECT day FROM loading)
  AND source_file IN (SELECT key FROM loading)
GROUP BY user_id

-- name: delete
DELETE FROM user_levels
USING pending_user_levels -- incremental
WHERE pending_user_levels.user_id = user_levels.user_id -- incremental
  AND pending_user_levels.since <= user_levels.valid_from -- incremental

-- name: insert
INSERT INTO user_levels (user_id, level, valid_from, valid_to, is_current)
WITH moments AS (
    SELECT e.user_id, e.event_time, MAX(e.level) AS level, 1 AS is_event
    FROM staging_events AS e
    INNER JOIN ( -- incremental
        SELECT user_id, MIN(since) AS since FROM pending_user_levels GROUP BY user_id -- incremental
    ) AS changed -- incremental
        ON changed.user_id = e.user_id AND changed.since <= e.event_time -- incremental
    WHERE e.page = 'NextSong'
      AND e.user_id IS NOT NULL
      AND e.event_time >= (SELECT MIN(since) FROM pending_user_levels) -- incremental
    GROUP BY e.user_id, e.event_time
    UNION ALL -- incremental
    SELECT user_id, valid_from, level, 0 -- incremental
    FROM user_levels -- incremental
    WHERE user_id IN (SELECT user_id FROM pending_user_levels) -- incremental
),
steps AS (
    SELECT
        user_id, event_time, level, is_event,
        LAG(level) OVER (PARTITION BY user_id ORDER BY event_time) AS level_before
    FROM moments
),
starts AS (
    SELECT user_id, event_time, level
    FROM steps
    WHERE is_event = 1
      AND (level_before IS NULL OR level_before <> level)
),
periods AS (
    SELECT
        user_id, event_time, level,
        LEAD(event_time) OVER (PARTITION BY user_id ORDER BY event_time) AS next_time
    FROM starts
)
SELECT
    user_id,
    level,
    event_time,
    next_time,
    CASE WHEN next_time IS NULL THEN TRUE ELSE FALSE END
FROM periods

-- The last period that stayed may end elsewhere now, or be the current one again. A period never
-- ends where it starts, so its start can stand for "it has no end" on both sides.
-- name: close the period before
UPDATE user_levels -- incremental
SET valid_to = following.valid_from, -- incremental
    is_current = CASE WHEN following.valid_from IS NULL THEN TRUE ELSE FALSE END -- incremental
FROM ( -- incremental
    SELECT -- incremental
        user_id, valid_from AS this_from, -- incremental
        LEAD(valid_from) OVER (PARTITION BY user_id ORDER BY valid_from) AS valid_from -- incremental
    FROM user_levels -- incremental
    WHERE user_id IN (SELECT user_id FROM pending_user_levels) -- incremental
) AS following -- incremental
WHERE following.user_id = user_levels.user_id -- incremental
  AND following.this_from = user_levels.valid_from -- incremental
  AND user_levels.user_id IN (SELECT user_id FROM pending_user_levels) -- incremental
  AND COALESCE(user_levels.valid_to, user_levels.valid_from) -- incremental
      <> COALESCE(following.valid_from, user_levels.valid_from) -- incremental
