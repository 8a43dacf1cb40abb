-- There is one row for every day from the first with plays to the last.
-- severity: error
SELECT days.days, plays.days AS expected_days
FROM (SELECT COUNT(*) AS days FROM active_listeners) AS days
CROSS JOIN (
    SELECT COALESCE(MAX(log_date) - MIN(log_date) + 1, 0) AS days FROM songplays
) AS plays
WHERE days.days <> plays.days
