-- The catalogue, one row a song. If several files describe one song_id, the row is that of the
-- latest release year, then the smallest title, artist and duration.

-- name: pending
CREATE TABLE IF NOT EXISTS pending_songs (song_id VARCHAR(32) NOT NULL)

-- name: changed by staging_songs
INSERT INTO pending_songs (song_id)
SELECT DISTINCT song_id
FROM staging_songs
WHERE source_file IN (SELECT key FROM loading)

-- name: delete
DELETE FROM songs
WHERE song_id IN (SELECT song_id FROM pending_songs) -- incremental

-- name: insert
INSERT INTO songs (song_id, title, artist_id, year, duration)
WITH ranked AS (
    SELECT
        song_id, title, artist_id, year, duration,
        ROW_NUMBER() OVER (
            PARTITION BY song_id
            ORDER BY COALESCE(year, 0) DESC, year NULLS LAST, title, artist_id, duration
        ) AS place
    FROM staging_songs
    WHERE song_id IN (SELECT song_id FROM pending_songs) -- incremental
)
SELECT song_id, title, artist_id, year, duration
FROM ranked
WHERE place = 1
