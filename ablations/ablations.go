// Package ablations holds the grid files of the paper's tables, with the
// profiles they build on under profiles/, so that the runner finds them by
// name in any folder. What the keys mean is said in package experiments, which
// alone reads them; each file opens with what it reproduces, what to expect and
// what it costs.
package ablations

import "embed"

// Files holds the grid files by name, such as gamma.yaml, and profiles/.
//
//go:embed *.yaml profiles/*.yaml
var Files embed.FS
