package experiments

import (
	"bufio"
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
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
	if h.Revision == "unknown" { // go run leaves it out; the checkout it is run in can tell
		h.Revision, h.Dirty = checkout()
	}
	return h
}

// checkout asks git for the revision, if the working folder is inside a
// checkout of this program and of no other.
func checkout() (revision string, dirty bool) {
	git := func(args ...string) (string, bool) {
		out, err := exec.Command("git", args...).Output()
		return strings.TrimSpace(string(out)), err == nil
	}
	if top, ok := git("rev-parse", "--show-toplevel"); ok {
		mod, err := os.ReadFile(filepath.Join(top, "go.mod"))
		if err == nil && strings.HasPrefix(string(mod), "module focalgrid\n") {
			if head, ok := git("rev-parse", "HEAD"); ok {
				status, ok := git("status", "--porcelain")
				return head, !ok || status != ""
			}
		}
	}
	return "unknown", false
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
