-- Of the people who began to listen in a week, how many listen in the weeks after?
-- grain: one week since the first one, of the listeners who began in one week
-- chart: heatmap weeks_since cohort_week share
--
-- Who played something for the first time, as far as the log files go, belongs to the cohort of
-- that week; weeks are from Monday, and days are those of the log files. A cohort has a row for
-- every later week in which anybody listened, though none of the cohort may have. The last week may
-- not be over, and its share grows until it is.
CREATE TABLE IF NOT EXISTS weekly_retention (
    cohort_week  DATE             NOT NULL ENCODE raw,   -- Monday of the week in which the listeners began.
    weeks_since  INTEGER          NOT NULL ENCODE az64,  -- Weeks since then; 0 is the first week itself.
    users        BIGINT           NOT NULL ENCODE az64,  -- Listeners of the cohort who played something in that week.
    cohort_users BIGINT           NOT NULL ENCODE az64,  -- Listeners of the cohort.
    share        DOUBLE PRECISION NOT NULL ENCODE zstd,  -- Part of the cohort that listened, 0 to 1.
    PRIMARY KEY (cohort_week, weeks_since)
)
-- ALL: some rows a week.
DISTSTYLE ALL
SORTKEY (cohort_week, weeks_since);

-- name: insert
INSERT INTO weekly_retention (cohort_week, weeks_since, users, cohort_users, share)
WITH active_days AS (
    SELECT log_date, user_id FROM songplays GROUP BY log_date, user_id
),
active_weeks AS (
    SELECT DISTINCT
        CAST(DATE_TRUNC('week', CAST(log_date AS TIMESTAMP)) AS DATE) AS week, user_id
    FROM active_days
),
known AS (
    SELECT week, user_id, MIN(week) OVER (PARTITION BY user_id) AS cohort_week FROM active_weeks
),
counted AS (
    SELECT cohort_week, week, COUNT(user_id) AS users FROM known GROUP BY cohort_week, week
),
cohorts AS (
    SELECT cohort_week, users AS cohort_users FROM counted WHERE week = cohort_week
),
weeks AS (
    SELECT DISTINCT week FROM counted
)
SELECT
    cohorts.cohort_week,
    CAST(CAST(weeks.week - cohorts.cohort_week AS DOUBLE PRECISION) / 7 AS INTEGER),
    COALESCE(counted.users, 0),
    cohorts.cohort_users,
    CAST(COALESCE(counted.users, 0) AS DOUBLE PRECISION)
        / CAST(cohorts.cohort_users AS DOUBLE PRECISION)
FROM cohorts
INNER JOIN weeks ON weeks.week >= cohorts.cohort_week
LEFT JOIN counted
    ON counted.cohort_week = cohorts.cohort_week
    AND counted.week = weeks.week
