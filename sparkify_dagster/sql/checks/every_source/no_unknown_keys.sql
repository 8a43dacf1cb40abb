-- The lake sends no JSON key that no column takes: such values are not loaded.
-- severity: warn
--
-- Over all files, not only those just loaded: the warning stays while such values are left out.
SELECT
    files.day AS log_date, -- dated
    unknown.key, unknown.json_key, unknown.lines
FROM unknown_keys AS unknown
INNER JOIN (SELECT DISTINCT key, day FROM load_files WHERE table_name = '<table>') AS files -- dated
    ON files.key = unknown.key -- dated
WHERE unknown.table_name = '<table>'
ORDER BY unknown.key, unknown.json_key
