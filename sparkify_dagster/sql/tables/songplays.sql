-- The fact table: what was listened to, by whom, when and where.
-- grain: one NextSong event of an identified listener, once however often it was delivered
-- person: user_id
CREATE TABLE IF NOT EXISTS songplays (
    songplay_id     VARCHAR(32)   NOT NULL ENCODE zstd,  -- Hash (md5, hex) of the natural key of the event: stable over reloads.
    log_date        DATE          NOT NULL ENCODE raw,   -- Day of the log file that the play came from; the partition.
    start_time      TIMESTAMP     NOT NULL ENCODE az64,  -- When the play started, UTC, milliseconds kept.
    user_id         INTEGER       NOT NULL ENCODE az64,  -- Listener.
    level           VARCHAR(16)   NOT NULL ENCODE zstd,  -- Subscription of the listener at the time of the play. One of: free, paid.
    song_id         VARCHAR(32)   ENCODE zstd,           -- Song with the same title, artist name and duration; NULL when there is none.
    artist_id       VARCHAR(32)   ENCODE zstd,           -- Artist of that song; NULL when no song matches.
    session_id      INTEGER       NOT NULL ENCODE az64,  -- Session of the play; unique only together with the listener.
    item_in_session INTEGER       NOT NULL ENCODE az64,  -- Position of the event in its session, from 0.
    location        VARCHAR(256)  ENCODE zstd,           -- Metropolitan area of the listener (personal).
    user_agent      VARCHAR(1024) ENCODE zstd,           -- Browser of the listener (personal).
    PRIMARY KEY (songplay_id),
    FOREIGN KEY (start_time) REFERENCES time (start_time),
    FOREIGN KEY (user_id) REFERENCES users (user_id),
    FOREIGN KEY (song_id) REFERENCES songs (song_id),
    FOREIGN KEY (artist_id) REFERENCES artists (artist_id)
)
-- KEY user_id: users and user_levels are spread by it too, so the largest joins move no rows;
-- it has many values and is never NULL, so slices fill evenly.
DISTSTYLE KEY
DISTKEY (user_id)
-- A refresh replaces days, and reports ask for spans of time: both read only the blocks of their days.
-- log_date stays raw as in staging_events; text is zstd, numbers and times are az64.
SORTKEY (log_date, start_time);
