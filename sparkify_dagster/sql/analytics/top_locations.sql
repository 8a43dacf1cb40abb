-- Where is the most listened to?
-- grain: one of the ten locations with the most plays
-- chart: bar location plays
--
-- Of locations with equally many plays, the smaller name in byte order comes first. Plays without a
-- location are left out.
CREATE TABLE IF NOT EXISTS top_locations (
    place    INTEGER      NOT NULL ENCODE raw,   -- Place in the order of plays, from 1.
    location VARCHAR(256) NOT NULL ENCODE zstd,  -- Metropolitan area of the listeners.
    plays    BIGINT       NOT NULL ENCODE az64,  -- Songs played there.
    PRIMARY KEY (location)
)
-- ALL: ten rows.
DISTSTYLE ALL
SORTKEY (place);

-- name: insert
INSERT INTO top_locations (place, location, plays)
WITH ranked AS (
    SELECT
        ROW_NUMBER() OVER (ORDER BY plays DESC, location) AS place,
        location, plays
    FROM plays_per_location
)
SELECT place, location, plays
FROM ranked
WHERE place <= 10
