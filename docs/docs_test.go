// Package docs_test holds the documentation to what it says: the code it shows
// is compiled and tested, and the commands it shows are run.
package docs_test

import (
	"encoding/json"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
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

// TestExtending follows extending.md to the letter: its files and lines, all laid over the tree,
// pass the tests of the packages that they change, and each new component trains and is scored.
// Other packages see the components by their settings alone; -short leaves out the training of a
// network of full width, in which none of them takes part.
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
	files, lines := 0, 0
	for _, f := range fences(t, "extending.md") {
		words := strings.Fields(f.info)
		if len(words) < 2 || words[0] != "go" {
			continue
		}
		old, err := os.ReadFile(filepath.Join(root, words[1]))
		switch {
		case len(words) == 2: // a new file
			if err == nil {
				t.Fatalf("%s is in the tree", words[1])
			}
			lay(words[1], f.text)
			if !strings.HasSuffix(words[1], "_test.go") {
				files++
			}
		case err != nil:
			t.Fatal(err)
		default: // a line of the map that the third word names
			head, rest, found := strings.Cut(string(old), "\nvar "+words[2]+" = map[string]")
			kind, rest, open := strings.Cut(rest, "{\n")
			if !found || !open || strings.Count(f.text, "\n") != 1 {
				t.Fatalf("%s: no map %s for the one line\n%s", words[1], words[2], f.text)
			}
			lay(words[1], head+"\nvar "+words[2]+" = map[string]"+kind+"{\n"+f.text+rest)
			lines++
		}
	}
	if files != 3 || lines != 3 {
		t.Fatalf("extending.md shows %d files and %d lines, want a file and a line for a loss, an assigner and a head", files, lines)
	}
	text, err := json.Marshal(map[string]any{"Replace": overlay})
	if err != nil {
		t.Fatal(err)
	}
	file := filepath.Join(dir, "overlay.json")
	if err := os.WriteFile(file, text, 0o666); err != nil {
		t.Fatal(err)
	}
	run(t, root, "go", "test", "-short", "-overlay", file, "./loss", "./sampler", "./model", "./detector", "./experiments/plan")
	// Recorded trials stay what they are.
	run(t, root, "go", "test", "-overlay", file, "./experiments", "-run", "TestGoldenKeys")
	bin := filepath.Join(dir, "runner")
	run(t, root, "go", "build", "-overlay", file, "-o", bin, "./cmd/runner")
	shown := commands(t, "extending.md")
	for _, words := range shown {
		run(t, dir, bin, append(words, small...)...)
	}
	var trials []struct {
		Status  string
		Metrics map[string]*float64
	}
	if err := json.Unmarshal([]byte(run(t, dir, bin, "ls", "--format", "json")), &trials); err != nil {
		t.Fatal(err)
	}
	for _, trial := range trials {
		if trial.Status != "done" || trial.Metrics["AP"] == nil {
			t.Errorf("a trial with a new component is %s with scores %v", trial.Status, trial.Metrics)
		}
	}
	if len(trials) != 3 || len(shown) != 3 {
		t.Errorf("%d trials of %d commands, want one for each component", len(trials), len(shown))
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
// order shown, sweeps shortened, beside the JSON and YAML files that they show. A word in capitals stands for the
// reader's own: TRIAL becomes a trial recorded so far, and a command with another one is only
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
	grid := regexp.MustCompile(`^[a-z_]+ `) // and not the number of a table or figure, nor the key of a trial
	ran := 0
	for _, page := range append([]string{"../README.md"}, pages...) {
		for _, f := range fences(t, page) {
			if kind, name, ok := strings.Cut(f.info, " "); ok && (kind == "json" || kind == "yaml") {
				if err := os.WriteFile(filepath.Join(dir, name), []byte(f.text), 0o666); err != nil {
					t.Fatal(err)
				}
			}
		}
		for _, words := range commands(t, page) {
			if page == "extending.md" {
				continue // TestExtending runs them
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
			short := small
			if !strings.Contains(strings.Join(args, " "), "train.iters") {
				short = append(slices.Clone(short), "--set", "train.iters=2", "--set", "optim.warmup=1")
			}
			switch {
			case foreign:
				args = append(args, "--help")
			case args[0] == "sweep":
				args = append(args, short...)
				if !strings.Contains(strings.Join(args, " "), "--only") && !strings.Contains(args[1], "smoke") {
					args = append(args, "--seeds", "0")
				}
			case args[0] == "plot" && len(args) > 1 && args[1] == "engines": // the figure of no grid file that has a name
			case slices.Contains([]string{"table", "plot"}, args[0]) && grid.MatchString(strings.Join(args[1:], " ")+" "):
				args = append(args, short...)
			case args[0] == "pretrain":
				args = append(args, "--help") // minutes; TestPretrain of package experiments runs it
			}
			t.Logf("%s: runner %s", page, strings.Join(args, " "))
			if out := run(t, dir, bin, args...); args[0] == "table" && strings.Contains(out, "None of these trials is recorded") {
				t.Errorf("%s: runner %s shows no trial of the sweeps before it:\n%s", page, strings.Join(words, " "), out)
			}
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
