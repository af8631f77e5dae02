package main

import (
	"bytes"
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/rogpeppe/go-internal/testscript"

	"focalgrid/engine/gomlx"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/record"
)

var update = flag.Bool("update", false, "rewrite what the scripts expect; read the difference before keeping it")

// asRunner makes the test binary be the runner, for tests that send signals.
const asRunner = "FOCALGRID_TEST_AS_RUNNER"

// onCUDA makes the engine cpu be one that computes on GPUs, for tests of how they are shared out.
const onCUDA = "FOCALGRID_TEST_ON_CUDA"

func TestMain(m *testing.M) {
	if os.Getenv(onCUDA) != "" {
		engines["cpu"] = maker{"gorgonia", cpu, func() bool { return true }}
	}
	if os.Getenv(asRunner) != "" {
		main()
	}
	testscript.Main(m, map[string]func(){"runner": main})
}

// TestScripts runs what stands in testdata, each script in a folder and with a cache of
// its own.
func TestScripts(t *testing.T) {
	bench, err := filepath.Abs("../../bench")
	if err != nil {
		t.Fatal(err)
	}
	testscript.Run(t, testscript.Params{
		Dir:                "testdata",
		UpdateScripts:      *update,
		RequireUniqueNames: true,
		Setup: func(e *testscript.Env) error {
			e.Setenv("FOCALGRID_CACHE", filepath.Join(e.WorkDir, "cache"))
			e.Setenv("BENCH", bench)
			// A network of 8 channels on 12 images: a trial takes a fraction of a second.
			e.Setenv(gomlx.PluginVariable, virtualPlugin())
			e.Setenv("TINY", "--set=data.images.train=12 --set=data.images.tune=2 --set=data.images.val=6 --set=train.iters=3 --set=train.batch=2 --set=optim.warmup=1 --set=model.fpn=8 --set=pretrain.type=none")
			return nil
		},
		Condition: func(name string) (bool, error) {
			if name != "virtual" {
				return false, fmt.Errorf("unknown condition %s", name)
			}
			return virtualPlugin() != "", nil
		},
		Cmds: map[string]func(*testscript.TestScript, bool, []string){
			"tiny": tiny, "timeless": timeless, "quiet": quiet, "key": key, "sql": sqlCommand,
		},
	})
}

// virtualPlugin returns a PJRT plugin for CPUs, which makes as many devices as are asked for; "" if none is found.
var virtualPlugin = sync.OnceValue(func() string {
	path, err := gomlx.FindPlugin("")
	if err != nil || !strings.Contains(strings.ToLower(path), "cpu") {
		return ""
	}
	return path
})

// sqlCommand changes a database behind the program's back.
func sqlCommand(ts *testscript.TestScript, _ bool, args []string) {
	db, err := sql.Open("sqlite3", ts.MkAbs(args[0]))
	ts.Check(err)
	defer db.Close()
	_, err = db.Exec(args[1])
	ts.Check(err)
}

// tiny runs a verb with settings that make trials tiny. A first argument -code=1 is the
// exit code to expect.
func tiny(ts *testscript.TestScript, neg bool, args []string) {
	want := exitOK
	if code, ok := strings.CutPrefix(args[0], "-code="); ok {
		_, err := fmt.Sscan(code, &want)
		ts.Check(err)
		args = args[1:]
	}
	err := ts.Exec("runner", append(args, strings.Fields(ts.Getenv("TINY"))...)...)
	got := exitOK
	var exit *exec.ExitError
	if errors.As(err, &exit) {
		got = exit.ExitCode()
	} else {
		ts.Check(err)
	}
	if neg || got != want {
		ts.Fatalf("runner %s: exit code %d, want %d", strings.Join(args, " "), got, want)
	}
}

