-- The moments at which plays started, broken into the units that reports group by. All of it is UTC.
-- grain: one start_time of a songplay
CREATE TABLE IF NOT EXISTS time (
    start_time TIMESTAMP NOT NULL ENCODE raw,   -- The moment, UTC, milliseconds kept.
    hour       INTEGER   NOT NULL ENCODE az64,  -- Hour of the day, 0 to 23.
    day        INTEGER   NOT NULL ENCODE az64,  -- Day of the month, 1 to 31.
    week       INTEGER   NOT NULL ENCODE az64,  -- ISO week, 1 to 53; it may belong to the year before or after.
    month      INTEGER   NOT NULL ENCODE az64,  -- Month, 1 to 12.
    year       INTEGER   NOT NULL ENCODE az64,  -- Calendar year.
    weekday    INTEGER   NOT NULL ENCODE az64,  -- Day of the week, 0 (Sunday) to 6 (Saturday).
    PRIMARY KEY (start_time)
)
-- KEY start_time: it grows with the plays, so a copy on every node would not do; its only join is on start_time.
DISTSTYLE KEY
DISTKEY (start_time)
-- start_time: spans of time read only their own blocks; it stays raw as in staging_events.
-- All else is az64, made for numbers.
SORTKEY (start_time);
