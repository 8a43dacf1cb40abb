-- A cohort is whole in its first week, and never larger than it was.
-- severity: error
SELECT cohort_week, weeks_since, users, cohort_users, share
FROM weekly_retention
WHERE (weeks_since = 0 AND (users <> cohort_users OR share <> 1))
   OR weeks_since < 0
   OR users > cohort_users
   OR share < 0
   OR share > 1
ORDER BY cohort_week, weeks_since