// key sets KEY to the first digits of the first trial of the list just printed as JSON, and
// WHOLE to all of them.
func key(ts *testscript.TestScript, _ bool, args []string) {
	var list []struct{ Trial string }
	ts.Check(json.Unmarshal([]byte(ts.ReadFile("stdout")), &list))
	if len(list) == 0 {
		ts.Fatalf("no trial is listed")
	}
	ts.Setenv("KEY", list[0].Trial[:12])
	ts.Setenv("WHOLE", list[0].Trial)
}

var (
	costs = regexp.MustCompile(`(?m)(  cost| *~?[0-9][0-9a-z]*| *~?[0-9]+ days)$`)
	about = regexp.MustCompile(`: about .*`)
)

// timeless writes the plan just printed to a file, without what it costs here.
func timeless(ts *testscript.TestScript, _ bool, args []string) {
	var b strings.Builder
	inTable := false
	for line := range strings.Lines(ts.ReadFile("stdout")) {
		inTable = strings.HasPrefix(line, "#") || inTable && line != "\n"
		if inTable {
			line = costs.ReplaceAllString(line, "")
		}
		b.WriteString(about.ReplaceAllString(line, "."))
	}
	ts.Check(os.WriteFile(ts.MkAbs(args[0]), []byte(b.String()), 0o666))
}

// quiet holds that nothing was written: the folder has the named files alone.
func quiet(ts *testscript.TestScript, _ bool, args []string) {
	entries, err := os.ReadDir(ts.MkAbs("."))
	ts.Check(err)
	known := map[string]bool{".tmp": true}
	for _, name := range args {
		known[name] = true
	}
	for _, e := range entries {
		if !known[e.Name()] {
			ts.Fatalf("%s was written", e.Name())
		}
	}
}

// runHere calls the program as main does.
func runHere(ctx context.Context, args ...string) (code int, stdout, stderr string) {
	var out, err bytes.Buffer
	code = run(ctx, args, &out, &err)
	return code, out.String(), err.String()
}

