-- What do people do right before they upgrade or downgrade?
-- grain: one direction of change and the pages that preceded it
-- chart: heatmap to_level pages changes
--
-- The pages are the last three, in their order, that the listener saw at the old level in the
-- session whose play shows the new one (see level_changes); fewer where the session had no more
-- before them. A change that came about between two sessions has the words '(another session)'.
-- What was delivered twice counts once.
CREATE TABLE IF NOT EXISTS before_level_changes (
    from_level VARCHAR(16)      NOT NULL ENCODE zstd,  -- Subscription before. One of: free, paid.
    to_level   VARCHAR(16)      NOT NULL ENCODE raw,   -- Subscription after. One of: free, paid.
    pages      VARCHAR(256)     NOT NULL ENCODE zstd,  -- Up to three pages, the last one before the change at the end.
    changes    BIGINT           NOT NULL ENCODE az64,  -- Changes in that direction after these pages.
    share      DOUBLE PRECISION NOT NULL ENCODE zstd,  -- Part of the changes in that direction, 0 to 1.
    PRIMARY KEY (from_level, to_level, pages)
)
-- ALL: some rows a direction.
DISTSTYLE ALL
SORTKEY (to_level);

-- name: insert
INSERT INTO before_level_changes (from_level, to_level, pages, changes, share)
WITH shown AS (
    SELECT
        c.user_id, c.changed_at, c.from_level, c.to_level, p.session_id, p.item_in_session,
        ROW_NUMBER() OVER (
            PARTITION BY c.user_id, c.changed_at ORDER BY p.session_id, p.item_in_session
        ) AS place
    FROM level_changes AS c
    INNER JOIN songplays AS p
        ON p.user_id = c.user_id
        AND p.start_time = c.changed_at
        AND p.level = c.to_level
),
before AS (
    SELECT DISTINCT
        shown.user_id, shown.changed_at, e.item_in_session, e.ts, e.page,
        CASE WHEN e.level = shown.from_level THEN e.item_in_session END AS old_item
    FROM shown
    INNER JOIN staging_events AS e
        ON e.user_id = shown.user_id
        AND e.session_id = shown.session_id
        AND e.item_in_session < shown.item_in_session
    WHERE shown.place = 1
),
old_level AS (
    SELECT
        user_id, changed_at, item_in_session, ts, page,
        MAX(old_item) OVER (PARTITION BY user_id, changed_at) AS last_item
    FROM before
),
steps AS (
    SELECT
        user_id, changed_at, page,
        ROW_NUMBER() OVER (
            PARTITION BY user_id, changed_at ORDER BY item_in_session DESC, ts DESC, page
        ) AS steps_before
    FROM old_level
    WHERE item_in_session <= last_item
),
paths AS (
    SELECT
        user_id, changed_at,
        COALESCE(MAX(CASE WHEN steps_before = 3 THEN page || ' > ' END), '')
        || COALESCE(MAX(CASE WHEN steps_before = 2 THEN page || ' > ' END), '')
        || MAX(CASE WHEN steps_before = 1 THEN page END) AS pages
    FROM steps
    GROUP BY user_id, changed_at
),
counted AS (
    SELECT
        c.from_level, c.to_level, COALESCE(paths.pages, '(another session)') AS pages,
        COUNT(*) AS changes
    FROM level_changes AS c
    LEFT JOIN paths
        ON paths.user_id = c.user_id
        AND paths.changed_at = c.changed_at
    GROUP BY c.from_level, c.to_level, COALESCE(paths.pages, '(another session)')
)
SELECT
    from_level, to_level, pages, changes,
    CAST(changes AS DOUBLE PRECISION)
        / CAST(SUM(changes) OVER (PARTITION BY from_level, to_level) AS DOUBLE PRECISION)
FROM counted
