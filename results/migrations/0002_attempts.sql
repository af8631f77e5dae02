-- +goose Up
-- Each try at a trial. The one whose exit is empty holds the trial: only it may
-- write, and no other can begin until it has ended or was found dead. Its number
-- is the fencing token.
CREATE TABLE attempts (
    trial_id     INTEGER NOT NULL REFERENCES trials (id) ON DELETE CASCADE,
    number       INTEGER NOT NULL, -- from 1
    owner        TEXT NOT NULL,    -- names one process of one machine, for ever
    host         TEXT NOT NULL,
    pid          INTEGER NOT NULL,
    start_step   INTEGER NOT NULL, -- steps taken over from a checkpoint
    end_step     INTEGER NOT NULL, -- steps done when last heard of
    beats        INTEGER NOT NULL DEFAULT 0, -- heartbeats
    started      TEXT NOT NULL,
    ended        TEXT NOT NULL DEFAULT '',
    wall_seconds REAL NOT NULL DEFAULT 0,
    peak_bytes   INTEGER NOT NULL DEFAULT 0, -- of memory; 0: not known
    exit         TEXT NOT NULL DEFAULT '' CHECK (exit IN ('', 'done', 'diverged', 'failed', 'interrupted', 'killed')),
    error        TEXT NOT NULL DEFAULT '',
    environment  TEXT NOT NULL DEFAULT '{}', -- JSON: revision, diff, go, modules, engine, kernels, cpu, gpu, threads
    PRIMARY KEY (trial_id, number)
) STRICT, WITHOUT ROWID;

CREATE UNIQUE INDEX attempts_held ON attempts (trial_id) WHERE exit = '';

-- Trials recorded before attempts were had one that began at step 0.
INSERT INTO attempts (trial_id, number, owner, host, pid, start_step, end_step, started, ended, wall_seconds, exit, error, environment)
SELECT id, 1, '', coalesce(provenance ->> '$.host', ''), 0, 0,
       (SELECT coalesce(max(step) + 1, 0) FROM steps WHERE trial_id = id),
       started, finished, wall_seconds, iif(status = 'running', 'killed', status), error, provenance
FROM trials;