func TestExitCodes(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	t.Chdir(t.TempDir())
	if err := os.WriteFile("text.db", []byte("no database"), 0o666); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		args   string
		code   int
		stderr string // a part of it
	}{
		{"version", exitOK, ""},
		{"", exitOK, ""},
		{"--version", exitOK, ""},
		{"swep", exitUsage, "runner has no command \"swep\"; did you mean `runner sweep`? it has bench, compare, completion, data, db, detect"},
		{"data chek", exitUsage, "runner data has no command \"chek\"; did you mean `runner data check`? it has check, show, stats, synth"},
		{"unheard-of", exitUsage, `no command "unheard-of"; it has bench`},
		{"sweep", exitUsage, "runner sweep: FILE|NAME is missing; usage: runner sweep FILE|NAME; see `runner sweep --help`"},
		{"compare abc", exitUsage, "runner compare: B is missing; usage: runner compare A B"},
		{"db import", exitUsage, "runner db import: FILE... is missing"},
		{"sweep smoke gamma", exitUsage, `runner sweep: "gamma" is one argument too many; usage: runner sweep FILE|NAME`},
		{"data check a b", exitUsage, `runner data check: "b" is one argument too many`},
		{"eval gt.json", exitUsage, "runner eval: \"gt.json\" is one argument too many; usage: runner eval --gt FILE --dt FILE; see `runner eval --help`"},
		{"sweep nope", exitUsage, "nope: no such file and no ablation of that name; known: alpha, "},
		{"sweep smoke --treads 2", exitUsage, "unknown flag: --treads; nearest: --threads; see `runner sweep --help`"},
		{"sweep smoke --threads two", exitUsage, "--threads two: want a whole number; see `runner sweep --help`"},
		{"sweep smoke --threads -1", exitUsage, "--threads -1: want 1 to 4096"},
		{"sweep smoke --engine gpu", exitUsage, "--engine gpu: unknown; known: " + strings.Join(engineNames(), ", ")},
		{"sweep smoke --devices 2", exitUsage, "--devices 2: --engine auto computes on one device; on several: xla"},
		{"sweep smoke --engine xla-go --devices 2", exitUsage, "--devices 2: --engine xla-go computes on one device; on several: xla"},
		{"sweep smoke --devices -1", exitUsage, "--devices -1: want 1 or more"},
		{"sweep smoke --profile big", exitUsage, `unknown profile "big"; known: ` + strings.Join(plan.Profiles(), ", ")},
		{"sweep smoke --set loss.gama=1", exitUsage, `--set loss.gama=1: unknown key "loss.gama"; nearest: loss.gamma`},
		{"sweep smoke --set train.iters=-1", exitUsage, "train.iters"},
		{"sweep smoke --only loss.gamma=3", exitUsage, "no row left; in the file loss.gamma is 0 or 2"},
		{"sweep smoke --seeds 5..2", exitUsage, "--seeds 5..2: the range 5..2 falls"},
		{"sweep smoke --seeds 9223372036854775808", exitUsage, "--seeds 9223372036854775808: seed 9223372036854775808 is too large; the largest is 9223372036854775807, which is 2^63 - 1"},
		{"sweep smoke --dry-run --seeds 9223372036854775806..9223372036854775808", exitUsage, "is too large"},
		{"model mini --seed 9223372036854775808", exitUsage, "--seed: seed 9223372036854775808 is too large"},
		{"sweep smoke --db text.db", exitUsage, "text.db: not a results database"},
		{"sweep smoke --db text.db/x.db", exitUsage, "text.db"},
		{"sweep gamma --profile paper", exitUsage, "data.dir is empty: pass --data DIR"},
		{"sweep gamma --profile paper --data nowhere --set pretrain.type=none", exitUsage, "nowhere"},
		{"sweep gamma --dry-run --set pretrain.type=file --set pretrain.file=no.safetensors", exitUsage, "no.safetensors"},
		{"table smoke", exitUsage, "runs/focalgrid.db: no results database; `runner sweep smoke --db runs/focalgrid.db` makes one"},
		{"table smoke --format pdf", exitUsage, "--format pdf: unknown; known: csv, html, json, latex, markdown, text"},
		{"table smoke --format csv --columns AP", exitUsage, "--columns: csv has every column; leave the flag out"},
		{"table smoke --baseline loss.gama=0", exitUsage, "--baseline loss.gama=0: unknown key \"loss.gama\"; nearest: loss.gamma"},
		{"table 2 --seeds 3 --db x.db", exitUsage, "--db --seeds: table 2 of the paper is printed as published; leave the flag out"},
		{"table 2 --columns AP,APx", exitUsage, "--columns: the table has no column \"APx\"; it has method, backbone, AP"},
		{"table 9z", exitUsage, "smoke; tables of the paper: 1a, 1b, 1c, 1d, 1e, 2, 3"},
		{"table gamma --profile no.yaml", exitUsage, "profile no.yaml: no such file or directory\n"},
		{"settings gamma --profile no.yaml", exitUsage, "profile no.yaml: no such file or directory\n"},
		{"ls --status finished", exitUsage, "--status finished: unknown; known: running, done, diverged, failed, interrupted"},
		{"ls --since yesterday", exitUsage, "--since yesterday: want a day such as 2026-11-01"},
		{"ls --since -5h", exitUsage, "--since -5h: want a day"},
		{"ls --since NaNd", exitUsage, "--since NaNd: want a day"},
		{"ls --only gamma", exitUsage, "--only gamma: want key=value"},
		{"ls --format yaml", exitUsage, "--format yaml: unknown; known: json, text"},
		{"show abc", exitUsage, "no results database"},
		{"detect", exitUsage, "detect: no trial"},
		{"detect abc", exitUsage, "pass --val N or image files"},
		{"detect abc --val 2", exitUsage, "pass -o FOLDER or --coco FILE"},
		{"detect abc --val 2 a.png -o x", exitUsage, "one or the other"},
		{"detect abc --val 2 --score 1 -o x", exitUsage, "--score 1: want at least 0 and below 1"},
		{"detect abc none.png -o x", exitUsage, "none.png"},
		{"pretrain paper", exitUsage, "pretrain.type is file, so there is nothing to pretrain"},
		{"pretrain mini --again", exitUsage, "--again: pass -o FOLDER"},
		{"model huge", exitUsage, "profiles: " + strings.Join(plan.Profiles(), ", ")},
		{"model mini --px 12", exitUsage, "--px 12: want height x width"},
		{"model mini --px 0x9", exitUsage, "--px 0x9"},
		{"model mini --set model.depth=19", exitUsage, "model.depth"},
		{"data check nowhere/else", exitUsage, "nowhere/else: no such folder or grid file"},
		{"data check .", exitUsage, ".: holds no data; a folder in COCO's layout has annotations/instances_SPLIT.json"},
		{"data stats paper", exitUsage, "data.dir is empty; pass --data DIR"},
		{"data show mini", exitUsage, "pass -o FILE.png"},
		{"data show mini -o x.png --n 0", exitUsage, "--n 0: want 1 to 400"},
		{"data synth x --profile paper", exitUsage, "data.name is coco, not synthetic"},
		{"doctor --db text.db", exitUsage, "text.db: not a results database"},
	}
	for _, tt := range tests {
		t.Run(tt.args, func(t *testing.T) {
			code, _, stderr := runHere(t.Context(), strings.Fields(tt.args)...)
			if code != tt.code {
				t.Errorf("exit code is %d, want %d; stderr: %s", code, tt.code, stderr)
			}
			if !strings.Contains(stderr, tt.stderr) {
				t.Errorf("stderr is %q, want %q in it", stderr, tt.stderr)
			}
			for line := range strings.Lines(stderr) {
				if !strings.HasPrefix(line, "runner: ") {
					t.Errorf("line %q does not begin with the program's name", line)
				}
			}
		})
	}
	entries, err := os.ReadDir(".")
	if err != nil || len(entries) != 1 {
		t.Errorf("bad input left %v (%v), want text.db alone", entries, err)
	}
}

