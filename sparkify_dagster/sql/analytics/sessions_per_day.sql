-- How long do people listen at a time, and to how many songs?
-- grain: one day on which sessions began
-- chart: line day plays_per_session, minutes_per_session
--
-- A session is one listener's, and counts whole on the day of its first play, also where it goes on
-- past midnight. It lasts from the start of its first song to the start of its last one: how much
-- of the last one was heard is not known, and a session of one song has no length. Times are cut to
-- whole seconds. Sessions in which nothing was played do not count. Days are those of the log files.
CREATE TABLE IF NOT EXISTS sessions_per_day (
    day                 DATE             NOT NULL ENCODE raw,   -- Day.
    sessions            BIGINT           NOT NULL ENCODE az64,  -- Sessions that began on that day.
    users               BIGINT           NOT NULL ENCODE az64,  -- Listeners whose sessions they are.
    plays               BIGINT           NOT NULL ENCODE az64,  -- Songs played in these sessions.
    plays_per_session   DOUBLE PRECISION NOT NULL ENCODE zstd,  -- Mean number of songs played.
    minutes_per_session DOUBLE PRECISION NOT NULL ENCODE zstd,  -- Mean minutes from first to last song.
    longest_minutes     DOUBLE PRECISION NOT NULL ENCODE zstd,  -- Minutes of the longest of these sessions.
    PRIMARY KEY (day)
)
-- ALL: one row a day.
DISTSTYLE ALL
SORTKEY (day);

-- name: insert
INSERT INTO sessions_per_day (
    day, sessions, users, plays, plays_per_session, minutes_per_session, longest_minutes
)
WITH spans AS (
    SELECT
        user_id, MIN(log_date) AS day, COUNT(*) AS plays,
        DATE_TRUNC('second', MIN(start_time)) AS first_start,
        DATE_TRUNC('second', MAX(start_time)) AS last_start
    FROM songplays
    GROUP BY user_id, session_id
),
sessions AS (
    SELECT
        user_id, day, plays,
        CAST(EXTRACT(EPOCH FROM last_start) AS BIGINT)
            - CAST(EXTRACT(EPOCH FROM first_start) AS BIGINT) AS seconds
    FROM spans
),
days AS (
    SELECT
        day, COUNT(*) AS sessions, COUNT(DISTINCT user_id) AS users,
        CAST(SUM(plays) AS BIGINT) AS plays, CAST(SUM(seconds) AS BIGINT) AS seconds,
        MAX(seconds) AS longest_seconds
    FROM sessions
    GROUP BY day
)
SELECT
    day, sessions, users, plays,
    CAST(plays AS DOUBLE PRECISION) / CAST(sessions AS DOUBLE PRECISION),
    CAST(seconds AS DOUBLE PRECISION) / CAST(60 * sessions AS DOUBLE PRECISION),
    CAST(longest_seconds AS DOUBLE PRECISION) / 60
FROM days
