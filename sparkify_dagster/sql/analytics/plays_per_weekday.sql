-- On which days of the week do people listen?
-- grain: one day of the week with plays, over all weeks
-- chart: bar weekday plays
--
-- Days are UTC and those of the moment at which a play started. A weekday on which nothing was ever
-- played has no row. Plays are counted and not averaged: a weekday that the log files hold more
-- often than another has more of them.
CREATE TABLE IF NOT EXISTS plays_per_weekday (
    weekday INTEGER NOT NULL ENCODE raw,   -- Day of the week, 0 (Sunday) to 6 (Saturday).
    plays   BIGINT  NOT NULL ENCODE az64,  -- Songs played on that weekday, over all weeks.
    PRIMARY KEY (weekday)
)
-- ALL: at most seven rows.
DISTSTYLE ALL
SORTKEY (weekday);

-- name: insert
INSERT INTO plays_per_weekday (weekday, plays)
SELECT weekday, CAST(SUM(plays) AS BIGINT)
FROM plays_per_weekday_hour
GROUP BY weekday
