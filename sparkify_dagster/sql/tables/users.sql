-- The listeners, each with the attributes of the latest play by event time.
-- grain: one listener
-- person: user_id
CREATE TABLE IF NOT EXISTS users (
    user_id    INTEGER      NOT NULL ENCODE raw,   -- Identifier of the listener.
    first_name VARCHAR(128) ENCODE zstd,           -- First name (personal).
    last_name  VARCHAR(128) ENCODE zstd,           -- Last name (personal).
    gender     VARCHAR(1)   ENCODE zstd,           -- Gender, where known (personal). One of: F, M.
    level      VARCHAR(16)  NOT NULL ENCODE zstd,  -- Subscription at the latest play; earlier ones are in user_levels. One of: free, paid.
    PRIMARY KEY (user_id)
)
-- KEY user_id: next to the plays and levels of the same listener.
DISTSTYLE KEY
DISTKEY (user_id)
-- user_id: every join and every refresh looks listeners up by it, and it allows merge joins.
-- It stays raw as the key that blocks are chosen by; text is zstd.
SORTKEY (user_id);
