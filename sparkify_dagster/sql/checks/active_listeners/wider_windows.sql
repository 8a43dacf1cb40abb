-- A wider window holds at least the listeners of a narrower one.
-- severity: error
SELECT day, users, users_7_days, users_30_days
FROM active_listeners
WHERE users < 0
   OR users > users_7_days
   OR users_7_days > users_30_days
ORDER BY day
