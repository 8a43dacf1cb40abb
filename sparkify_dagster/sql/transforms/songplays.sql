-- Songs that identified listeners started, one row a NextSong event.
--
-- An event is known by its natural key: listener, session, item in the session and time. If it was
-- delivered more than once, the row is that of the earliest day, then paid before free (level
-- DESC: 'paid' is the greater word), then the smallest attributes.
-- A play matches a song when title, artist name and duration are equal (trailing blanks apart,
-- which Redshift ignores); of several such songs the smallest song_id is taken.

-- name: pending
CREATE TABLE IF NOT EXISTS pending_songplays (log_date DATE NOT NULL)

-- name: changed by staging_events
INSERT INTO pending_songplays (log_date)
SELECT day FROM loading
UNION
SELECT other.log_date
FROM staging_events AS changed
INNER JOIN staging_events AS other
    ON other.ts = changed.ts
    AND other.event_time = changed.event_time
    AND other.user_id = changed.user_id
    AND other.session_id = changed.session_id
    AND other.item_in_session = changed.item_in_session
WHERE changed.page = 'NextSong'
  AND other.page = 'NextSong'
  AND changed.log_date IN (SELECT day FROM loading)
  AND changed.source_file IN (SELECT key FROM loading)
  -- No more than the join says; it lets an engine pass over the blocks of other days.
  AND other.ts >= (
      SELECT MIN(ts) FROM staging_events WHERE log_date IN (SELECT day FROM loading)
  )
  AND other.ts <= (
      SELECT MAX(ts) FROM staging_events WHERE log_date IN (SELECT day FROM loading)
  )

-- name: changed by staging_songs
INSERT INTO pending_songplays (log_date)
SELECT DISTINCT plays.log_date
FROM staging_events AS plays
INNER JOIN staging_songs AS catalogue
    ON plays.length = catalogue.duration
    AND RTRIM(plays.song, ' ') = RTRIM(catalogue.title, ' ')
    AND RTRIM(plays.artist, ' ') = RTRIM(catalogue.artist_name, ' ')
WHERE plays.page = 'NextSong'
  AND plays.user_id IS NOT NULL
  AND catalogue.source_file IN (SELECT key FROM loading)

-- name: delete
DELETE FROM songplays
WHERE log_date IN (SELECT log_date FROM pending_songplays) -- incremental

-- name: insert
INSERT INTO songplays (
    songplay_id, log_date, start_time, user_id, level, song_id, artist_id,
    session_id, item_in_session, location, user_agent
)
WITH plays AS (
    SELECT
        log_date, ts, event_time, user_id, level, session_id, item_in_session,
        song, artist, length, location, user_agent
    FROM staging_events
    WHERE page = 'NextSong'
      AND user_id IS NOT NULL
      AND log_date IN (SELECT log_date FROM pending_songplays) -- incremental
),
repeated AS (
    SELECT ts, user_id, session_id, item_in_session
    FROM staging_events
    WHERE page = 'NextSong'
      AND user_id IS NOT NULL
      AND ts IN (SELECT ts FROM plays) -- incremental
      AND event_time >= (SELECT MIN(event_time) FROM plays) -- incremental
      AND event_time <= (SELECT MAX(event_time) FROM plays) -- incremental
    GROUP BY ts, user_id, session_id, item_in_session
    HAVING COUNT(*) > 1
),
deliveries AS (
    SELECT
        e.log_date, e.ts, e.event_time, e.user_id, e.level, e.session_id, e.item_in_session,
        e.song, e.artist, e.length, e.location, e.user_agent,
        ROW_NUMBER() OVER (
            PARTITION BY e.ts, e.user_id, e.session_id, e.item_in_session
            ORDER BY e.log_date, e.level DESC, e.song NULLS LAST, e.artist NULLS LAST,
                e.length NULLS LAST, e.location NULLS LAST, e.user_agent NULLS LAST
        ) AS delivery
    FROM staging_events AS e
    INNER JOIN repeated
        ON repeated.ts = e.ts
        AND repeated.user_id = e.user_id
        AND repeated.session_id = e.session_id
        AND repeated.item_in_session = e.item_in_session
    WHERE e.page = 'NextSong'
),
once AS (
    SELECT
        plays.log_date, plays.ts, plays.event_time, plays.user_id, plays.level,
        plays.session_id, plays.item_in_session, plays.song, plays.artist, plays.length,
        plays.location, plays.user_agent
    FROM plays
    LEFT JOIN repeated
        ON repeated.ts = plays.ts
        AND repeated.user_id = plays.user_id
        AND repeated.session_id = plays.session_id
        AND repeated.item_in_session = plays.item_in_session
    WHERE repeated.ts IS NULL
    UNION ALL
    SELECT
        log_date, ts, event_time, user_id, level, session_id, item_in_session,
        song, artist, length, location, user_agent
    FROM deliveries
    WHERE delivery = 1
      AND log_date IN (SELECT log_date FROM pending_songplays) -- incremental
),
candidates AS (
    SELECT
        RTRIM(title, ' ') AS title, RTRIM(artist_name, ' ') AS artist_name, duration, song_id, artist_id,
        ROW_NUMBER() OVER (
            PARTITION BY RTRIM(title, ' '), RTRIM(artist_name, ' '), duration
            ORDER BY song_id, artist_id
        ) AS place
    FROM staging_songs
),
catalogue AS (
    SELECT title, artist_name, duration, song_id, artist_id FROM candidates WHERE place = 1
)
SELECT
    MD5(
        CAST(once.user_id AS VARCHAR) || '/' || CAST(once.session_id AS VARCHAR) || '/'
        || CAST(once.item_in_session AS VARCHAR) || '/' || CAST(once.ts AS VARCHAR)
    ),
    once.log_date,
    once.event_time,
    once.user_id,
    once.level,
    catalogue.song_id,
    catalogue.artist_id,
    once.session_id,
    once.item_in_session,
    once.location,
    once.user_agent
FROM once
LEFT JOIN catalogue
    ON catalogue.duration = once.length
    AND catalogue.title = RTRIM(once.song, ' ')
    AND catalogue.artist_name = RTRIM(once.artist, ' ')
