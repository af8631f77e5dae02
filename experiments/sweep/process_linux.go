package sweep

import (
	"errors"
	"os/exec"
	"syscall"
)

// dieWithParent has a process killed when the thread that starts it ends.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}

// noProcess reports whether there is no process of that number, of any user: a signal that may not be sent is refused
// in another way, also where /proc hides the process.
func noProcess(pid int) bool {
	return errors.Is(syscall.Kill(pid, 0), syscall.ESRCH)
}
