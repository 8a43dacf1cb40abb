-- Every line of the user activity logs as it was sent, typed and dated, so that the star can be
-- rebuilt from here without reading the lake again.
-- grain: one line of a log file
-- json: camelCase
-- index: event_time
-- person: user_id
--
-- The columns artist to user_id stand in the order of the lake's JSONPaths file. NOT NULL on one of
-- them means that a line without that key is quarantined. There is no key: the same event delivered
-- twice is two lines here and one songplay.
CREATE TABLE IF NOT EXISTS staging_events (
    log_date        DATE             NOT NULL ENCODE raw,   -- Day in the name of the file (platform).
    artist          VARCHAR(512)     ENCODE zstd,           -- Name of the artist played; only on page NextSong.
    auth            VARCHAR(32)      NOT NULL ENCODE zstd,  -- Authentication state, such as Logged In or Logged Out.
    first_name      VARCHAR(128)     ENCODE zstd,           -- First name of the listener (personal); NULL when logged out.
    gender          VARCHAR(1)       ENCODE zstd,           -- Gender of the listener; NULL when logged out (personal). One of: F, M.
    item_in_session INTEGER          NOT NULL ENCODE az64,  -- Position of the event in its session, from 0.
    last_name       VARCHAR(128)     ENCODE zstd,           -- Last name of the listener (personal); NULL when logged out.
    length          DOUBLE PRECISION ENCODE zstd,           -- Length of the song played in seconds; only on page NextSong.
    level           VARCHAR(16)      NOT NULL ENCODE zstd,  -- Subscription at the time of the event. One of: free, paid.
    location        VARCHAR(256)     ENCODE zstd,           -- Metropolitan area of the listener (personal).
    method          VARCHAR(16)      NOT NULL ENCODE zstd,  -- HTTP method of the request.
    page            VARCHAR(64)      NOT NULL ENCODE zstd,  -- Page requested; NextSong is a play.
    registration    BIGINT           ENCODE az64,           -- When the listener registered, epoch milliseconds (personal).
    session_id      INTEGER          NOT NULL ENCODE az64,  -- Session of the event; unique only together with the listener.
    song            VARCHAR(512)     ENCODE zstd,           -- Title of the song played; only on page NextSong.
    status          INTEGER          NOT NULL ENCODE az64,  -- HTTP status of the response.
    ts              BIGINT           NOT NULL ENCODE az64,  -- When the event happened, epoch milliseconds as sent.
    user_agent      VARCHAR(1024)    ENCODE zstd,           -- Browser of the listener (personal).
    user_id         INTEGER          ENCODE az64,           -- Listener; NULL (sent as "") when logged out.
    event_time      TIMESTAMP        NOT NULL ENCODE az64,  -- ts as a UTC timestamp, milliseconds kept (platform).
    source_file     VARCHAR(1024)    NOT NULL ENCODE zstd   -- Key of the file, relative to LOG_DATA (platform).
)
-- EVEN: the table is joined on no single column, and user_id would put every logged-out event on one slice.
DISTSTYLE EVEN
-- Days are deleted, loaded and read as a whole: sorted by day, a day costs a day. log_date stays
-- raw: compressed far better than the other columns, one block of it would cover so many rows that a
-- scan of one day reads the blocks of many.
-- Of the rest, whole numbers and times are az64, which is the fastest to read; text and fractions,
-- which az64 does not take, are zstd.
SORTKEY (log_date);
