-- The ledger: every version of every lake file that was loaded, written in the transaction of its rows.
-- For each file, lines = rows + rejects.
-- grain: one version of one file
--
-- The first column is table_name, because TABLE is a reserved word on every engine. key, size and rows
-- need no quotes on any of them.
CREATE TABLE IF NOT EXISTS load_files (
    table_name    VARCHAR(127)  NOT NULL ENCODE raw,   -- Staging table that the file was loaded into.
    key           VARCHAR(1024) NOT NULL ENCODE zstd,  -- Key of the file, relative to the configured prefix.
    etag          VARCHAR(256)  NOT NULL ENCODE zstd,  -- Version of the content, as the lake tells it.
    size          BIGINT        NOT NULL ENCODE az64,  -- Size of the file in bytes.
    last_modified TIMESTAMP     NOT NULL ENCODE az64,  -- When the lake says that the file was written, UTC.
    day           DATE          ENCODE az64,           -- Day in the name of a log file; NULL for song files.
    lines         BIGINT        NOT NULL ENCODE az64,  -- Lines read.
    rows          BIGINT        NOT NULL ENCODE az64,  -- Rows loaded.
    rejects       BIGINT        NOT NULL ENCODE az64,  -- Lines quarantined in load_rejects.
    loaded_at     TIMESTAMP     NOT NULL ENCODE az64,  -- When the file was loaded, UTC.
    run_id        VARCHAR(64)   NOT NULL ENCODE zstd,  -- Run that loaded it.
    PRIMARY KEY (table_name, key, etag)
)
-- EVEN: a small table that is read as a whole and joined to nothing large.
DISTSTYLE EVEN
-- Each load compares one table's files with the lake, by key.
-- table_name stays raw as the key that blocks are chosen by; text is zstd, the rest az64.
SORTKEY (table_name, key);
