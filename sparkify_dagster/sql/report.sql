-- What the report tells beside the analytics: headline figures, how fresh everything is, and what
-- was not loaded. All of it is read from tables that grow with days, listeners and files, and not
-- with plays.

-- name: plays
-- Plays of all days, and how many of them the catalogue knows.
SELECT
    CAST(SUM(songplays) AS BIGINT), CAST(SUM(matched) AS BIGINT),
    COUNT(*), MIN(log_date), MAX(log_date)
FROM songplays_per_day

-- name: levels
SELECT level, plays FROM plays_per_level ORDER BY level

-- name: listeners
SELECT COUNT(*) FROM users

-- name: songs
SELECT COUNT(*) FROM songs

-- name: sources
-- Each source's files, the version of each that was loaded last.
SELECT
    table_name, COUNT(*), CAST(SUM(rows) AS BIGINT), CAST(SUM(rejects) AS BIGINT), MAX(day),
    MAX(loaded_at)
FROM (
    SELECT
        table_name, rows, rejects, day, loaded_at,
        ROW_NUMBER() OVER (PARTITION BY table_name, key ORDER BY loaded_at DESC) AS place
    FROM load_files
) AS versions
WHERE place = 1
GROUP BY table_name
ORDER BY table_name

-- name: days of files
SELECT DISTINCT table_name, day FROM load_files WHERE day IS NOT NULL ORDER BY table_name, day

-- name: rejects
-- Never the lines themselves, which may name people.
SELECT table_name, key, reason, COUNT(*) AS lines, MIN(line) AS first_line
FROM load_rejects
GROUP BY table_name, key, reason
ORDER BY COUNT(*) DESC, table_name, key, reason
