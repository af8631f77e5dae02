package gomlx

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"os/exec"
	"path/filepath"
	"strings"

	"github.com/gomlx/go-xla/pjrt"
)

// PluginVariable is the environment variable that names a PJRT plugin.
const PluginVariable = "FOCALGRID_PJRT"

// The files that are taken for plugins: of JAX, below a folder of Python packages, and of anybody, in a folder of
// libraries.
var (
	packaged = []string{"jax_plugins/*/*plugin*.so", "jax_plugins/*/*plugin*.dylib", "jaxlib/*pjrt*.so", "jaxlib/*pjrt*.dylib"}
	library  = []string{"*pjrt*.so", "*pjrt*.dylib"}
	folders  = []string{"/usr/local/lib", "/usr/local/lib/go-xla", "/usr/lib"}
)

// FindPlugin returns the path of a PJRT plugin: path if it is not empty, else what PluginVariable names, else the
// first of those that the JAX of the current python3 has installed, else the first in the usual folders of libraries.
// Nothing is downloaded. The error is one line that says what was looked for and where.
func FindPlugin(path string) (string, error) {
	return search{os.Getenv(PluginVariable), pythonPath, folders}.find(path)
}

// OnCUDA reports whether the plugin that FindPlugin finds is one of CUDA. What it computes on is then chosen by the
// environment variable CUDA_VISIBLE_DEVICES, which CUDA reads when an Engine is made.
func OnCUDA() bool {
	path, err := FindPlugin("")
	return err == nil && pjrt.IsCUDAName(path)
}

// search is where plugins are looked for.
type search struct {
	named   string          // by the environment
	sites   func() []string // of Python packages
	folders []string        // of libraries
}

func (s search) find(path string) (string, error) {
	if path != "" {
		return plugin(path, "the option")
	}
	if s.named != "" {
		return plugin(s.named, PluginVariable)
	}
	sites := s.sites()
	for _, place := range []struct{ dirs, patterns []string }{{sites, packaged}, {s.folders, library}} {
		for _, dir := range place.dirs {
			for _, pattern := range place.patterns {
				// Trap: Glob fails where the folder's own name is a bad pattern; then nothing is found there.
				found, _ := filepath.Glob(filepath.Join(dir, filepath.FromSlash(pattern)))
				for _, path := range found {
					if path, err := plugin(path, "the search"); err == nil {
						return path, nil
					}
				}
			}
		}
	}
	below := "below the packages of python3, which was not found"
	if len(sites) > 0 {
		below = "below " + strings.Join(sites, ", ")
	}
	return "", fmt.Errorf("no PJRT plugin found: looked for %s %s, and for %s in %s; set %s to the path of one",
		strings.Join(packaged, ", "), below, strings.Join(library, ", "), strings.Join(s.folders, ", "), PluginVariable)
}

// plugin checks a path that was named by whom.
func plugin(path, whom string) (string, error) {
	info, err := os.Stat(path)
	switch {
	case errors.Is(err, fs.ErrNotExist):
		return "", fmt.Errorf("no PJRT plugin: %s names %s, which does not exist", whom, path)
	case err != nil:
		return "", fmt.Errorf("no PJRT plugin: %s names %s: %w", whom, path, err)
	case !info.Mode().IsRegular():
		return "", fmt.Errorf("no PJRT plugin: %s names %s, which is no file: name the .so within", whom, path)
	}
	return filepath.Abs(path)
}

// pythonPath lists the folders from which the current python3 imports packages; none without it.
func pythonPath() []string {
	out, err := exec.Command("python3", "-c", `import sys; print("\n".join(sys.path))`).Output()
	if err != nil {
		return nil
	}
	var dirs []string
	for line := range strings.Lines(string(out)) {
		// Only these hold what is installed: the rest is Python's own library, and the current folder.
		if dir := strings.TrimSpace(line); strings.HasSuffix(dir, "-packages") {
			dirs = append(dirs, dir)
		}
	}
	return dirs
}

// fingerprint is a plugin's path with the SHA-256 of its content.
func fingerprint(path string) string {
	f, err := os.Open(path)
	if err != nil {
		return path
	}
	defer f.Close()
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return path
	}
	return path + " sha256:" + hex.EncodeToString(h.Sum(nil))
}
