-- How much is listened to each week?
-- grain: one ISO week with plays
-- chart: line monday plays
--
-- Weeks are ISO weeks in UTC, from Monday, of the moment at which a play started. The first days of
-- January may belong to the last week of the year before, and the last of December to week 1: the
-- year of a week is that of its Thursday. A week without plays has no row; the first and the last
-- one may be cut short by the log files.
CREATE TABLE IF NOT EXISTS plays_per_week (
    monday   DATE    NOT NULL ENCODE raw,   -- First day of the week.
    iso_year INTEGER NOT NULL ENCODE az64,  -- Year that the week belongs to.
    week     INTEGER NOT NULL ENCODE az64,  -- Number of the week in that year, 1 to 53.
    plays    BIGINT  NOT NULL ENCODE az64,  -- Songs played in that week.
    PRIMARY KEY (monday)
)
-- ALL: one row a week.
DISTSTYLE ALL
SORTKEY (monday);

-- name: insert
INSERT INTO plays_per_week (monday, iso_year, week, plays)
WITH moments AS (
    SELECT CAST(DATE_TRUNC('week', start_time) AS DATE) AS monday FROM songplays
),
weeks AS (
    SELECT monday, COUNT(*) AS plays FROM moments GROUP BY monday
)
SELECT
    monday,
    CAST(EXTRACT(YEAR FROM monday + 3) AS INTEGER),
    CAST(EXTRACT(WEEK FROM monday) AS INTEGER),
    plays
FROM weeks
