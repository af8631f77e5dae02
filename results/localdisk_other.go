//go:build !linux

package results

// checkLocal lets everything pass: only Linux is asked what a file lies on.
func checkLocal(string) error { return nil }
