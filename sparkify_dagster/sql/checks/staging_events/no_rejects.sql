-- No line is in quarantine. Look at load_rejects for the reasons, mend the files and run again.
-- severity: warn
-- blocking: no
SELECT
    f.day AS log_date, r.key, r.line, r.reason
FROM load_rejects AS r
INNER JOIN (SELECT DISTINCT table_name, key, day FROM load_files) AS f
    ON f.table_name = r.table_name
    AND f.key = r.key
WHERE r.table_name = 'staging_events'
  AND r.key IN (SELECT key FROM loading) -- incremental
ORDER BY r.key, r.line
