-- +goose Up
-- Times are RFC 3339 text given by the caller; a number that is not finite or
-- not defined is NULL; statuses are text, so that nothing hangs on an order.

-- Marks the file as ours: "FGRD".
PRAGMA application_id = 1179079236;

CREATE TABLE sweeps (
    id      INTEGER PRIMARY KEY,
    name    TEXT NOT NULL,
    file    TEXT NOT NULL, -- the text of the ablation file
    hash    TEXT NOT NULL, -- its SHA-256
    created TEXT NOT NULL,
    UNIQUE (name, hash)
) STRICT;

CREATE TABLE trials (
    id            INTEGER PRIMARY KEY,
    key           TEXT NOT NULL UNIQUE, -- the trial's identity, SHA-256 in hex
    kind          TEXT NOT NULL CHECK (kind IN ('train', 'pretrain')),
    config        TEXT NOT NULL,        -- canonical JSON
    seed          INTEGER NOT NULL,
    dataset       TEXT NOT NULL,
    init          TEXT NOT NULL,
    engine        TEXT NOT NULL,
    numerics      TEXT NOT NULL,
    status        TEXT NOT NULL CHECK (status IN ('running', 'done', 'diverged', 'failed', 'interrupted')),
    error         TEXT NOT NULL DEFAULT '',
    diverged_step INTEGER,
    started       TEXT NOT NULL,
    finished      TEXT NOT NULL DEFAULT '',
    wall_seconds  REAL NOT NULL DEFAULT 0,
    provenance    TEXT NOT NULL DEFAULT '{}', -- JSON: revision, go, kernels, cpu, threads
    weights       TEXT NOT NULL DEFAULT ''    -- hash of the final weights
) STRICT;

CREATE INDEX trials_by_start ON trials (started, key);

-- The plan of a sweep. A planned trial has no row in trials until it begins,
-- hence the key as text and no foreign key on it.
CREATE TABLE sweep_trials (
    sweep_id  INTEGER NOT NULL REFERENCES sweeps (id) ON DELETE CASCADE,
    ordinal   INTEGER NOT NULL,
    table_row INTEGER NOT NULL, -- the row of the printed table, from 0
    trial_key TEXT NOT NULL,
    PRIMARY KEY (sweep_id, ordinal),
    UNIQUE (sweep_id, trial_key)
) STRICT, WITHOUT ROWID;

CREATE TABLE steps (
    trial_id  INTEGER NOT NULL REFERENCES trials (id) ON DELETE CASCADE,
    step      INTEGER NOT NULL,
    loss      REAL,
    cls_loss  REAL,
    box_loss  REAL,
    lr        REAL,
    grad_norm REAL,
    positives INTEGER NOT NULL,
    PRIMARY KEY (trial_id, step)
) STRICT, WITHOUT ROWID;

CREATE TABLE metrics (
    trial_id INTEGER NOT NULL REFERENCES trials (id) ON DELETE CASCADE,
    name     TEXT NOT NULL,
    value    REAL, -- NULL: no ground truth behind it
    PRIMARY KEY (trial_id, name)
) STRICT, WITHOUT ROWID;

CREATE TABLE class_metrics (
    trial_id    INTEGER NOT NULL REFERENCES trials (id) ON DELETE CASCADE,
    category_id INTEGER NOT NULL,
    name        TEXT NOT NULL,
    ap          REAL,
    ap50        REAL,
    ap75        REAL,
    PRIMARY KEY (trial_id, category_id)
) STRICT, WITHOUT ROWID;

CREATE TABLE detections (
    trial_id INTEGER PRIMARY KEY REFERENCES trials (id) ON DELETE CASCADE,
    size     INTEGER NOT NULL, -- bytes before compression
    results  BLOB NOT NULL     -- COCO results JSON, gzip
) STRICT;

CREATE TABLE artifacts (
    hash    TEXT PRIMARY KEY, -- SHA-256 of the content, hex
    kind    TEXT NOT NULL,
    size    INTEGER NOT NULL,
    path    TEXT,
    content BLOB,
    CHECK ((path IS NULL) <> (content IS NULL)) -- in a file, or here
) STRICT;
