-- No line is in quarantine. Look at load_rejects for the reasons, mend the files and run again.
-- severity: warn
--
-- Over all files, not only those just loaded: the warning stays until the files are mended.
SELECT
    files.day AS log_date, -- dated
    rejects.key, rejects.line, rejects.reason
FROM load_rejects AS rejects
INNER JOIN (SELECT DISTINCT key, day FROM load_files WHERE table_name = '<table>') AS files -- dated
    ON files.key = rejects.key -- dated
WHERE rejects.table_name = '<table>'
ORDER BY rejects.key, rejects.line
