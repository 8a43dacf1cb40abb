-- Which artists are played the most?
-- grain: one of the ten artists with the most plays
-- chart: bar artist plays
--
-- Artists are the names in the log, whether the catalogue knows them or not; one artist under two
-- spellings is two. Of artists with equally many plays, the smaller name in byte order comes first.
-- Plays without an artist are left out.
CREATE TABLE IF NOT EXISTS top_artists (
    place  INTEGER      NOT NULL ENCODE raw,   -- Place in the order of plays, from 1.
    artist VARCHAR(512) NOT NULL ENCODE zstd,  -- Name of the artist.
    plays  BIGINT       NOT NULL ENCODE az64,  -- Songs of the artist played.
    PRIMARY KEY (artist)
)
-- ALL: ten rows.
DISTSTYLE ALL
SORTKEY (place);

-- name: insert
INSERT INTO top_artists (place, artist, plays)
WITH artists_played AS (
    SELECT artist, CAST(SUM(plays) AS BIGINT) AS plays
    FROM plays_per_song
    WHERE artist <> ''
    GROUP BY artist
),
ranked AS (
    SELECT
        ROW_NUMBER() OVER (ORDER BY plays DESC, artist) AS place,
        artist, plays
    FROM artists_played
)
SELECT place, artist, plays
FROM ranked
WHERE place <= 10
