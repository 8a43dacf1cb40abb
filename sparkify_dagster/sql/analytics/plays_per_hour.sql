-- At which hours of the day do people listen?
-- grain: one hour of the day with plays, over all days
-- chart: bar hour plays
--
-- Hours are UTC and those of the moment at which a play started, wherever the listener was. An hour
-- in which nothing was ever played has no row.
CREATE TABLE IF NOT EXISTS plays_per_hour (
    hour  INTEGER NOT NULL ENCODE raw,   -- Hour of the day in UTC, 0 to 23.
    plays BIGINT  NOT NULL ENCODE az64,  -- Songs played in that hour, over all days.
    PRIMARY KEY (hour)
)
-- ALL: at most 24 rows.
DISTSTYLE ALL
SORTKEY (hour);

-- name: insert
INSERT INTO plays_per_hour (hour, plays)
SELECT hour, CAST(SUM(plays) AS BIGINT)
FROM plays_per_weekday_hour
GROUP BY hour
