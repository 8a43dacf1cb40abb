-- The plays of all levels are as many as there are songplays.
-- severity: error
SELECT counted.plays AS counted_plays, found.plays AS songplays
FROM (SELECT COALESCE(SUM(plays), 0) AS plays FROM plays_per_level) AS counted
CROSS JOIN (SELECT COUNT(*) AS plays FROM songplays) AS found
WHERE counted.plays <> found.plays
