// Package sweep runs the trials of plans (package plan) and records what comes of them:
//
//  1. records.go computes the identities of a plan's trials and looks up what is recorded of them; related.go finds
//     what an older version recorded of the same trials, and what is recorded on other data;
//  2. coordinator.go runs what is missing, at as many places at a time as its Executor has (executor.go);
//  3. attempt.go claims a trial in the database, names the attempt in the trial's work folder, and hands an order to
//     the executor, which runs it (package experiments) in this process (here.go) or in a worker (processes.go);
//  4. while the order runs, the coordinator sends heartbeats to the database, from the events that the run reports; at
//     last it applies the bundle that the run leaves in the folder, in one transaction;
//  5. the trials of a coordinator that died (process.go) or fell silent are taken over by the next, from the bundle or
//     the newest checkpoint in the folder;
//  6. tune.go chooses each row's own best settings from recorded trials, and finds what was chosen;
//  7. table.go gathers the recorded rows beside the paper's, cost.go estimates what a plan takes, and recorded.go reads
//     what is recorded of a trial.
//
// Several coordinators may share a database. A run knows no database: it writes into its folder as long as no later
// attempt holds it, and the database refuses the result of an attempt that was taken over.
package sweep
