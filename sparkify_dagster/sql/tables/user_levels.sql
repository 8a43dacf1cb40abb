-- The history of subscriptions: from when to when a listener was free or paid.
-- grain: one unbroken period of one listener at one level
CREATE TABLE IF NOT EXISTS user_levels (
    user_id    INTEGER     NOT NULL ENCODE raw,   -- Listener.
    level      VARCHAR(16) NOT NULL ENCODE zstd,  -- Subscription during the period. One of: free, paid.
    valid_from TIMESTAMP   NOT NULL ENCODE az64,  -- First play of the period, UTC.
    valid_to   TIMESTAMP   ENCODE az64,           -- First play of the next period, itself excluded; NULL while current.
    is_current BOOLEAN     NOT NULL ENCODE zstd,  -- Whether this is the latest period of the listener.
    PRIMARY KEY (user_id, valid_from),
    FOREIGN KEY (user_id) REFERENCES users (user_id)
)
-- KEY user_id: next to the listener and the plays.
DISTSTYLE KEY
DISTKEY (user_id)
-- The level at a moment is looked up by listener and time.
-- user_id stays raw as the key that blocks are chosen by; text is zstd, times are az64.
SORTKEY (user_id, valid_from);
