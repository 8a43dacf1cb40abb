-- Every song_id of the catalogue's files has its row.
-- severity: error
SELECT DISTINCT s.song_id
FROM staging_songs AS s
LEFT JOIN songs AS t ON t.song_id = s.song_id
WHERE t.song_id IS NULL
  AND s.song_id IN (SELECT song_id FROM pending_songs) -- incremental
ORDER BY s.song_id
