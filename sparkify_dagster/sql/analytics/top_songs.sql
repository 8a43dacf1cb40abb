-- Which songs are played the most?
-- grain: one of the ten songs with the most plays
-- chart: bar song plays
--
-- Songs are those of the log, whether the catalogue knows them or not: a title and the name of its
-- artist as sent. Of songs with equally many plays, the smaller title in byte order comes first,
-- then the smaller name. Plays without a title or an artist are left out.
CREATE TABLE IF NOT EXISTS top_songs (
    place  INTEGER      NOT NULL ENCODE raw,   -- Place in the order of plays, from 1.
    song   VARCHAR(512) NOT NULL ENCODE zstd,  -- Title.
    artist VARCHAR(512) NOT NULL ENCODE zstd,  -- Name of the artist.
    plays  BIGINT       NOT NULL ENCODE az64,  -- Times that the song was played.
    PRIMARY KEY (song, artist)
)
-- ALL: ten rows.
DISTSTYLE ALL
SORTKEY (place);

-- name: insert
INSERT INTO top_songs (place, song, artist, plays)
WITH ranked AS (
    SELECT
        ROW_NUMBER() OVER (ORDER BY plays DESC, song, artist) AS place,
        song, artist, plays
    FROM plays_per_song
    WHERE song <> ''
      AND artist <> ''
)
SELECT place, song, artist, plays
FROM ranked
WHERE place <= 10
