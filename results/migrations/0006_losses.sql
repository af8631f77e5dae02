-- +goose Up
-- The terms of the loss by name. Before, each step had two of them as columns of its own.
CREATE TABLE losses (
    trial_id INTEGER NOT NULL,
    step     INTEGER NOT NULL,
    name     TEXT NOT NULL,
    place    INTEGER NOT NULL, -- from 0: the order in which the sum adds them
    value    REAL,
    PRIMARY KEY (trial_id, step, name),
    FOREIGN KEY (trial_id, step) REFERENCES steps (trial_id, step) ON DELETE CASCADE
) STRICT, WITHOUT ROWID;

INSERT INTO losses (trial_id, step, name, place, value)
SELECT trial_id, step, 'class', 0, cls_loss FROM steps
UNION ALL
SELECT trial_id, step, 'box', 1, box_loss FROM steps;

ALTER TABLE steps DROP COLUMN cls_loss;
ALTER TABLE steps DROP COLUMN box_loss;
