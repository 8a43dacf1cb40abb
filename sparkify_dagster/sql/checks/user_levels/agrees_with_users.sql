-- The current level of a listener is the level of the row in users.
-- severity: error
SELECT l.user_id, l.level AS current_level, u.level AS level_in_users
FROM user_levels AS l
LEFT JOIN users AS u ON u.user_id = l.user_id
WHERE l.is_current
  AND (u.user_id IS NULL OR u.level <> l.level)
  AND l.user_id IN (SELECT user_id FROM pending_user_levels) -- incremental
ORDER BY l.user_id
