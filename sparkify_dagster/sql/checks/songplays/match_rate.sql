-- At least one play in twenty of a day matches a song of the catalogue.
-- severity: warn
SELECT log_date, COUNT(song_id) AS matched_plays, COUNT(*) AS plays
FROM songplays
WHERE log_date IN (SELECT log_date FROM pending_songplays) -- incremental
GROUP BY log_date
HAVING COUNT(song_id) * 20 < COUNT(*)
ORDER BY log_date
