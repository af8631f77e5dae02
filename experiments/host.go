package experiments

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"runtime"
	"runtime/debug"
	"strings"
)

// Host is where and with what a trial ran: its provenance, no part of its identity.
type Host struct {
	Revision string            `json:"revision"` // of the code; "unknown" if neither build nor git tells
	Dirty    bool              `json:"dirty"`    // whether the code was changed since
	Go       string            `json:"go"`
	Modules  map[string]string `json:"modules"` // versions of the libraries that compute
	Kernels  string            `json:"kernels"`
	CPU      string            `json:"cpu"`
	Threads  int               `json:"threads"`
	Name     string            `json:"host"`
}

// numericModules are the libraries a result can depend on.
var numericModules = []string{"gorgonia.org/gorgonia", "gorgonia.org/tensor", "gonum.org/v1/gonum", "golang.org/x/image"}

// DescribeHost gathers what can be told.
func DescribeHost(kernels string, threads int) Host {
	h := Host{Revision: "unknown", Go: runtime.Version(), Modules: map[string]string{}, Kernels: kernels, CPU: cpuName(), Threads: threads}
	h.Name, _ = os.Hostname()
	info, ok := debug.ReadBuildInfo()
	if !ok {
		return h
	}
	for _, m := range info.Deps {
		for _, n := range numericModules {
			if m.Path == n {
				h.Modules[n] = m.Version
			}
		}
	}
	for _, s := range info.Settings {
		switch s.Key {
		case "vcs.revision":
			h.Revision = s.Value
		case "vcs.modified":
			h.Dirty = s.Value == "true"
		}
	}
	if h.Revision == "unknown" { // go run leaves it out; a checkout can tell
		if out, err := exec.Command("git", "rev-parse", "HEAD").Output(); err == nil {
			h.Revision = strings.TrimSpace(string(out))
			status, err := exec.Command("git", "status", "--porcelain").Output()
			h.Dirty = err != nil || len(status) > 0
		}
	}
	return h
}

func (h Host) json() string {
	text, err := json.Marshal(h)
	if err != nil {
		return "{}" // strings and numbers always have a text
	}
	return string(text)
}

// cpuName is the processor's name, or its architecture where none is told.
func cpuName() string {
	f, err := os.Open("/proc/cpuinfo")
	if err != nil {
		return runtime.GOARCH
	}
	defer f.Close()
	for s := bufio.NewScanner(f); s.Scan(); {
		if key, value, ok := strings.Cut(s.Text(), ":"); ok && strings.TrimSpace(key) == "model name" {
			return strings.TrimSpace(value)
		}
	}
	return runtime.GOARCH
}
