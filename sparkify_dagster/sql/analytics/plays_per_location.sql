-- Where do people listen?
-- grain: one location with plays
-- chart: bar location plays
--
-- Plays without a location are left out; trailing blanks, which Redshift ignores, do not make
-- another location. Who listened in several locations is a listener of each.
CREATE TABLE IF NOT EXISTS plays_per_location (
    location       VARCHAR(256)     NOT NULL ENCODE raw,   -- Metropolitan area of the listeners.
    plays          BIGINT           NOT NULL ENCODE az64,  -- Songs played there.
    users          BIGINT           NOT NULL ENCODE az64,  -- Listeners who played something there.
    share_of_plays DOUBLE PRECISION NOT NULL ENCODE zstd,  -- Part of the plays whose location is known, 0 to 1.
    PRIMARY KEY (location)
)
-- ALL: some hundred rows.
DISTSTYLE ALL
SORTKEY (location);

-- name: insert
INSERT INTO plays_per_location (location, plays, users, share_of_plays)
WITH listeners AS (
    SELECT RTRIM(location, ' ') AS location, user_id, COUNT(*) AS plays
    FROM songplays
    WHERE RTRIM(location, ' ') <> ''
    GROUP BY RTRIM(location, ' '), user_id
),
locations AS (
    SELECT location, CAST(SUM(plays) AS BIGINT) AS plays, COUNT(user_id) AS users
    FROM listeners
    GROUP BY location
)
SELECT
    location, plays, users,
    CAST(plays AS DOUBLE PRECISION) / CAST(SUM(plays) OVER () AS DOUBLE PRECISION)
FROM locations
