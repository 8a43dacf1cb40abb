-- The plays of all locations are as many as there are songplays with a location.
-- severity: error
SELECT counted.plays AS counted_plays, found.plays AS songplays
FROM (SELECT COALESCE(SUM(plays), 0) AS plays FROM plays_per_location) AS counted
CROSS JOIN (SELECT COUNT(*) AS plays FROM songplays WHERE RTRIM(location, ' ') <> '') AS found
WHERE counted.plays <> found.plays
