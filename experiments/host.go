package experiments

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"

	"focalgrid/engine"
	"focalgrid/proc"
)

// Host describes where and with what a trial ran: its provenance, which is not part of its identity.
type Host struct {
	Revision string            `json:"revision"`       // of the code; "unknown" if neither build nor git know it
	Dirty    bool              `json:"dirty"`          // whether the code was changed since
	Diff     string            `json:"diff,omitempty"` // SHA-256 of the change's text, which is stored beside the database
	Go       string            `json:"go"`
	Modules  map[string]string `json:"modules"` // versions of the libraries that compute
	Kernels  string            `json:"kernels"`
	Plugin   string            `json:"plugin,omitempty"` // that the engine loaded, with its hash
	CPU      string            `json:"cpu"`
	GPU      string            `json:"gpu"`              // models, "none" if the system shows none; used or not
	Device   string            `json:"device,omitempty"` // the GPU that the trial's process was given, with its UUID and driver
	Threads  int               `json:"threads"`
	Name     string            `json:"host"`
	Jobs     int               `json:"jobs,omitempty"` // trials at a time; 0: 1

	Changes []byte `json:"-"` // how the code differs from its revision, as git writes it; nil: it does not, or by too much
}

// numericModules are the libraries a result can depend on.
var numericModules = []string{
	"gorgonia.org/gorgonia", "gorgonia.org/tensor", "gonum.org/v1/gonum", "golang.org/x/image",
	"github.com/gomlx/gomlx", "github.com/gomlx/compute", "github.com/gomlx/go-xla",
}

// DescribeHost gathers what the engine, the build, git and the system know.
func DescribeHost(e engine.Info) Host {
	h := Host{
		Revision: "unknown", Go: runtime.Version(), Modules: map[string]string{},
		Kernels: e.Kernels, Plugin: e.Plugin, Threads: e.Threads, CPU: cpuName(), GPU: gpuNames(),
	}
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
	if h.Revision != "unknown" && !h.Dirty {
		return h
	}
	// go run leaves the revision out; the source tree that was compiled may know it.
	here := checkoutAt(sourceTree())
	if h.Revision == "unknown" {
		h.Revision, h.Dirty = here.revision, here.dirty
	}
	if here.diff != nil && here.revision == h.Revision {
		sum := sha256.Sum256(here.diff)
		h.Diff, h.Changes = hex.EncodeToString(sum[:]), here.diff
	}
	return h
}

// sourceTree returns the folder of the source code that this program was compiled from, ""
// if it was built with -trimpath. The current folder is never asked: it may be
// anyone's, and git runs programs that a repository's settings name.
func sourceTree() string {
	_, file, _, ok := runtime.Caller(0)
	if !ok || !filepath.IsAbs(file) {
		return ""
	}
	return filepath.Dir(filepath.Dir(file))
}

// checkout describes the code as git knows it.
type checkout struct {
	revision string // "unknown" if git knows none
	dirty    bool
	diff     []byte // what was changed; nil: nothing, or too much
}

// maxDiff is the most text of a change that is stored.
const maxDiff = 4 << 20

// checkoutAt asks git about top, if that is a checkout of this program.
func checkoutAt(top string) checkout {
	none := checkout{revision: "unknown"}
	mod, err := os.ReadFile(filepath.Join(top, "go.mod"))
	if top == "" || err != nil || !strings.HasPrefix(string(mod), "module focalgrid\n") {
		return none
	}
	git, ok := openRepository(top)
	if !ok {
		return none
	}
	head, ok := git.run("rev-parse", "HEAD")
	if !ok {
		return none
	}
	c := checkout{revision: strings.TrimSpace(head)}
	status, ok := git.run("status", "--porcelain", "--ignore-submodules=all")
	if c.dirty = !ok || status != ""; !c.dirty {
		return c
	}
	diff := []string{"diff", "--no-ext-diff", "--no-textconv", "--ignore-submodules=all"}
	// Files that git does not follow yet are shown as if they were added empty:
	// by name, and their text as a difference to nothing.
	text, ok := git.run(append(diff, "HEAD")...)
	added, _ := git.run("ls-files", "--others", "--exclude-standard", "-z")
	for _, name := range strings.Split(strings.TrimSuffix(added, "\x00"), "\x00") {
		if name != "" && len(text) <= maxDiff {
			// Like diff, it exits with 1.
			more, _ := git.run(append(diff, "--no-index", "--", os.DevNull, name)...)
			text += more
		}
	}
	if ok && len(text) <= maxDiff {
		c.diff = []byte(text)
	}
	return c
}

// Provenance returns the host as records have it.
func (h Host) Provenance() string {
	text, err := json.Marshal(h)
	if err != nil {
		return "{}" // strings and numbers always have a text
	}
	return string(text)
}

// gpuNames returns the models of the GPUs that the NVIDIA driver shows.
func gpuNames() string {
	files, err := filepath.Glob("/proc/driver/nvidia/gpus/*/information")
	if err != nil || len(files) == 0 {
		return "none"
	}
	var names []string
	for _, file := range files {
		names = append(names, proc.Field(file, "Model"))
	}
	return strings.Join(names, ", ")
}

// cpuName returns the processor's name, or its architecture where the system shows none.
func cpuName() string {
	if name := proc.Field("/proc/cpuinfo", "model name"); name != "" {
		return name
	}
	return runtime.GOARCH
}
