-- How often was each song played, whether the catalogue knows it or not?
-- grain: one song and artist as the log names them
-- chart: bar song plays
--
-- A row counts songplays, with the names of the delivery that each of them was made from (see
-- songplays): an event that was delivered twice is one play. Names are compared without trailing
-- blanks, which Redshift ignores; where none was sent, it is empty here.
--
-- On most days nothing was delivered twice; that a day has as many NextSong events as songplays
-- shows it, and its events are counted as they stand.
CREATE TABLE IF NOT EXISTS plays_per_song (
    song   VARCHAR(512) NOT NULL ENCODE zstd,  -- Title as sent; empty where none was.
    artist VARCHAR(512) NOT NULL ENCODE raw,   -- Name of the artist as sent; empty where none was.
    plays  BIGINT       NOT NULL ENCODE az64,  -- Times that the song was played.
    PRIMARY KEY (song, artist)
)
-- EVEN: as many rows as there are songs, which are joined to nothing.
DISTSTYLE EVEN
-- artist: it is what one looks for; raw as the key that blocks are chosen by.
SORTKEY (artist);

-- name: insert
INSERT INTO plays_per_song (song, artist, plays)
WITH sent AS (
    SELECT log_date, COUNT(*) AS events
    FROM staging_events
    WHERE page = 'NextSong'
      AND user_id IS NOT NULL
    GROUP BY log_date
),
kept AS (
    SELECT log_date, COUNT(*) AS plays FROM songplays GROUP BY log_date
),
repeating AS (
    SELECT sent.log_date
    FROM sent
    LEFT JOIN kept ON kept.log_date = sent.log_date
    WHERE sent.events <> COALESCE(kept.plays, 0)
),
deliveries AS (
    SELECT
        e.song, e.artist,
        ROW_NUMBER() OVER (
            PARTITION BY e.ts, e.user_id, e.session_id, e.item_in_session
            ORDER BY e.level DESC, e.song NULLS LAST, e.artist NULLS LAST
        ) AS delivery
    FROM staging_events AS e
    INNER JOIN songplays AS p
        ON p.log_date = e.log_date
        AND p.start_time = e.event_time
        AND p.user_id = e.user_id
        AND p.session_id = e.session_id
        AND p.item_in_session = e.item_in_session
    WHERE e.page = 'NextSong'
      AND e.log_date IN (SELECT log_date FROM repeating)
      AND p.log_date IN (SELECT log_date FROM repeating)
),
counted AS (
    SELECT song, artist, COUNT(*) AS plays
    FROM staging_events
    WHERE page = 'NextSong'
      AND user_id IS NOT NULL
      AND log_date NOT IN (SELECT log_date FROM repeating)
    GROUP BY song, artist
    UNION ALL
    SELECT song, artist, COUNT(*)
    FROM deliveries
    WHERE delivery = 1
    GROUP BY song, artist
)
SELECT
    COALESCE(RTRIM(song, ' '), ''),
    COALESCE(RTRIM(artist, ' '), ''),
    CAST(SUM(plays) AS BIGINT)
FROM counted
GROUP BY COALESCE(RTRIM(song, ' '), ''), COALESCE(RTRIM(artist, ' '), '')