// TestInterrupt sends the signals that end a sweep: it stops after the step with exit
// code 3 and a checkpoint, and the same command then does the rest.
func TestInterrupt(t *testing.T) {
	// Started under nohup, a test would hand on that SIGHUP is ignored. What it catches itself
	// is the default again in a process that it starts.
	caught := make(chan os.Signal, 1)
	signal.Notify(caught, syscall.SIGHUP)
	defer signal.Stop(caught)
	for _, signals := range [][]os.Signal{{os.Interrupt}, {syscall.SIGTERM}, {syscall.SIGHUP, syscall.SIGHUP}} {
		t.Run(signals[0].String(), func(t *testing.T) {
			dir := t.TempDir()
			cmd, seen := beginSweep(t, dir, "exec")
			for _, s := range signals {
				if err := cmd.Process.Signal(s); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Millisecond) // or the two are one
			}
			err := cmd.Wait()
			if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
				t.Fatalf("exit code is %d (%v), want %d; stderr: %s", code, err, exitInterrupted, seen.text.String())
			}
			if want := "runner: interrupted; finished work is recorded in x.db"; !strings.Contains(seen.text.String(), want) {
				t.Errorf("stderr is %q, want %q in it", seen.text.String(), want)
			}
			if kept, err := filepath.Glob(filepath.Join(dir, "x.db.work", "*", "step-*")); err != nil || len(kept) != 1 {
				t.Errorf("checkpoints %v, %v; want one", kept, err)
			}
			store, err := results.OpenExisting(filepath.Join(dir, "x.db"))
			if err != nil {
				t.Fatal(err)
			}
			defer store.Close()
			if trials, err := store.Trials(results.Filter{}); err != nil || len(trials) != 1 || trials[0].Status != record.StatusInterrupted {
				t.Errorf("trials %+v, %v; want one that was interrupted", trials, err)
			}
			cmd, seen = beginSweep(t, dir, "exec")
			if err := cmd.Wait(); err != nil || !strings.Contains(seen.text.String(), ", from step ") {
				t.Errorf("a sweep after it: %v: %s", err, seen.text.String())
			}
		})
	}
}

