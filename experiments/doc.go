// Package experiments runs the trials of a plan (package plan) and records what comes of them:
//
//  1. source.go looks at the data, prepares it and computes its identity;
//  2. pretrain.go and initial.go provide the weights that a trial starts from;
//  3. sweep.go decides what is missing, and attempt.go claims a trial in the database;
//  4. trial.go trains and scores a trial (package detector), with checkpoints on the way (checkpoint.go),
//     in this process or in a worker (worker.go);
//  5. table.go gathers the recorded rows beside the paper's, and verify.go trains a recorded trial again.
//
// Nothing here reads a clock or a global random source: Runner is handed a clock for its records, and draws are
// functions of seed, purpose and index. Flags, terminals and exit codes are the command's business.
package experiments
