-- +goose Up
-- What is written together has a checksum, by which reading it notices damage that
-- SQLite can't. Trials recorded before, and those that are at work, have none.
CREATE TABLE checksums (
    part   TEXT NOT NULL,    -- 'trial': its row, labels, metrics and attempts; 'steps'; 'classes'; 'detections'; 'sweep': its row and plan
    id     INTEGER NOT NULL, -- of the trial's or the sweep's row
    sha256 TEXT NOT NULL,
    PRIMARY KEY (part, id)
) STRICT, WITHOUT ROWID;
