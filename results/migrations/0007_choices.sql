-- +goose Up
-- The settings that a row of a table has chosen as its own best, and the candidates they were chosen from.
CREATE TABLE choices (
    id      INTEGER PRIMARY KEY,
    subject TEXT NOT NULL UNIQUE, -- the identity of the row without the chosen settings, SHA-256 in hex
    best    TEXT NOT NULL,        -- JSON: the chosen settings by key
    chosen  TEXT NOT NULL         -- when
) STRICT;

-- A candidate's trials are named as a sweep's are: by their keys, and with no foreign key on them.
CREATE TABLE candidates (
    choice_id INTEGER NOT NULL REFERENCES choices (id) ON DELETE CASCADE,
    place     INTEGER NOT NULL, -- from 0, as in the grid file
    settings  TEXT NOT NULL,    -- JSON
    ap        REAL NOT NULL,    -- the mean over the trials; one that diverged counts as 0
    trials    TEXT NOT NULL,    -- JSON: a list of keys
    PRIMARY KEY (choice_id, place)
) STRICT, WITHOUT ROWID;
