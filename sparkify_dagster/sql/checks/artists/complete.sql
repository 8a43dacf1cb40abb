-- Every artist_id of the catalogue's files has its row.
-- severity: error
SELECT DISTINCT s.artist_id
FROM staging_songs AS s
LEFT JOIN artists AS t ON t.artist_id = s.artist_id
WHERE t.artist_id IS NULL
  AND s.artist_id IN (SELECT artist_id FROM pending_artists) -- incremental
ORDER BY s.artist_id
