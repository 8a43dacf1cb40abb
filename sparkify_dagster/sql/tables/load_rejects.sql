-- The quarantine: every line that could not be loaded, with the reason.
-- grain: one quarantined line
--
-- The text is raw_line and not raw, because RAW is a reserved word on Redshift (an encoding). It is
-- source data and may name people: analysts are not granted this table.
CREATE TABLE IF NOT EXISTS load_rejects (
    table_name VARCHAR(127)   NOT NULL ENCODE raw,   -- Staging table that the line was meant for.
    key        VARCHAR(1024)  NOT NULL ENCODE zstd,  -- Key of the file, relative to the configured prefix.
    line       BIGINT         NOT NULL ENCODE az64,  -- Number of the line in the file, from 1.
    reason     VARCHAR(1024)  NOT NULL ENCODE zstd,  -- Why it was rejected, naming the key and the expectation.
    raw_line   VARCHAR(65535) ENCODE zstd,           -- Text of the line, cut to fit; NULL where the engine does not have it.
    PRIMARY KEY (table_name, key, line)
)
-- EVEN: a small table that is read as a whole and joined to nothing large.
DISTSTYLE EVEN
-- Rejects are looked up by table and file.
-- table_name stays raw as the key that blocks are chosen by; text is zstd, numbers are az64.
SORTKEY (table_name, key, line);
