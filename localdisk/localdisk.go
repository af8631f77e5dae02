// Package localdisk finds out whether a file lies on a disk of this machine, where locks and
// shared memory hold between all processes that open it.
package localdisk
