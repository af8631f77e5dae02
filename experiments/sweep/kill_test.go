//go:build long

package sweep

import (
	"bufio"
	"bytes"
	"errors"
	"fmt"
	"io"
	"maps"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"focalgrid/results"
	"focalgrid/results/record"
)

// killGrid is a grid whose trials take about a second.
const killGrid = `
title: killed
profile: mini
baseline:
  data: {pixels: 64, images: {train: 24, tune: 4, val: 40}, min_size: 0.2}
  image: {short: 64, long: 64}
  model: {width: 0.125, fpn: 16}
  train: {iters: 60, batch: 4}
  optim.warmup: 2
  sampler.normalizer: ema
  pretrain.type: none
zip:
  loss.gamma: [0, 2]
  loss.alpha: [0.75, 0.25]
seeds: [0, 1]
`

const (
	killIters   = 60
	killTrials  = 4
	killEvery   = 3   // steps a checkpoint
	killAtMost  = 1.5 // times the planned steps may be executed
	killOverall = 400 // tries at one database before it counts as going nowhere
)

// killer runs real sweeps in a folder.
type killer struct {
	t      *testing.T
	runner string
	cache  string
	draw   *rand.Rand
	span   time.Duration // of a sweep that nobody stops

	where map[string]int // kills, by what the sweep was doing
}

// A sweep killed at any instant, again and again, ends as one that nobody
// stopped: no trial is lost, done twice or half-written, and every bit is the same.
// Every third sweep has two workers, and one of them or their coordinator is killed;
// every third shares its database with another sweep, which is left alone.
// FOCALGRID_KILLS is the number of kills (20 if not set), FOCALGRID_SEED repeats a run.
func TestKill(t *testing.T) {
	kills, seed := 20, uint64(time.Now().UnixNano())
	for name, set := range map[string]func(string) error{
		"FOCALGRID_KILLS": func(s string) (err error) { kills, err = strconv.Atoi(s); return },
		"FOCALGRID_SEED":  func(s string) (err error) { seed, err = strconv.ParseUint(s, 10, 64); return },
	} {
		if text := os.Getenv(name); text != "" {
			if err := set(text); err != nil {
				t.Fatalf("%s=%s: %v", name, text, err)
			}
		}
	}
	t.Logf("FOCALGRID_SEED=%d", seed)
	dir := t.TempDir()
	k := &killer{
		t: t, runner: filepath.Join(dir, "runner"), cache: filepath.Join(dir, "cache"),
		draw: rand.New(rand.NewPCG(seed, 0)), where: map[string]int{},
	}
	if out, err := exec.Command("go", "build", "-o", k.runner, "focalgrid/cmd/runner").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}

	// What nobody stopped, timed the second time: the data is there then.
	var want outcome
	for _, name := range []string{"first", "whole"} {
		folder := k.folder(name)
		begun := time.Now()
		s := k.start(folder, 1)
		if err := s.wait(); err != nil {
			t.Fatalf("a sweep that nobody stops: %v\n%s", err, s.said())
		}
		k.span = time.Since(begun)
		want = k.outcome(folder)
	}
	if len(want.trials) != killTrials {
		t.Fatalf("%d trials, want %d", len(want.trials), killTrials)
	}

	done, sweeps, attempts, executed := 0, 0, 0, 0
	for done < kills || sweeps < 3 {
		folder := k.folder(fmt.Sprint("killed", sweeps))
		var rival *sweep
		if sweeps%3 == 2 {
			rival = k.start(folder, 1)
		}
		done += k.torture(folder, 1+sweeps%3%2, kills-done)
		if rival != nil {
			if err := rival.wait(); err != nil {
				t.Fatalf("the sweep that was left alone: %v\n%s", err, rival.said())
			}
		}
		if rest := k.leftovers(folder); len(rest) > 0 {
			t.Errorf("%s: a finished sweep left %v", folder, rest)
		}
		got := k.outcome(folder)
		k.compare(got, want)
		sweeps++
		attempts += got.attempts
		executed += got.executed
		if limit := killAtMost * killTrials * killIters; float64(got.executed) > limit {
			t.Errorf("%s: up to %d steps were executed, want at most %.0f: %.1f × those planned", folder, got.executed, limit, killAtMost)
		}
		if t.Failed() {
			break
		}
		os.RemoveAll(folder)
	}
	t.Logf("%d kills in %d sweeps of %d trials, %d attempts; at most %d steps executed, %d planned: %.2f ×",
		done, sweeps, killTrials, attempts, executed, sweeps*killTrials*killIters, float64(executed)/float64(sweeps*killTrials*killIters))
	for _, what := range slices.Sorted(maps.Keys(k.where)) {
		t.Logf("of these %s: %d", what, k.where[what])
	}
}

