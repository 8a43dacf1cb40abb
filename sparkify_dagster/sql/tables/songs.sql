-- The catalogue of songs.
-- grain: one song
CREATE TABLE IF NOT EXISTS songs (
    song_id   VARCHAR(32)      NOT NULL ENCODE raw,   -- Identifier of the song.
    title     VARCHAR(512)     NOT NULL ENCODE zstd,  -- Title.
    artist_id VARCHAR(32)      NOT NULL ENCODE zstd,  -- Artist of the song.
    year      INTEGER          ENCODE az64,           -- Year of release; 0 where unknown.
    duration  DOUBLE PRECISION NOT NULL ENCODE zstd,  -- Length in seconds.
    PRIMARY KEY (song_id),
    FOREIGN KEY (artist_id) REFERENCES artists (artist_id)
)
-- ALL: small next to the plays, and joined to them by song_id while they are spread by user_id.
DISTSTYLE ALL
-- song_id: every join looks songs up by it.
-- song_id stays raw as the key that blocks are chosen by; text and fractions are zstd, numbers az64.
SORTKEY (song_id);
