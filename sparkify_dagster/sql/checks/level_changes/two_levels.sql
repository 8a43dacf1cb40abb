-- A change leads from one level to another.
-- severity: error
SELECT user_id, changed_at, from_level, to_level
FROM level_changes
WHERE from_level = to_level
  AND user_id IN (SELECT user_id FROM pending_level_changes) -- incremental
ORDER BY user_id, changed_at
