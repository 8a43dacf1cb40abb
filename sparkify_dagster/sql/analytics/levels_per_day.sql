-- How do free and paid listening develop?
-- grain: one level of subscription on one day with plays at that level
-- chart: line log_date plays by level
--
-- The level is that at the time of the play: who changed it on a day counts for both levels. The
-- day is that of the log file, the partition of songplays.
CREATE TABLE IF NOT EXISTS levels_per_day (
    log_date       DATE             NOT NULL ENCODE raw,   -- Day of the log files that the plays came from.
    level          VARCHAR(16)      NOT NULL ENCODE zstd,  -- Subscription at the time of the play. One of: free, paid.
    plays          BIGINT           NOT NULL ENCODE az64,  -- Songs played on that day at that level.
    users          BIGINT           NOT NULL ENCODE az64,  -- Listeners who played something on that day at that level.
    share_of_plays DOUBLE PRECISION NOT NULL ENCODE zstd,  -- Part of the plays of the day, 0 to 1.
    PRIMARY KEY (log_date, level)
)
-- ALL: two rows a day.
DISTSTYLE ALL
SORTKEY (log_date);

-- name: pending
CREATE TABLE IF NOT EXISTS pending_levels_per_day (log_date DATE NOT NULL)

-- name: changed by songplays
INSERT INTO pending_levels_per_day (log_date)
SELECT DISTINCT log_date FROM pending_songplays

-- name: delete
DELETE FROM levels_per_day
WHERE log_date IN (SELECT log_date FROM pending_levels_per_day) -- incremental

-- name: insert
INSERT INTO levels_per_day (log_date, level, plays, users, share_of_plays)
WITH listeners AS (
    SELECT log_date, level, user_id, COUNT(*) AS plays
    FROM songplays
    WHERE log_date IN (SELECT log_date FROM pending_levels_per_day) -- incremental
    GROUP BY log_date, level, user_id
),
levels AS (
    SELECT log_date, level, CAST(SUM(plays) AS BIGINT) AS plays, COUNT(user_id) AS users
    FROM listeners
    GROUP BY log_date, level
)
SELECT
    log_date, level, plays, users,
    CAST(plays AS DOUBLE PRECISION)
        / CAST(SUM(plays) OVER (PARTITION BY log_date) AS DOUBLE PRECISION)
FROM levels
