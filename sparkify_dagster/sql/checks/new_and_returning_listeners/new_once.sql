-- Every listener is new on one day, and on no other.
-- severity: error
SELECT counted.new_users, found.listeners
FROM (SELECT COALESCE(SUM(new_users), 0) AS new_users FROM new_and_returning_listeners) AS counted
CROSS JOIN (SELECT COUNT(DISTINCT user_id) AS listeners FROM songplays) AS found
WHERE counted.new_users <> found.listeners
