-- +goose Up
-- The classes of a trial's detector by label. Trials recorded before have none.
CREATE TABLE labels (
    trial_id    INTEGER NOT NULL REFERENCES trials (id) ON DELETE CASCADE,
    label       INTEGER NOT NULL, -- from 0
    category_id INTEGER NOT NULL, -- in the training split
    name        TEXT NOT NULL,
    PRIMARY KEY (trial_id, label)
) STRICT, WITHOUT ROWID;
