-- For every file, lines read = rows loaded + lines quarantined, in the ledger and in the tables.
-- severity: error
WITH files AS (
    SELECT key, day, lines, rows, rejects
    FROM (
        SELECT
            key, day, lines, rows, rejects,
            ROW_NUMBER() OVER (PARTITION BY key ORDER BY loaded_at DESC) AS place
        FROM load_files
        WHERE table_name = '<table>'
          AND key IN (SELECT key FROM loading) -- incremental
    ) AS versions
    WHERE place = 1
),
loaded AS (
    SELECT source_file, COUNT(*) AS loaded_rows
    FROM <table>
    WHERE source_file IN (SELECT key FROM loading) -- incremental
      AND log_date IN (SELECT day FROM loading) -- dated -- incremental
    GROUP BY source_file
),
quarantined AS (
    SELECT key, COUNT(*) AS quarantined_lines
    FROM load_rejects
    WHERE table_name = '<table>'
      AND key IN (SELECT key FROM loading) -- incremental
    GROUP BY key
)
SELECT
    files.day AS log_date, -- dated
    files.key, files.lines, files.rows, files.rejects,
    COALESCE(loaded.loaded_rows, 0) AS loaded_rows,
    COALESCE(quarantined.quarantined_lines, 0) AS quarantined_lines
FROM files
LEFT JOIN loaded ON loaded.source_file = files.key
LEFT JOIN quarantined ON quarantined.key = files.key
WHERE files.lines <> files.rows + files.rejects
   OR files.rows <> COALESCE(loaded.loaded_rows, 0)
   OR files.rejects <> COALESCE(quarantined.quarantined_lines, 0)
