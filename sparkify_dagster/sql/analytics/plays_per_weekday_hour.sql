-- At which hours of which weekdays do people listen?
-- grain: one hour of one day of the week with plays, over all weeks
-- chart: heatmap hour weekday plays
--
-- Hours and days are UTC and those of the moment at which a play started, wherever the listener
-- was. An hour of a weekday in which nothing was ever played has no row.
CREATE TABLE IF NOT EXISTS plays_per_weekday_hour (
    weekday INTEGER NOT NULL ENCODE raw,   -- Day of the week, 0 (Sunday) to 6 (Saturday).
    hour    INTEGER NOT NULL ENCODE az64,  -- Hour of the day in UTC, 0 to 23.
    plays   BIGINT  NOT NULL ENCODE az64,  -- Songs played in that hour of that weekday, over all weeks.
    PRIMARY KEY (weekday, hour)
)
-- ALL: at most 168 rows.
DISTSTYLE ALL
SORTKEY (weekday, hour);

-- name: insert
INSERT INTO plays_per_weekday_hour (weekday, hour, plays)
WITH moments AS (
    SELECT
        CAST(EXTRACT(DOW FROM start_time) AS INTEGER) AS weekday,
        CAST(EXTRACT(HOUR FROM start_time) AS INTEGER) AS hour
    FROM songplays
)
SELECT weekday, hour, COUNT(*)
FROM moments
GROUP BY weekday, hour