func (k *killer) folder(name string) string {
	dir := filepath.Join(filepath.Dir(k.runner), name)
	if err := os.Mkdir(dir, 0o777); err != nil {
		k.t.Fatal(err)
	}
	if err := os.WriteFile(filepath.Join(dir, "grid.yaml"), []byte(killGrid), 0o666); err != nil {
		k.t.Fatal(err)
	}
	return dir
}

// sweep is a running `runner sweep`.
type sweep struct {
	cmd   *exec.Cmd
	lines chan string // of stderr and stdout together
	read  sync.WaitGroup

	mu   sync.Mutex
	text bytes.Buffer
	last string
}

func (k *killer) start(dir string, jobs int) *sweep {
	s := &sweep{lines: make(chan string, 10_000)}
	s.cmd = exec.Command(k.runner, "sweep", "grid.yaml", "--db", "x.db", "--threads", "1",
		"--checkpoint-every", strconv.Itoa(killEvery), "--jobs", strconv.Itoa(jobs), "--retries", strconv.Itoa(killOverall))
	s.cmd.Dir = dir
	s.cmd.Env = append(os.Environ(), "FOCALGRID_CACHE="+k.cache)
	for _, pipe := range []func() (io.ReadCloser, error){s.cmd.StdoutPipe, s.cmd.StderrPipe} {
		r, err := pipe()
		if err != nil {
			k.t.Fatal(err)
		}
		s.read.Go(func() {
			for in := bufio.NewScanner(r); in.Scan(); {
				s.mu.Lock()
				s.last = in.Text()
				fmt.Fprintln(&s.text, s.last)
				s.mu.Unlock()
				s.lines <- in.Text()
			}
		})
	}
	if err := s.cmd.Start(); err != nil {
		k.t.Fatal(err)
	}
	return s
}

func (s *sweep) wait() error {
	s.read.Wait()
	close(s.lines)
	return s.cmd.Wait()
}

func (s *sweep) said() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.text.String()
}

func (s *sweep) lastLine() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.last
}

// phases are what a sweep is doing after a line with such a text.
var phases = []struct{ line, doing string }{
	{"): loss.gamma=", "starting a trial"}, {"step 60 of", "evaluating"}, {"step ", "training"},
	{"evaluated", "scoring and writing the result"}, {"done in", "printing the table"}, {"preparing", "preparing"},
}

func phase(line string) string {
	for _, p := range phases {
		if strings.Contains(line, p.line) {
			return p.doing
		}
	}
	if line == "" {
		return "starting"
	}
	return "printing the table"
}

