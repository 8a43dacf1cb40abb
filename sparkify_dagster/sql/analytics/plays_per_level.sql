-- How much is listened to for free, and how much on a paid subscription?
-- grain: one level of subscription
-- chart: bar level plays
--
-- The level is that at the time of the play: who changed it counts as a listener of both levels, so
-- the listeners of the levels may add up to more than there are.
CREATE TABLE IF NOT EXISTS plays_per_level (
    level          VARCHAR(16)      NOT NULL ENCODE raw,   -- Subscription at the time of the play. One of: free, paid.
    plays          BIGINT           NOT NULL ENCODE az64,  -- Songs played at that level.
    users          BIGINT           NOT NULL ENCODE az64,  -- Listeners who played something at that level.
    share_of_plays DOUBLE PRECISION NOT NULL ENCODE zstd,  -- Part of all plays, 0 to 1.
    PRIMARY KEY (level)
)
-- ALL: two rows.
DISTSTYLE ALL
SORTKEY (level);

-- name: insert
INSERT INTO plays_per_level (level, plays, users, share_of_plays)
WITH listeners AS (
    SELECT level, user_id, COUNT(*) AS plays
    FROM songplays
    GROUP BY level, user_id
),
levels AS (
    SELECT level, CAST(SUM(plays) AS BIGINT) AS plays, COUNT(user_id) AS users
    FROM listeners
    GROUP BY level
)
SELECT
    level, plays, users,
    CAST(plays AS DOUBLE PRECISION) / CAST(SUM(plays) OVER () AS DOUBLE PRECISION)
FROM levels
