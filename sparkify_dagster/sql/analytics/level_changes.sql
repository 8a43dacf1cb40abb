-- Who upgraded or downgraded, and when?
-- grain: one change of level of one listener
-- chart: points changed_at days_before by to_level
--
-- A change shows in the first play at the other level; what was paid between two plays, and given
-- up again, does not show. The level with which a listener first appears is no change.
CREATE TABLE IF NOT EXISTS level_changes (
    user_id     INTEGER          NOT NULL ENCODE raw,   -- Listener.
    changed_at  TIMESTAMP        NOT NULL ENCODE az64,  -- First play at the new level, UTC.
    from_level  VARCHAR(16)      NOT NULL ENCODE zstd,  -- Subscription before. One of: free, paid.
    to_level    VARCHAR(16)      NOT NULL ENCODE zstd,  -- Subscription after. One of: free, paid.
    days_before DOUBLE PRECISION NOT NULL ENCODE zstd,  -- Days since the first play at the level before, as far as the log files go.
    PRIMARY KEY (user_id, changed_at),
    FOREIGN KEY (user_id) REFERENCES users (user_id)
)
-- KEY user_id: next to the levels and plays of the listener.
DISTSTYLE KEY
DISTKEY (user_id)
SORTKEY (user_id, changed_at);

-- name: pending
CREATE TABLE IF NOT EXISTS pending_level_changes (user_id INTEGER NOT NULL)

-- name: changed by user_levels
INSERT INTO pending_level_changes (user_id)
SELECT DISTINCT user_id FROM pending_user_levels

-- name: delete
DELETE FROM level_changes
WHERE user_id IN (SELECT user_id FROM pending_level_changes) -- incremental

-- name: insert
INSERT INTO level_changes (user_id, changed_at, from_level, to_level, days_before)
WITH periods AS (
    SELECT
        user_id, level, valid_from,
        LAG(level) OVER (PARTITION BY user_id ORDER BY valid_from) AS level_before,
        LAG(valid_from) OVER (PARTITION BY user_id ORDER BY valid_from) AS from_before
    FROM user_levels
    WHERE user_id IN (SELECT user_id FROM pending_level_changes) -- incremental
),
moments AS (
    SELECT
        user_id, valid_from, level_before, level,
        CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', valid_from)) AS BIGINT) AS until_second,
        CAST(EXTRACT(EPOCH FROM DATE_TRUNC('second', from_before)) AS BIGINT) AS from_second
    FROM periods
    WHERE level_before IS NOT NULL
)
SELECT
    user_id, valid_from, level_before, level,
    CAST(until_second - from_second AS DOUBLE PRECISION) / 86400
FROM moments