// torture starts the sweep again and again, kills it or its workers at most that often,
// and returns how often it did once the sweep has come to its end.
func (k *killer) torture(dir string, jobs, most int) (kills int) {
	slow, halves := 1., 0
	for try := 0; ; try++ {
		if try == killOverall {
			k.t.Fatalf("%s: not done after %d tries", dir, try)
		}
		before := k.progress(dir)
		s := k.start(dir, jobs)
		dead := false
		for kills < most && !dead {
			s.until(k.draw, dir, time.Duration(slow*float64(k.span)/killTrials))
			pid := s.cmd.Process.Pid
			workers := children(pid)
			if all := append(workers, pid); jobs > 1 {
				pid = all[k.draw.IntN(len(all))]
			}
			if syscall.Kill(pid, syscall.SIGKILL) != nil {
				break // it has come to its end
			}
			kills++
			if half, _ := filepath.Glob(filepath.Join(dir, "x.db.work", "*", ".step-*")); len(half) > halves {
				k.where["writing a checkpoint"]++
				halves = len(half)
			} else {
				k.where[phase(s.lastLine())]++
			}
			if dead = pid == s.cmd.Process.Pid; dead {
				k.noOrphans(dir, workers)
			} else {
				k.where["of a worker alone"]++
			}
		}
		err := s.wait()
		if err == nil {
			return kills
		}
		var exit *exec.ExitError
		if !dead || !errors.As(err, &exit) || exit.Sys().(syscall.WaitStatus).Signal() != syscall.SIGKILL {
			k.t.Fatalf("%s: %v\n%s", dir, err, s.said())
		}
		after := k.progress(dir)
		for key, done := range before {
			if after[key] < done {
				k.t.Fatalf("%s: trial %.12s was at step %d before, is at %d", dir, key, done, after[key])
			}
		}
		if fmt.Sprint(after) == fmt.Sprint(before) {
			slow *= 1.2 // a slower machine than it was
		} else {
			slow = 1
		}
	}
}

// children are the processes that a process has started.
func children(pid int) []int {
	var out []int
	files, _ := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", pid))
	for _, file := range files {
		text, _ := os.ReadFile(file) // a thread may have ended
		for _, word := range strings.Fields(string(text)) {
			if child, err := strconv.Atoi(word); err == nil {
				out = append(out, child)
			}
		}
	}
	return out
}

// noOrphans waits for the workers of a dead coordinator to end.
func (k *killer) noOrphans(dir string, workers []int) {
	const patience = 20 * time.Second
	for begun := time.Now(); ; time.Sleep(5 * time.Millisecond) {
		left := slices.DeleteFunc(slices.Clone(workers), func(pid int) bool {
			_, err := processStart(pid)
			return err != nil
		})
		if len(left) == 0 {
			return
		}
		if time.Since(begun) > patience {
			k.t.Fatalf("%s: workers %v outlive their coordinator", dir, left)
		}
	}
}

// until waits for the instant of a kill: any within span, or a moment after a line
// of a kind, or with a checkpoint half written.
func (s *sweep) until(draw *rand.Rand, dir string, span time.Duration) {
	end := time.After(time.Duration(draw.Float64() * float64(span)))
	want := []string{"", "", "evaluated", "done in", "AP.001", "): loss.gamma=", "checkpoint"}[draw.IntN(7)]
	moment := time.Duration(draw.Float64() * float64(6*time.Millisecond))
	if want == "" {
		<-end
		return
	}
	long := time.After(4 * span)
	skip := draw.IntN(3)
	for {
		select {
		case line, open := <-s.lines:
			if !open {
				return
			}
			if !strings.Contains(line, want) {
				continue
			}
			if skip--; skip < 0 {
				time.Sleep(moment)
				return
			}
		case <-long:
			return
		case <-time.After(200 * time.Microsecond):
			if want != "checkpoint" {
				continue
			}
			if half, _ := filepath.Glob(filepath.Join(dir, "x.db.work", "*", ".step-*")); len(half) > 0 {
				return
			}
		}
	}
}

// progress is how far each trial is, in steps; a database that is not whole is
// an error.
func (k *killer) progress(dir string) map[string]int {
	out := map[string]int{}
	store, err := results.OpenExisting(filepath.Join(dir, "x.db"))
	if errors.Is(err, results.ErrNoDatabase) || errors.Is(err, results.ErrOlder) {
		return out
	}
	if err != nil {
		k.t.Fatal(err)
	}
	defer store.Close()
	if err := store.Check(); err != nil {
		k.t.Fatal(err)
	}
	trials, err := store.Trials(results.Filter{})
	if err != nil {
		k.t.Fatal(err)
	}
	for _, t := range trials {
		for _, a := range t.Attempts {
			out[t.Key] = max(out[t.Key], a.EndStep)
		}
		if t.Status == record.StatusDone {
			out[t.Key] = killIters + 1
		}
	}
	return out
}

