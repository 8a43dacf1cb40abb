-- How many people listen in a day, in a week and in a month?
-- grain: one day from the first with plays to the last
-- chart: line day users, users_7_days, users_30_days
--
-- The windows end with the day: 7 days are the day and the six before it. In the first weeks they
-- reach back before the first log file. A day without plays has a row like any other. Days are
-- those of the log files.
--
-- A day on which somebody listened adds that listener to a window until the window's end, or until
-- the next such day takes over; so each needs one entry and one exit, and no day is compared with
-- all days near it. The days are counted by four digits, which is 27 years.
CREATE TABLE IF NOT EXISTS active_listeners (
    day           DATE   NOT NULL ENCODE raw,   -- Day.
    users         BIGINT NOT NULL ENCODE az64,  -- Listeners who played something on that day.
    users_7_days  BIGINT NOT NULL ENCODE az64,  -- Listeners who played something on that day or the 6 days before it.
    users_30_days BIGINT NOT NULL ENCODE az64,  -- Listeners who played something on that day or the 29 days before it.
    PRIMARY KEY (day)
)
-- ALL: one row a day.
DISTSTYLE ALL
SORTKEY (day);

-- name: insert
INSERT INTO active_listeners (day, users, users_7_days, users_30_days)
WITH active_days AS (
    SELECT log_date, user_id FROM songplays GROUP BY log_date, user_id
),
spells AS (
    SELECT
        log_date, user_id,
        LEAD(log_date) OVER (PARTITION BY user_id ORDER BY log_date) AS next_date
    FROM active_days
),
digits AS (
    SELECT 0 AS digit UNION ALL SELECT 1 UNION ALL SELECT 2 UNION ALL SELECT 3 UNION ALL SELECT 4
    UNION ALL SELECT 5 UNION ALL SELECT 6 UNION ALL SELECT 7 UNION ALL SELECT 8 UNION ALL SELECT 9
),
numbers AS (
    SELECT a.digit + 10 * b.digit + 100 * c.digit + 1000 * d.digit AS number
    FROM digits AS a
    CROSS JOIN digits AS b
    CROSS JOIN digits AS c
    CROSS JOIN digits AS d
),
bounds AS (
    SELECT MIN(log_date) AS first_date, MAX(log_date) AS last_date FROM active_days
),
days AS (
    SELECT bounds.first_date + numbers.number AS day
    FROM bounds
    CROSS JOIN numbers
    WHERE numbers.number <= bounds.last_date - bounds.first_date
),
changes AS (
    SELECT day, 0 AS users, 0 AS users_7_days, 0 AS users_30_days FROM days
    UNION ALL
    SELECT log_date, COUNT(user_id), COUNT(user_id), COUNT(user_id) FROM spells GROUP BY log_date
    UNION ALL
    SELECT log_date + 1, -COUNT(user_id), 0, 0 FROM spells GROUP BY log_date
    UNION ALL
    SELECT
        CASE WHEN next_date < log_date + 7 THEN next_date ELSE log_date + 7 END,
        0, -COUNT(user_id), 0
    FROM spells
    GROUP BY CASE WHEN next_date < log_date + 7 THEN next_date ELSE log_date + 7 END
    UNION ALL
    SELECT
        CASE WHEN next_date < log_date + 30 THEN next_date ELSE log_date + 30 END,
        0, 0, -COUNT(user_id)
    FROM spells
    GROUP BY CASE WHEN next_date < log_date + 30 THEN next_date ELSE log_date + 30 END
),
net_changes AS (
    SELECT
        day, SUM(users) AS users, SUM(users_7_days) AS users_7_days,
        SUM(users_30_days) AS users_30_days
    FROM changes
    GROUP BY day
),
running AS (
    SELECT
        day,
        SUM(users) OVER (ORDER BY day ROWS UNBOUNDED PRECEDING) AS users,
        SUM(users_7_days) OVER (ORDER BY day ROWS UNBOUNDED PRECEDING) AS users_7_days,
        SUM(users_30_days) OVER (ORDER BY day ROWS UNBOUNDED PRECEDING) AS users_30_days
    FROM net_changes
)
SELECT
    day, CAST(users AS BIGINT), CAST(users_7_days AS BIGINT), CAST(users_30_days AS BIGINT)
FROM running
WHERE day <= (SELECT last_date FROM bounds)
