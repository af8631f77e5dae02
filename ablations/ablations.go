// Package ablations holds the grid files of the paper's tables, and the profiles they use in profiles/, so that the
// runner finds them by name in any folder. The header of each file says what the file reproduces, what to expect and
// what it costs. Only package plan reads the files and knows what the keys mean.
package ablations

import "embed"

// Files holds the grid files by name, such as gamma.yaml, and profiles/.
//
//go:embed *.yaml profiles/*.yaml
var Files embed.FS
