-- The periods of a listener follow each other without a gap, change level each time, and the last
-- one alone is current.
-- severity: error
WITH periods AS (
    SELECT
        user_id, level, valid_from, valid_to, is_current,
        LEAD(valid_from) OVER (PARTITION BY user_id ORDER BY valid_from) AS next_from,
        LEAD(level) OVER (PARTITION BY user_id ORDER BY valid_from) AS next_level
    FROM user_levels
    WHERE user_id IN (SELECT user_id FROM pending_user_levels) -- incremental
)
SELECT user_id, level, valid_from, valid_to, is_current, next_from, next_level
FROM periods
WHERE level = next_level
   OR (next_from IS NULL AND (valid_to IS NOT NULL OR NOT is_current))
   OR (next_from IS NOT NULL AND (valid_to IS NULL OR valid_to <> next_from OR is_current))
ORDER BY user_id, valid_from
