"""The yardstick: the same tables from the same lake, as a good engineer would write them in DuckDB.

Stated columns, globs, one CREATE TABLE AS per table, default settings, one persistent file. There
is no ledger, quarantine, audit or history here, and the whole lake is read every time. Nothing
here imports the product.

    python benchmarks/plain_duckdb.py LOG_DATA SONG_DATA DATABASE
"""

import sys

import duckdb

STAGING_EVENTS = """
CREATE TABLE staging_events AS
SELECT
    CAST(regexp_extract(filename, '(\\d{4}-\\d{2}-\\d{2})[^/]*$', 1) AS DATE) AS log_date,
    artist, auth, firstName AS first_name, gender, itemInSession AS item_in_session,
    lastName AS last_name, length, level, location, method, page,
    CAST(registration AS BIGINT) AS registration, sessionId AS session_id, song, status, ts,
    userAgent AS user_agent, CAST(nullif(userId, '') AS INTEGER) AS user_id,
    make_timestamp(ts * 1000) AS event_time,
    filename AS source_file
FROM read_json($log_data || '/**/*.json', format = 'newline_delimited', filename = true,
    columns = {
        artist: 'VARCHAR', auth: 'VARCHAR', firstName: 'VARCHAR', gender: 'VARCHAR',
        itemInSession: 'INTEGER', lastName: 'VARCHAR', length: 'DOUBLE', level: 'VARCHAR',
        location: 'VARCHAR', method: 'VARCHAR', page: 'VARCHAR', registration: 'DOUBLE',
        sessionId: 'INTEGER', song: 'VARCHAR', status: 'INTEGER', ts: 'BIGINT',
        userAgent: 'VARCHAR', userId: 'VARCHAR'
    })
"""

STAGING_SONGS = """
CREATE TABLE staging_songs AS
SELECT * EXCLUDE (filename), filename AS source_file
FROM read_json($song_data || '/**/*.json', format = 'newline_delimited', filename = true,
    columns = {
        num_songs: 'INTEGER', artist_id: 'VARCHAR', artist_latitude: 'DOUBLE',
        artist_longitude: 'DOUBLE', artist_location: 'VARCHAR', artist_name: 'VARCHAR',
        song_id: 'VARCHAR', title: 'VARCHAR', duration: 'DOUBLE', year: 'INTEGER'
    })
"""

SONGPLAYS = """
CREATE TABLE songplays AS
WITH plays AS (
    SELECT *
    FROM staging_events
    WHERE page = 'NextSong' AND user_id IS NOT NULL
    QUALIFY row_number() OVER (
        PARTITION BY user_id, session_id, item_in_session, ts ORDER BY log_date
    ) = 1
),
catalogue AS (
    SELECT title, artist_name, duration, min(song_id) AS song_id,
        arg_min(artist_id, song_id) AS artist_id
    FROM staging_songs
    GROUP BY title, artist_name, duration
)
SELECT
    md5(concat_ws('/', user_id, session_id, item_in_session, ts)) AS songplay_id,
    plays.log_date, plays.event_time AS start_time, plays.user_id, plays.level,
    catalogue.song_id, catalogue.artist_id, plays.session_id, plays.item_in_session,
    plays.location, plays.user_agent
FROM plays
LEFT JOIN catalogue
    ON catalogue.title = plays.song
    AND catalogue.artist_name = plays.artist
    AND catalogue.duration = plays.length
"""

USERS = """
CREATE TABLE users AS
SELECT user_id, latest.first_name, latest.last_name, latest.gender, latest.level
FROM (
    SELECT user_id, arg_max(
        {first_name: first_name, last_name: last_name, gender: gender, level: level},
        {moment: event_time, level: level, session_id: session_id, item: item_in_session}
    ) AS latest
    FROM staging_events
    WHERE page = 'NextSong' AND user_id IS NOT NULL
    GROUP BY user_id
)
"""

USER_LEVELS = """
CREATE TABLE user_levels AS
WITH moments AS (
    SELECT user_id, event_time, max(level) AS level
    FROM staging_events
    WHERE page = 'NextSong' AND user_id IS NOT NULL
    GROUP BY user_id, event_time
),
starts AS (
    SELECT user_id, event_time, level
    FROM moments
    QUALIFY level IS DISTINCT FROM lag(level) OVER (PARTITION BY user_id ORDER BY event_time)
)
SELECT
    user_id, level, event_time AS valid_from,
    lead(event_time) OVER (PARTITION BY user_id ORDER BY event_time) AS valid_to,
    valid_to IS NULL AS is_current
FROM starts
"""

SONGS = """
CREATE TABLE songs AS
SELECT song_id, title, artist_id, year, duration
FROM staging_songs
QUALIFY row_number() OVER (
    PARTITION BY song_id ORDER BY coalesce(year, 0) DESC, title, artist_id, duration
) = 1
"""

ARTISTS = """
CREATE TABLE artists AS
WITH spelled AS (
    SELECT
        artist_id, artist_name AS name, nullif(artist_location, '') AS location,
        artist_latitude AS latitude, artist_longitude AS longitude,
        count(*) OVER (PARTITION BY artist_id, artist_name) AS spelling_count
    FROM staging_songs
)
SELECT artist_id, name, location, latitude, longitude
FROM spelled
QUALIFY row_number() OVER (
    PARTITION BY artist_id
    ORDER BY spelling_count DESC, name, location NULLS LAST, latitude NULLS LAST,
        longitude NULLS LAST
) = 1
"""

TIME = """
CREATE TABLE time AS
SELECT
    start_time, hour(start_time) AS hour, day(start_time) AS day, week(start_time) AS week,
    month(start_time) AS month, year(start_time) AS year, dayofweek(start_time) AS weekday
FROM (SELECT DISTINCT start_time FROM songplays)
"""


def main(log_data: str, song_data: str, database: str) -> None:
    con = duckdb.connect(database)
    try:
        con.execute(STAGING_EVENTS, {"log_data": log_data})
        con.execute(STAGING_SONGS, {"song_data": song_data})
        for statement in (SONGPLAYS, USERS, USER_LEVELS, SONGS, ARTISTS, TIME):
            con.execute(statement)
    finally:
        con.close()


if __name__ == "__main__":
    main(*sys.argv[1:])
