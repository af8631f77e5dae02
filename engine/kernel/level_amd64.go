package kernel

import "golang.org/x/sys/cpu"

// Levels lists the kernel sets this CPU can run, best first.
func Levels() []Level {
	var l []Level
	if cpu.X86.HasAVX2 && cpu.X86.HasFMA {
		if cpu.X86.HasAVX512F && cpu.X86.HasAVX512DQ && cpu.X86.HasAVX512BW && cpu.X86.HasAVX512VL {
			l = append(l, AVX512)
		}
		l = append(l, AVX2)
	}
	return append(l, Plain)
}
