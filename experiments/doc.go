// Package experiments runs one trial, and knows no database:
//
//  1. source.go looks at the data, prepares it and computes its identity;
//  2. pretrain.go and initial.go provide the weights that a trial starts from;
//  3. a coordinator (package sweep) names an attempt in the trial's work folder (Hold) and hands its Order to
//     Trainer.Run;
//  4. trial.go continues from the newest checkpoint there (checkpoint.go), trains and scores the trial (package
//     detector), reports events (event.go), and writes checkpoints as long as no later attempt holds the folder;
//  5. bundle.go leaves the result in the folder, with the final weights beside it, for the coordinator to record;
//  6. trained.go and verify.go load what is recorded of a trial, look at pictures with it and train it again.
//
// Nothing here reads a clock or a global random source: Trainer is handed a clock for its records, and draws are
// functions of seed, purpose and index. Flags, terminals and exit codes are the command's business.
package experiments
