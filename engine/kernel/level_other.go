//go:build !amd64

package kernel

// Levels lists the kernel sets this CPU can run, best first.
func Levels() []Level { return []Level{Plain} }
