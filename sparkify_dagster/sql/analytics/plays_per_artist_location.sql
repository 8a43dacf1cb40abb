-- From which places are the artists that people listen to?
-- grain: one place of artists, as the catalogue names it
-- chart: bar artist_location plays
--
-- Only plays of songs that the catalogue knows, by artists whose place it knows. A place is free text,
-- so that London and London, England are two.
CREATE TABLE IF NOT EXISTS plays_per_artist_location (
    artist_location VARCHAR(512) NOT NULL ENCODE raw,   -- Place of the artists, free text.
    plays           BIGINT       NOT NULL ENCODE az64,  -- Plays of songs of artists from there.
    artists         BIGINT       NOT NULL ENCODE az64,  -- Artists from there who were played.
    PRIMARY KEY (artist_location)
)
-- ALL: some hundred rows.
DISTSTYLE ALL
SORTKEY (artist_location);

-- name: insert
INSERT INTO plays_per_artist_location (artist_location, plays, artists)
WITH played AS (
    SELECT artist_id, COUNT(*) AS plays
    FROM songplays
    WHERE artist_id IS NOT NULL
    GROUP BY artist_id
)
SELECT artists.location, CAST(SUM(played.plays) AS BIGINT), COUNT(played.artist_id)
FROM played
INNER JOIN artists ON artists.artist_id = played.artist_id
WHERE artists.location IS NOT NULL
GROUP BY artists.location
