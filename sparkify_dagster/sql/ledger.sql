-- The platform's own bookkeeping: the ledger of files, the quarantine, and what is still to be done.
-- `loading` holds the files of the load under way, inside its transaction only.
-- `held_back` names the files that could not be loaded, and those that wait with them.
-- `stale` names derived tables whose sources changed; `refreshed` those that were built, and from
-- which text; `unknown_keys` counts the JSON keys that no column takes.
-- `made` names the tables that the platform made, with a mark of the shape it made them in;
-- `granted` the roles that `sparkify tables grant` set up. `forgotten_users` names those whose
-- personal data is left out, whatever is loaded; nothing else would know them on the next load.

-- name: create loading
CREATE TABLE IF NOT EXISTS loading (
    table_name VARCHAR(127) NOT NULL, key VARCHAR(1024) NOT NULL, etag VARCHAR(256) NOT NULL, day DATE
)

-- name: create held_back
CREATE TABLE IF NOT EXISTS held_back (
    table_name VARCHAR(127) NOT NULL, key VARCHAR(1024) NOT NULL, etag VARCHAR(256) NOT NULL, day DATE,
    cause VARCHAR(65535) NOT NULL, cure VARCHAR(1024) NOT NULL
)

-- name: create stale
CREATE TABLE IF NOT EXISTS stale (table_name VARCHAR(127) NOT NULL)

-- name: create refreshed
CREATE TABLE IF NOT EXISTS refreshed (
    table_name VARCHAR(127) NOT NULL, code_version VARCHAR(64) NOT NULL, refreshed_at TIMESTAMP NOT NULL
)

-- name: create unknown_keys
CREATE TABLE IF NOT EXISTS unknown_keys (
    table_name VARCHAR(127) NOT NULL, key VARCHAR(1024) NOT NULL,
    json_key VARCHAR(1024) NOT NULL, lines BIGINT NOT NULL
)

-- name: create made
CREATE TABLE IF NOT EXISTS made (table_name VARCHAR(127) NOT NULL, shape VARCHAR(64) NOT NULL)

-- name: create granted
CREATE TABLE IF NOT EXISTS granted (purpose VARCHAR(16) NOT NULL, role_name VARCHAR(127) NOT NULL)

-- name: create forgotten_users
CREATE TABLE IF NOT EXISTS forgotten_users (
    user_id BIGINT NOT NULL, forgotten_at TIMESTAMP NOT NULL, run_id VARCHAR(64) NOT NULL
)

-- name: current files
SELECT key, etag, day, loaded_at
FROM (
    SELECT
        key, etag, day, loaded_at,
        ROW_NUMBER() OVER (PARTITION BY key ORDER BY loaded_at DESC) AS place
    FROM load_files
    WHERE table_name = :table_name
) AS versions
WHERE place = 1

-- name: current etags
SELECT key, etag
FROM (
    SELECT key, etag, ROW_NUMBER() OVER (PARTITION BY key ORDER BY loaded_at DESC) AS place
    FROM load_files
    WHERE table_name = :table_name
) AS versions
WHERE place = 1

-- name: forget versions
DELETE FROM load_files
USING loading
WHERE load_files.table_name = :table_name
  AND loading.table_name = load_files.table_name
  AND loading.key = load_files.key
  AND loading.etag = load_files.etag

-- name: forget rejects
DELETE FROM load_rejects
WHERE table_name = :table_name
  AND key IN (SELECT key FROM loading)

-- name: forget unknown keys
DELETE FROM unknown_keys
WHERE table_name = :table_name
  AND key IN (SELECT key FROM loading)

-- name: clear loading
DELETE FROM loading

-- name: totals of a day
-- Of the other current files; files without a day count as of one day, the same for all of them.
SELECT COALESCE(SUM(lines), 0), COALESCE(SUM(rejects), 0)
FROM (
    SELECT
        lines, rejects, key,
        ROW_NUMBER() OVER (PARTITION BY key ORDER BY loaded_at DESC) AS place
    FROM load_files
    WHERE table_name = :table_name
      AND COALESCE(day, DATE '1970-01-01') = COALESCE(CAST(:day AS DATE), DATE '1970-01-01')
) AS versions
WHERE place = 1
  AND key NOT IN (SELECT key FROM loading)

-- name: held back
SELECT table_name, key, day, etag, cause, cure
FROM held_back
WHERE table_name = :table_name
ORDER BY key

-- name: forget held back
DELETE FROM held_back
WHERE table_name = :table_name

-- name: days held back
SELECT DISTINCT day
FROM held_back
WHERE day IS NOT NULL

-- name: mark stale
INSERT INTO stale (table_name)
SELECT CAST(:table_name AS VARCHAR(127))
FROM (SELECT COUNT(*) AS notes FROM stale WHERE table_name = :table_name) AS noted
WHERE notes = 0

-- name: clear stale
DELETE FROM stale
WHERE table_name = :table_name

-- name: stale tables
SELECT DISTINCT table_name FROM stale

-- name: built tables
SELECT table_name, code_version FROM refreshed

-- name: forget built
DELETE FROM refreshed
WHERE table_name = :table_name

-- name: note built
INSERT INTO refreshed (table_name, code_version, refreshed_at)
VALUES (:table_name, :code_version, :refreshed_at)

-- name: made tables
SELECT table_name, shape FROM made

-- name: forget made
DELETE FROM made
WHERE table_name = :table_name

-- name: granted roles
SELECT purpose, role_name FROM granted

-- name: forget granted
DELETE FROM granted
WHERE purpose = :purpose

-- name: forgotten users
SELECT user_id, forgotten_at, run_id
FROM forgotten_users
ORDER BY forgotten_at, user_id

-- name: note forgotten
INSERT INTO forgotten_users (user_id, forgotten_at, run_id)
VALUES (:user_id, :forgotten_at, :run_id)

-- name: texts in quarantine
SELECT key, line, reason, raw_line
FROM load_rejects
WHERE table_name = :table_name
  AND raw_line IS NOT NULL

-- name: clear texts in quarantine
DELETE FROM load_rejects
WHERE table_name = :table_name
  AND raw_line IS NOT NULL