// TestNohup: a sweep that is started with the end of its terminal ignored goes on.
func TestNohup(t *testing.T) {
	cmd, seen := beginSweep(t, t.TempDir(), "trap '' HUP; exec")
	if err := cmd.Process.Signal(syscall.SIGHUP); err != nil {
		t.Fatal(err)
	}
	if err := cmd.Wait(); err != nil {
		t.Errorf("%v: %s", err, seen.text.String())
	}
}

// beginSweep starts a sweep of one trial by way of a shell, and returns when the trial
// has done some of its steps. (Its exec makes the sweep's process that of the shell.)
func beginSweep(t *testing.T, dir, how string) (*exec.Cmd, *watcher) {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	args := []string{"-c", how + ` "$0" "$@"`, exe, "sweep", "smoke", "--only", "loss.gamma=2", "--db", "x.db", "--threads", "1",
		"--set", "data.images.train=12", "--set", "data.images.tune=2", "--set", "data.images.val=6", "--set", "train.batch=2", "--set", "model.fpn=8",
		"--set", "train.iters=50"}
	cmd := exec.CommandContext(t.Context(), "sh", args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), asRunner+"=1", "FOCALGRID_CACHE="+filepath.Join(dir, "cache"))
	seen := &watcher{what: " of 50, loss ", then: make(chan struct{})}
	cmd.Stderr = seen
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	select {
	case <-seen.then:
	case <-time.After(30 * time.Second):
		t.Fatalf("no step was done in 30 s: %s", seen.text.String())
	}
	return cmd, seen
}

// watcher keeps what is written and closes then when it has seen a text.
type watcher struct {
	what string
	then chan struct{}
	text bytes.Buffer
	done bool
}

func (w *watcher) Write(p []byte) (int, error) {
	n, err := w.text.Write(p)
	if !w.done && strings.Contains(w.text.String(), w.what) {
		w.done = true
		close(w.then)
	}
	return n, err
}

// TestCancelled: a context that has ended is an interruption wherever it is noticed.
func TestCancelled(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	t.Chdir(t.TempDir())
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, args := range []string{"sweep smoke", "data synth x", "pretrain mini --again -o y"} {
		if code, _, stderr := runHere(ctx, strings.Fields(args)...); code != exitInterrupted {
			t.Errorf("runner %s: exit code %d, want %d; stderr: %s", args, code, exitInterrupted, stderr)
		}
	}
}

// TestWatch: the list is shown at once, and Ctrl-C is how watching ends.
func TestWatch(t *testing.T) {
	db := filepath.Join(t.TempDir(), "x.db")
	store, err := results.Open(db)
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if code, out, stderr := runHere(ctx, "ls", "--watch", "--db", db); code != exitOK || out != "no trials\n" {
		t.Errorf("exit code %d, stdout %q, stderr %q", code, out, stderr)
	}
}

