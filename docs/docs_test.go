// Package docs_test holds the documentation to what it says: the code it shows
// is compiled and tested, and the commands it shows are run.
package docs_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// A fence is a fenced code block of a page.
type fence struct{ info, text string }

var fencePattern = regexp.MustCompile("(?ms)^```([^\n]*)\n(.*?)^```$")

func fences(t *testing.T, page string) []fence {
	t.Helper()
	text, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	var out []fence
	for _, m := range fencePattern.FindAllStringSubmatch(string(text), -1) {
		out = append(out, fence{m[1], m[2]})
	}
	return out
}

// small makes a sweep of a page quick: its settings come after those shown.
var small = strings.Fields("--set data.images.train=16 --set data.images.tune=4 --set data.images.val=8 --set pretrain.type=none --set train.batch=2")

func run(t *testing.T, dir, name string, args ...string) string {
	t.Helper()
	cmd := exec.Command(name, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "FOCALGRID_CACHE="+filepath.Join(dir, "cache"))
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s %s: %v\n%s", name, strings.Join(args, " "), err, out)
	}
	return string(out)
}

// TestExtending follows extending.md to the letter: its file and its line, laid
// over the tree, pass the tests that every loss must, and train.
func TestExtending(t *testing.T) {
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	overlay := map[string]string{}
	lay := func(file, text string) {
		path := filepath.Join(dir, strings.ReplaceAll(file, "/", "_"))
		if err := os.WriteFile(path, []byte(text), 0o666); err != nil {
			t.Fatal(err)
		}
		overlay[filepath.Join(root, file)] = path
	}
	for _, f := range fences(t, "extending.md") {
		switch f.info {
		case "go loss/poly.go":
			lay("loss/poly.go", f.text)
		case "go loss/loss.go":
			old, err := os.ReadFile(filepath.Join(root, "loss/loss.go"))
			if err != nil {
				t.Fatal(err)
			}
			const before = "var classifications = map[string]Classification{\n"
			if !strings.Contains(string(old), before) {
				t.Fatalf("loss/loss.go has no line %q", before)
			}
			lay("loss/loss.go", strings.Replace(string(old), before, before+f.text, 1))
		}
	}
	if len(overlay) != 2 {
		t.Fatalf("extending.md shows %d of the 2 places to touch", len(overlay))
	}
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, text, 0o666); err != nil {
		t.Fatal(err)
	}
	run(t, root, "go", "test", "-overlay", file, "./loss", "./experiments/plan")
	run(t, root, "go", "test", "-overlay", file, "./detector", "-run", "OnEngine")
	bin := filepath.Join(dir, "runner")
	run(t, root, "go", "build", "-overlay", file, "-o", bin, "./cmd/runner")
	out := run(t, dir, bin, append(strings.Fields("sweep gamma --set loss.type=poly --only loss.gamma=2 --set train.iters=2"), small...)...)
	if !strings.Contains(out, "1 done") {
		t.Errorf("the sweep with the new loss ends with\n%s", out)
	}
}

// commands are the lines of a page's sh blocks that start the runner.
func commands(t *testing.T, page string) [][]string {
	var out [][]string
	for _, f := range fences(t, page) {
		if f.info != "sh" {
			continue
		}
		for _, line := range strings.Split(f.text, "\n") {
			line, _, _ = strings.Cut(line, "  #")
			line = strings.Replace(line, "go run ./cmd/runner", "runner", 1)
			if words := strings.Fields(line); len(words) > 1 && words[0] == "runner" {
				out = append(out, words[1:])
			}
		}
	}
	return out
}

// TestCommands runs what README.md and the pages beside this file show, in the
// order shown, sweeps shortened, beside the JSON files that they show. A word in capitals stands for the reader's own: TRIAL
// becomes a trial recorded so far, and a command with another one is only
// parsed by --help.
func TestCommands(t *testing.T) {
	pages, err := filepath.Glob("*.md")
	if err != nil {
		t.Fatal(err)
	}
	root, err := filepath.Abs("..")
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	bin := filepath.Join(dir, "runner")
	run(t, root, "go", "build", "-o", bin, "./cmd/runner")
	if err := os.Symlink(filepath.Join(root, "ablations"), filepath.Join(dir, "ablations")); err != nil {
		t.Fatal(err)
	}
	own := regexp.MustCompile(`^[A-Z]{2,}|=[A-Z]{2,}`)
	ran := 0
	for _, page := range append([]string{"../README.md"}, pages...) {
		for _, f := range fences(t, page) {
			if name, ok := strings.CutPrefix(f.info, "json "); ok {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(f.text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, words := range commands(t, page) {
			if strings.Contains(strings.Join(words, " "), "loss.type=poly") {
				continue // TestExtending's
			}
			args := append([]string{}, words...)
			for i, w := range args {
				if w == "TRIAL" {
					args[i] = firstTrial(t, dir, bin)
				}
			}
			foreign := false
			for _, w := range args {
				foreign = foreign || own.MatchString(w)
			}
			switch {
			case foreign:
				args = append(args, "--help")
			case args[0] == "sweep":
				args = append(args, small...)
				if !strings.Contains(strings.Join(args, " "), "train.iters") {
					args = append(args, "--set", "train.iters=2", "--set", "optim.warmup=1")
				}
				if !strings.Contains(strings.Join(args, " "), "--only") && !strings.Contains(args[1], "smoke") {
					args = append(args, "--seeds", "0")
				}
			case args[0] == "table":
				args = append(args, append(small, "--set", "train.iters=2", "--set", "optim.warmup=1")...)
			case args[0] == "pretrain":
				args = append(args, "--help") // minutes; TestPretrain of package experiments runs it
			}
			t.Logf("%s: runner %s", page, strings.Join(args, " "))
			run(t, dir, bin, args...)
			ran++
		}
	}
	if ran == 0 {
		t.Error("the pages show no command")
	}
}

func firstTrial(t *testing.T, dir, bin string) string {
	t.Helper()
	var rows []struct{ Trial, Status string }
	if err := json.Unmarshal([]byte(run(t, dir, bin, "ls", "--format", "json")), &rows); err != nil {
		t.Fatal(err)
	}
	for _, r := range rows {
		if r.Status == "done" {
			return r.Trial[:12]
		}
	}
	t.Fatal("a page shows TRIAL before any sweep")
	return ""
}
