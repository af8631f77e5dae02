package experiments

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// repository reads a git repository without running any program that its settings or attributes
// name, and without the user's own settings.
type repository struct {
	top      string
	settings []string // -c name=value, over the repository's own
}

// openRepository returns the repository with that top folder, if there is one.
func openRepository(top string) (*repository, bool) {
	r := &repository{top: top, settings: []string{
		"-c", "core.fsmonitor=", "-c", "core.hooksPath=" + os.DevNull,
	}}
	found, ok := r.run("rev-parse", "--show-toplevel")
	if !ok || !sameFolder(strings.TrimSuffix(found, "\n"), top) {
		return nil, false
	}
	// Filters are programs that git status runs. They have names of the repository's
	// choice; an empty name means none.
	names, _ := r.run("config", "--null", "--name-only", "--get-regexp", `^filter\.`)
	for _, name := range strings.Split(strings.TrimSuffix(names, "\x00"), "\x00") {
		if strings.ContainsRune(name, '=') {
			return nil, false // which -c cannot set
		}
		if strings.HasSuffix(name, ".required") {
			r.settings = append(r.settings, "-c", name+"=false")
		} else if name != "" {
			r.settings = append(r.settings, "-c", name+"=")
		}
	}
	return r, true
}

// run returns what a git command prints, and whether it succeeded.
func (r *repository) run(args ...string) (string, bool) {
	cmd := exec.Command("git", append(append([]string{"--no-pager"}, r.settings...), args...)...)
	cmd.Dir = r.top
	for _, v := range os.Environ() {
		if !strings.HasPrefix(v, "GIT_") {
			cmd.Env = append(cmd.Env, v)
		}
	}
	cmd.Env = append(cmd.Env, "GIT_CONFIG_NOSYSTEM=1", "GIT_CONFIG_GLOBAL="+os.DevNull, "GIT_ATTR_NOSYSTEM=1",
		"GIT_OPTIONAL_LOCKS=0", "GIT_NO_LAZY_FETCH=1", "GIT_ALLOW_PROTOCOL=none", "LC_ALL=C")
	out, err := cmd.Output()
	return string(out), err == nil
}

// sameFolder reports whether two names lead to one folder.
func sameFolder(a, b string) bool {
	x, err := filepath.EvalSymlinks(a)
	if err != nil {
		return false
	}
	y, err := filepath.EvalSymlinks(b)
	return err == nil && x == y
}
