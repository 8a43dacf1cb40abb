-- Listeners, each with the attributes of the latest NextSong event.
-- At one instant paid wins over free ('paid' is the greater word), then the later session and item.
--
-- `since` is the earliest changed event of a listener: events before it cannot be the latest,
-- unless nothing is left after it.

-- name: pending
CREATE TABLE IF NOT EXISTS pending_users (user_id INTEGER NOT NULL, since TIMESTAMP NOT NULL)

-- name: changed by staging_events
INSERT INTO pending_users (user_id, since)
SELECT user_id, MIN(event_time)
FROM staging_events
WHERE page = 'NextSong'
  AND user_id IS NOT NULL
  AND log_date IN (SELECT day FROM loading)
  AND source_file IN (SELECT key FROM loading)
GROUP BY user_id

-- name: delete
DELETE FROM users
WHERE user_id IN (SELECT user_id FROM pending_users) -- incremental

-- name: insert
INSERT INTO users (user_id, first_name, last_name, gender, level)
WITH recent AS (
    SELECT user_id, MAX(event_time) AS event_time
    FROM staging_events
    WHERE page = 'NextSong'
      AND user_id IS NOT NULL
      AND event_time >= (SELECT MIN(since) FROM pending_users) -- incremental
      AND user_id IN (SELECT user_id FROM pending_users) -- incremental
    GROUP BY user_id
),
latest AS (
    SELECT user_id, event_time FROM recent
    UNION ALL -- incremental
    SELECT user_id, MAX(event_time) -- incremental
    FROM staging_events -- incremental
    WHERE page = 'NextSong' -- incremental
      AND user_id IN ( -- incremental
          SELECT user_id FROM pending_users EXCEPT SELECT user_id FROM recent -- incremental
      ) -- incremental
    GROUP BY user_id -- incremental
),
ranked AS (
    SELECT
        e.user_id, e.first_name, e.last_name, e.gender, e.level,
        ROW_NUMBER() OVER (
            PARTITION BY e.user_id
            ORDER BY e.level DESC, e.session_id DESC, e.item_in_session DESC,
                e.first_name NULLS LAST, e.last_name NULLS LAST, e.gender NULLS LAST
        ) AS place
    FROM staging_events AS e
    INNER JOIN latest ON latest.user_id = e.user_id AND latest.event_time = e.event_time
    WHERE e.page = 'NextSong'
)
SELECT user_id, first_name, last_name, gender, level
FROM ranked
WHERE place = 1
