-- Every song of the song files as it was sent; songs and artists are derived from here.
-- grain: one song of a song file
-- json: snake_case
--
-- There is no key: two files may describe the same song, and the transforms choose by a stated rule.
CREATE TABLE IF NOT EXISTS staging_songs (
    num_songs        INTEGER          ENCODE az64,           -- Number of songs in the file, as sent.
    artist_id        VARCHAR(32)      NOT NULL ENCODE zstd,  -- Identifier of the artist.
    artist_latitude  DOUBLE PRECISION ENCODE zstd,           -- Latitude of the artist in degrees, where known.
    artist_longitude DOUBLE PRECISION ENCODE zstd,           -- Longitude of the artist in degrees, where known.
    artist_location  VARCHAR(512)     ENCODE zstd,           -- Place of the artist, free text, where known.
    artist_name      VARCHAR(512)     NOT NULL ENCODE zstd,  -- Name of the artist; one artist may have several spellings.
    song_id          VARCHAR(32)      NOT NULL ENCODE raw,   -- Identifier of the song.
    title            VARCHAR(512)     NOT NULL ENCODE zstd,  -- Title of the song.
    duration         DOUBLE PRECISION NOT NULL ENCODE zstd,  -- Length of the song in seconds.
    year             INTEGER          ENCODE az64,           -- Year of release; 0 where unknown.
    source_file      VARCHAR(1024)    NOT NULL ENCODE zstd   -- Key of the file, relative to SONG_DATA (platform).
)
-- KEY song_id: the versions of one song are compared with each other, so they belong on one slice.
DISTSTYLE KEY
DISTKEY (song_id)
-- song_id: the transforms group by it and refresh single songs; it stays raw as in staging_events.
-- Text and fractions are zstd, numbers az64.
SORTKEY (song_id);
