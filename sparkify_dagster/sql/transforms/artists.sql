-- Artists, one row an artist_id. Of several spellings the most frequent in the catalogue wins,
-- then the smallest in byte order; the place is that of a row with this spelling, a known
-- location and known coordinates first. An empty location is unknown (NULL). Trailing blanks are
-- left out, which Redshift ignores and the other engines do not.

-- name: pending
CREATE TABLE IF NOT EXISTS pending_artists (artist_id VARCHAR(32) NOT NULL)

-- name: changed by staging_songs
INSERT INTO pending_artists (artist_id)
SELECT DISTINCT artist_id
FROM staging_songs
WHERE source_file IN (SELECT key FROM loading)

-- name: delete
DELETE FROM artists
WHERE artist_id IN (SELECT artist_id FROM pending_artists) -- incremental

-- name: insert
INSERT INTO artists (artist_id, name, location, latitude, longitude)
WITH spelled AS (
    SELECT
        artist_id,
        RTRIM(artist_name, ' ') AS artist_name,
        NULLIF(RTRIM(artist_location, ' '), '') AS artist_location,
        artist_latitude, artist_longitude,
        COUNT(*) OVER (PARTITION BY artist_id, RTRIM(artist_name, ' ')) AS spelling_count
    FROM staging_songs
    WHERE artist_id IN (SELECT artist_id FROM pending_artists) -- incremental
),
ranked AS (
    SELECT
        artist_id, artist_name, artist_location, artist_latitude, artist_longitude,
        ROW_NUMBER() OVER (
            PARTITION BY artist_id
            ORDER BY spelling_count DESC, artist_name, artist_location NULLS LAST,
                artist_latitude NULLS LAST, artist_longitude NULLS LAST
        ) AS place
    FROM spelled
)
SELECT artist_id, artist_name, artist_location, artist_latitude, artist_longitude
FROM ranked
WHERE place = 1
