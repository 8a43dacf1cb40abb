-- The artists of the catalogue, one row each however many spellings their songs carry.
-- grain: one artist
CREATE TABLE IF NOT EXISTS artists (
    artist_id VARCHAR(32)      NOT NULL ENCODE raw,   -- Identifier of the artist.
    name      VARCHAR(512)     NOT NULL ENCODE zstd,  -- Name, the chosen spelling.
    location  VARCHAR(512)     ENCODE zstd,           -- Place, free text, where known.
    latitude  DOUBLE PRECISION ENCODE zstd,           -- Latitude in degrees, where known.
    longitude DOUBLE PRECISION ENCODE zstd,           -- Longitude in degrees, where known.
    PRIMARY KEY (artist_id)
)
-- ALL: small next to the plays, and joined to them by artist_id while they are spread by user_id.
DISTSTYLE ALL
-- artist_id: every join looks artists up by it.
-- artist_id stays raw as the key that blocks are chosen by; text and fractions are zstd.
SORTKEY (artist_id);
