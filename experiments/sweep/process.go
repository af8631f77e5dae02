package sweep

import (
	"errors"
	"fmt"
	"os"
	"strconv"
	"strings"
	"sync"
)

// processName names this process uniquely, on any machine at any time: the boot of the machine, the space of process
// numbers, the number, and when the process started. Where the system does not show these, a process is never judged
// dead by its name.
var processName = sync.OnceValue(func() string {
	name := numberedName(os.Getpid())
	if started, err := processStart(os.Getpid()); err == nil {
		name += " " + started
	}
	return name
})

// numberedName returns the name of a process of this machine, without its start.
func numberedName(pid int) string {
	machine, ok := machineName()
	if !ok {
		machine, _ = os.Hostname()
	}
	return fmt.Sprintf("%s %d", machine, pid)
}

// processState reports whether the process of that name is alive; known is false if it is on another machine, or
// this system does not show it.
func processState(name string) (known, alive bool) {
	machine, ok := machineName()
	rest, here := strings.CutPrefix(name, machine+" ")
	if !ok || !here {
		return false, false
	}
	number, started, _ := strings.Cut(rest, " ")
	pid, err := strconv.Atoi(number)
	if err != nil || pid < 1 || started == "" {
		return false, false
	}
	if noProcess(pid) {
		return true, false
	}
	now, err := processStart(pid)
	return judgeProcess(started, now, err)
}

// judgeProcess judges a process by its recorded start and by the start, or the error, that the system shows for its
// number now. Only a start that was read proves anything: the processes of other users may be hidden.
func judgeProcess(started, now string, err error) (known, alive bool) {
	if errors.Is(err, errEnded) {
		return true, false
	}
	return err == nil, err == nil && now == started
}

// machineName names the machine since it was started, and the space in which its process numbers count. ok is false
// where the system does not show it, or /proc shows another space than this process's.
func machineName() (name string, ok bool) {
	boot, err := os.ReadFile("/proc/sys/kernel/random/boot_id")
	if err != nil {
		return "", false
	}
	space, err := os.Readlink("/proc/self/ns/pid")
	if err != nil {
		return "", false
	}
	self, err := os.Readlink("/proc/self")
	if err != nil || self != strconv.Itoa(os.Getpid()) {
		return "", false
	}
	return strings.TrimSpace(string(boot)) + " " + space, true
}

// errEnded is returned by processStart for a process of which only its exit code is left.
var errEnded = errors.New("the process has ended")

// processStart returns when a process started, in the system's ticks.
func processStart(pid int) (string, error) {
	text, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return "", err
	}
	// The name in parentheses may hold anything; state is the first field after it, the start time the twentieth.
	const state, start = 0, 19
	fields := strings.Fields(string(text[strings.LastIndexByte(string(text), ')')+1:]))
	if len(fields) <= start {
		return "", fmt.Errorf("/proc/%d/stat: %d fields after the name, expected %d or more", pid, len(fields), start+1)
	}
	if fields[state] == "Z" || fields[state] == "X" {
		return "", errEnded
	}
	return fields[start], nil
}