// leftovers are files that a finished sweep should have removed.
func (k *killer) leftovers(dir string) []string {
	var out []string
	for _, pattern := range []string{"x.db.work/*", "weights/.*", ".*"} {
		found, err := filepath.Glob(filepath.Join(dir, pattern))
		if err != nil {
			k.t.Fatal(err)
		}
		out = append(out, found...)
	}
	return out
}

// outcome is what a sweep left.
type outcome struct {
	trials   map[string]finished
	weights  map[string]string // content by name
	table    string
	attempts int
	executed int // steps, at most
}

func (k *killer) outcome(dir string) outcome {
	store, err := results.OpenExisting(filepath.Join(dir, "x.db"))
	if err != nil {
		k.t.Fatal(err)
	}
	defer store.Close()
	if err := store.Check(); err != nil {
		k.t.Fatal(err)
	}
	trials, err := store.Trials(results.Filter{})
	if err != nil {
		k.t.Fatal(err)
	}
	o := outcome{trials: map[string]finished{}, weights: map[string]string{}}
	b := &bench{Coordinator: &Coordinator{Records: Records{Store: store}}}
	for _, t := range trials {
		o.trials[t.Key] = b.finished(k.t, t.Key)
		o.attempts += len(t.Attempts)
		for i, a := range t.Attempts {
			last := i == len(t.Attempts)-1
			killed := a.Exit == record.ExitKilled || a.Exit == record.StatusFailed && strings.Contains(a.Error, "signal: killed")
			if a.Number != i+1 || last != (a.Exit == record.StatusDone) || !last && !killed {
				k.t.Errorf("%s: trial %.12s, attempt %d of %d: number %d, exit %q (%s)", dir, t.Key, i+1, len(t.Attempts), a.Number, a.Exit, a.Error)
			}
			// A killed one may have done more than it could tell, but not as
			// far as its next checkpoint: that would have been told.
			end := a.EndStep
			if !last {
				end = min(killIters, a.EndStep+killEvery)
				if next := t.Attempts[i+1].StartStep; next < a.StartStep || next > end {
					k.t.Errorf("%s: trial %.12s: attempt %d went from %d to %d, the next from %d", dir, t.Key, i+1, a.StartStep, a.EndStep, next)
				}
			}
			o.executed += end - a.StartStep
		}
	}
	files, err := filepath.Glob(filepath.Join(dir, "weights", "*"))
	if err != nil {
		k.t.Fatal(err)
	}
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			k.t.Fatal(err)
		}
		o.weights[filepath.Base(file)] = string(text)
	}
	o.table = k.run(dir, "table", "grid.yaml", "--db", "x.db", "--format", "json")

	// The bundles tell the same as the database.
	if err := os.Rename(filepath.Join(dir, "x.db.bundles"), filepath.Join(dir, "again.db.bundles")); err != nil {
		k.t.Fatal(err)
	}
	k.run(dir, "db", "rebuild", "--db", "again.db")
	if again := k.run(dir, "db", "export", "--db", "again.db"); again != k.run(dir, "db", "export", "--db", "x.db") {
		k.t.Errorf("%s: the database rebuilt from the bundles is another one", dir)
	}
	return o
}

// run runs the runner in dir, and returns what it prints.
func (k *killer) run(dir string, args ...string) string {
	cmd := exec.Command(k.runner, args...)
	cmd.Dir = dir
	cmd.Env = append(os.Environ(), "FOCALGRID_CACHE="+k.cache)
	out, err := cmd.Output()
	if err != nil {
		k.t.Fatalf("%v: %v", args, err)
	}
	return string(out)
}

func (k *killer) compare(got, want outcome) {
	k.t.Helper()
	if len(got.trials) != len(want.trials) {
		k.t.Errorf("%d trials, want %d", len(got.trials), len(want.trials))
	}
	for key, w := range want.trials {
		same(k.t, "trial "+key[:12], got.trials[key], w)
	}
	if len(got.weights) != len(want.weights) {
		k.t.Errorf("%d files of weights, want %d", len(got.weights), len(want.weights))
	}
	for name, text := range want.weights {
		if got.weights[name] != text {
			k.t.Errorf("weights %s are not what they were", name)
		}
	}
	if got.table != want.table {
		k.t.Errorf("table\n%s\nwant\n%s", got.table, want.table)
	}
}
