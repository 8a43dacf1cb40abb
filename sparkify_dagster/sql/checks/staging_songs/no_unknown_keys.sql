-- The lake sends no JSON key that no column takes: such values are not loaded.
-- severity: warn
-- blocking: no
SELECT
    u.key, u.json_key, u.lines
FROM unknown_keys AS u
INNER JOIN (SELECT DISTINCT table_name, key, day FROM load_files) AS f
    ON f.table_name = u.table_name
    AND f.key = u.key
WHERE u.table_name = 'staging_songs'
  AND u.key IN (SELECT key FROM loading) -- incremental
ORDER BY u.key, u.json_key
