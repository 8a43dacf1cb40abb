-- Every change of level is counted once in its direction.
-- severity: error
SELECT
    COALESCE(counted.to_level, found.to_level) AS to_level,
    COALESCE(counted.changes, 0) AS counted_changes,
    COALESCE(found.changes, 0) AS level_changes
FROM (SELECT to_level, SUM(changes) AS changes FROM before_level_changes GROUP BY to_level) AS counted
FULL OUTER JOIN (
    SELECT to_level, COUNT(*) AS changes FROM level_changes GROUP BY to_level
) AS found
    ON found.to_level = counted.to_level
WHERE COALESCE(counted.changes, 0) <> COALESCE(found.changes, 0)
