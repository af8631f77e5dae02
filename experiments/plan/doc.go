// Package plan turns ablation YAML into resolved trials with identities, without data, networks or a database:
//
//  1. grid.go reads a grid file strictly: every unknown key, wrong type and duplicate is an error with its line;
//  2. profile.go lays the profile, the grid's baseline, --set and --data over each other;
//  3. expand.go expands the rows (grid, zip, ablate, list) and the seeds, selection.go picks among them, and claims.go
//     finds the rows that the file's claims are about;
//  4. validate.go refuses impossible values, and locate.go settles where data and weights lie;
//  5. tune.go lays out the candidates for each row's own best settings, and the rows at what was chosen;
//  6. canonical.go writes the text that a trial's identity is the hash of.
//
// catalogue.go knows the settings of all components, which a caller passes as a value, and config.go holds their values
// for one trial. value.go reads one value, and explain.go explains each to a reader. missing.go says what must still be
// passed before a plan can be run, and describe.go puts a plan into words.
package plan
