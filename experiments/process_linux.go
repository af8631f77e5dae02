package experiments

import (
	"os/exec"
	"syscall"
)

// dieWithParent has a process killed when the thread that starts it ends.
func dieWithParent(cmd *exec.Cmd) {
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
}
