// Package sweep runs the trials of plans (package plan) and records what comes of them:
//
//  1. records.go computes the identities of a plan's trials and looks up what is recorded of them; kin.go finds what an
//     older version recorded of the same trials, and what is recorded on other data;
//  2. coordinator.go runs what is missing, at as many places at a time as its Executor has (executor.go);
//  3. attempt.go claims a trial in the database, names the attempt in the trial's work folder, and hands an order to
//     the executor, which runs it (package experiments) in this process (here.go) or in worker processes (processes.go);
//  4. it reports to the database that the attempt is alive as long as it is, from the events that the order's run
//     reports, and at last applies the bundle which that leaves in the folder, in one transaction;
//  5. what a coordinator held that died (process.go) or fell silent is taken over by the next, from the bundle or the
//     newest checkpoint in the folder;
//  6. table.go gathers the recorded rows beside the paper's, cost.go estimates what a plan takes, and recorded.go reads
//     back what is recorded of a trial.
//
// Several coordinators may share a database. A run knows none: it writes into its folder as long as no later attempt
// holds it, and what comes of a lost attempt is refused by the attempt's number.
package sweep
