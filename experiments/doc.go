// Package experiments turns a grid file into results: YAML to settings
// (grid.go, config.go, profile.go), settings to trials with an identity (canonical.go),
// trials to trained networks and their AP (network.go, train.go, evaluate.go,
// trial.go), and those to the paper's table (table.go).
//
// It is the only package that joins the others and the only reader of grid
// files. The line of one trial: dataset → model → sampler → loss → optim
// (through engine) → detections → metrics → results.
//
// Nothing here reads a clock or a global random source: Runner is handed a
// clock for its records, and draws are functions of seed, purpose and index
// (draw.go). Flags, terminals and exit codes are the command's business.
package experiments