// A sweep with two workers that is interrupted stops them, and each keeps where it
// was; one that is killed takes them along.
func TestWorkersEndWithTheirSweep(t *testing.T) {
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	dir := t.TempDir()
	env := append(os.Environ(), asRunner+"=1", "FOCALGRID_CACHE="+filepath.Join(dir, "cache"))
	start := func() (*exec.Cmd, *watcher) {
		args := "sweep smoke --db x.db --jobs 2 --set data.images.train=12 --set data.images.tune=2 --set data.images.val=6 --set train.iters=100000 --set train.batch=2 --set model.fpn=8 --set pretrain.type=none"
		cmd := exec.CommandContext(t.Context(), exe, strings.Fields(args)...)
		cmd.Dir, cmd.Env = dir, env
		w := &watcher{what: "trial 2 of 2", then: make(chan struct{})}
		cmd.Stderr = w
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-w.then:
		case <-time.After(60 * time.Second):
			t.Fatalf("no two trials began in a minute: %s", w.text.String())
		}
		return cmd, w
	}

	cmd, w := start()
	if err := cmd.Process.Signal(os.Interrupt); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	if code := cmd.ProcessState.ExitCode(); code != exitInterrupted {
		t.Errorf("interrupted: exit code is %d, want %d; stderr: %s", code, exitInterrupted, w.text.String())
	}
	store, err := results.OpenExisting(filepath.Join(dir, "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	trials, err := store.Trials(results.Filter{})
	store.Close()
	if err != nil || len(trials) != 2 {
		t.Fatalf("%d trials, %v", len(trials), err)
	}
	for _, tr := range trials {
		if a := tr.Attempts[0]; tr.Status != record.StatusInterrupted || a.Exit != record.StatusInterrupted || a.PID == cmd.Process.Pid {
			t.Errorf("trial %.12s is %s, attempt %+v", tr.Key, tr.Status, a)
		}
	}

	cmd, _ = start()
	workers := children(t, cmd.Process.Pid)
	if len(workers) != 2 {
		t.Errorf("it has children %v, want two", workers)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	cmd.Wait()
	for _, pid := range workers {
		alive := func() bool {
			stat, err := os.ReadFile("/proc/" + pid + "/stat")
			return err == nil && !bytes.Contains(stat, []byte(") Z ")) // only its exit code is left
		}
		for begun := time.Now(); alive(); time.Sleep(5 * time.Millisecond) {
			if time.Since(begun) > 30*time.Second {
				t.Fatalf("worker %s outlives its sweep", pid)
			}
		}
	}
}

// children lists the processes that a process has started, as numbers.
func children(t *testing.T, parent int) (pids []string) {
	t.Helper()
	files, err := filepath.Glob("/proc/[0-9]*/stat")
	if err != nil || len(files) == 0 {
		t.Skip("this system has no /proc, which tells a process's children")
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // it has ended
		}
		// Behind the name, which may hold anything, stand the state and the parent.
		rest := strings.Fields(string(text[bytes.LastIndexByte(text, ')')+1:]))
		if len(rest) > 1 && rest[1] == strconv.Itoa(parent) {
			pids = append(pids, filepath.Base(filepath.Dir(file)))
		}
	}
	return pids
}

// TestHashingInterrupted: a plan that is interrupted while it looks at the data says so, and
// writes nothing.
func TestHashingInterrupted(t *testing.T) {
	t.Setenv("FOCALGRID_CACHE", t.TempDir())
	t.Chdir(t.TempDir())
	if code, _, stderr := runHere(t.Context(), "data", "synth", "syn", "--set", "data.images.train=4", "--set", "data.images.tune=1", "--set", "data.images.val=2"); code != exitOK {
		t.Fatal(stderr)
	}
	if err := os.Remove(filepath.Join("syn", "synthetic.json")); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	for _, more := range [][]string{nil, {"--dry-run"}} {
		code, stdout, stderr := runHere(ctx, append([]string{"sweep", "smoke", "--data", "syn", "--db", "x.db"}, more...)...)
		if code != exitInterrupted || !strings.Contains(stderr, "interrupted") || stdout != "" {
			t.Errorf("%v: exit code is %d, it says %q and %q; want %d and that it was interrupted", more, code, stdout, stderr, exitInterrupted)
		}
	}
	if _, err := os.Stat("x.db"); err == nil {
		t.Error("a database was made")
	}
}
