-- How many of the listeners of a day are new, and how many come back?
-- grain: one day with plays
-- chart: line day new_users, returning_users
--
-- New is who never played anything on an earlier day, as far as the log files go: on the first days
-- of the log nearly everybody is. Days are those of the log files. A day without plays has no row.
CREATE TABLE IF NOT EXISTS new_and_returning_listeners (
    day             DATE   NOT NULL ENCODE raw,   -- Day.
    new_users       BIGINT NOT NULL ENCODE az64,  -- Listeners for whom it is the first day with plays.
    returning_users BIGINT NOT NULL ENCODE az64,  -- Listeners who played something on an earlier day as well.
    PRIMARY KEY (day)
)
-- ALL: one row a day.
DISTSTYLE ALL
SORTKEY (day);

-- name: insert
INSERT INTO new_and_returning_listeners (day, new_users, returning_users)
WITH active_days AS (
    SELECT log_date, user_id FROM songplays GROUP BY log_date, user_id
),
known AS (
    SELECT log_date, user_id, MIN(log_date) OVER (PARTITION BY user_id) AS first_date
    FROM active_days
)
SELECT
    log_date,
    COUNT(CASE WHEN log_date = first_date THEN user_id END),
    COUNT(CASE WHEN log_date > first_date THEN user_id END)
FROM known
GROUP BY log_date
