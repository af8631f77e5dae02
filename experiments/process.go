package experiments

import (
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// processName names this process as no other is named, on any machine at any
// time: the boot of the machine, the space of process numbers, the number, and
// when the process started. Where the system does not tell, it is never taken
// for dead by its name.
var processName = sync.OnceValue(func() string {
	machine, ok := machineName()
	started, alive := processStart(os.Getpid())
	if !ok || !alive {
		host, _ := os.Hostname()
		return fmt.Sprintf("%s %d", host, os.Getpid())
	}
	return fmt.Sprintf("%s %d %s", machine, os.Getpid(), started)
})

// processState tells whether the process of that name is alive; known is false
// if it is one of another machine, or this system does not tell.
func processState(name string) (known, alive bool) {
	machine, ok := machineName()
	rest, here := strings.CutPrefix(name, machine+" ")
	if !ok || !here {
		return false, false
	}
	number, started, _ := strings.Cut(rest, " ")
	pid, err := strconv.Atoi(number)
	if err != nil {
		return false, false
	}
	now, alive := processStart(pid)
	return true, alive && now == started
}

// machineName names the machine since it was started, and the space in which
// its process numbers count.
func machineName() (string, bool) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", false
	}
	space, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "", false
	}
	return strings.TrimSpace(string(boot)) + " " + space, true
}

// processStart is when a process started, in the system's ticks; alive is
// false if there is none of that number, or only its exit code is left.
func processStart(pid int) (started string, alive bool) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", false
	}
	// The name in parentheses may hold anything; state is the first field
	// after it, the start time the twentieth.
	const state, start = 0, 19
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) <= start || fields[state] == "Z" || fields[state] == "X" {
		return "", false
	}
	return fields[start], true
}

// resetPeak makes peakBytes count from now, where the system can.
func resetPeak() {
	// 5 resets the peak of the resident set (Linux); an error leaves it that
	// of the whole process.
	_ = os.WriteFile("/proc/self/clear_refs", []byte("5"), 0)
}

// peakBytes is the most memory that the process had since resetPeak, 0 if the
// system does not tell.
func peakBytes() int64 {
	kib, err := strconv.ParseInt(strings.TrimSuffix(fieldOf("/proc/self/status", "VmHWM"), " kB"), 10, 64)
	if err != nil {
		return 0
	}
	return kib << 10
}
