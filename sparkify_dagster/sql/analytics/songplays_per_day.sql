-- How much is listened to each day, by how many, and how much of it does the catalogue know?
-- grain: one day with plays
-- chart: line log_date songplays, users
--
-- The day is that of the log file, the partition of songplays. A day without plays has no row.
CREATE TABLE IF NOT EXISTS songplays_per_day (
    log_date   DATE             NOT NULL ENCODE raw,   -- Day of the log files that the plays came from.
    songplays  BIGINT           NOT NULL ENCODE az64,  -- Songs played.
    users      BIGINT           NOT NULL ENCODE az64,  -- Listeners who played something.
    matched    BIGINT           NOT NULL ENCODE az64,  -- Plays of songs that are in the catalogue.
    match_rate DOUBLE PRECISION NOT NULL ENCODE zstd,  -- Part of the plays that the catalogue knows, 0 to 1.
    PRIMARY KEY (log_date)
)
-- ALL: one row a day.
DISTSTYLE ALL
SORTKEY (log_date);

-- name: pending
CREATE TABLE IF NOT EXISTS pending_songplays_per_day (log_date DATE NOT NULL)

-- name: changed by songplays
INSERT INTO pending_songplays_per_day (log_date)
SELECT DISTINCT log_date FROM pending_songplays

-- name: delete
DELETE FROM songplays_per_day
WHERE log_date IN (SELECT log_date FROM pending_songplays_per_day) -- incremental

-- name: insert
INSERT INTO songplays_per_day (log_date, songplays, users, matched, match_rate)
WITH days AS (
    SELECT
        log_date, COUNT(*) AS songplays, COUNT(DISTINCT user_id) AS users,
        COUNT(song_id) AS matched
    FROM songplays
    WHERE log_date IN (SELECT log_date FROM pending_songplays_per_day) -- incremental
    GROUP BY log_date
)
SELECT
    log_date, songplays, users, matched,
    CAST(matched AS DOUBLE PRECISION) / CAST(songplays AS DOUBLE PRECISION)
FROM days
