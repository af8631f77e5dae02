package sweep

import (
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"focalgrid/engine"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/record"
)

// named is an engine that has a name and computes nothing.
type named struct {
	engine.Engine
	name string
}

func (e named) Info() engine.Info { return engine.Info{Name: e.name} }

// engineBench is a database of a plan's trials on several engines, none of which was trained.
type engineBench struct {
	*Records
	plan *plan.Plan
	n    int
}

func newEngineBench(t *testing.T) *engineBench {
	t.Helper()
	store, err := results.Open(filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { store.Close() })
	r := estimator(t, store, experiments.Host{})
	r.Default = "gorgonia"
	b := &bench{dir: t.TempDir()}
	return &engineBench{Records: r, plan: b.plan(t, tiny, plan.Selection{})}
}

// record records trials of a row on an engine, one a seed, as they would be after a training of two steps; change
// changes them.
func (b *engineBench) record(t *testing.T, engineName string, row int, change func(*record.Trial, *record.Finish)) {
	t.Helper()
	on := *b.Records
	trainer := *b.Trainer
	trainer.Engine = named{name: engineName}
	on.Trainer = &trainer
	states, err := on.States(t.Context(), b.plan)
	if err != nil {
		t.Fatal(err)
	}
	for _, s := range states {
		if s.Row != row {
			continue
		}
		b.n++
		trial := record.Trial{
			Key: s.Key, Kind: record.KindTrain, Config: string(plan.Resolved(&s.Config)), Seed: s.Seed, Dataset: s.Data, Init: s.Init,
			Engine: engineName, Numerics: fmt.Sprint(plan.Numerics), Started: fmt.Sprintf("2030-05-01T10:%02d:00Z", b.n), Provenance: "{}",
		}
		end := record.Finish{
			Outcome: record.Outcome{Status: record.StatusDone, Finished: "2030-05-01T11:00:00Z", Metrics: map[string]float64{"AP": .2}},
			Steps:   []record.Step{{Step: 0, Loss: 2}, {Step: 1, Loss: float64(b.n)}},
		}
		if change != nil {
			change(&trial, &end)
		}
		if _, err := b.Store.BeginTrial(trial, record.Attempt{Number: 1, Owner: "a test", Environment: "{}"}, 0); err != nil {
			t.Fatal(err)
		}
		if err := b.Store.FinishTrial(trial.Key, 1, end); err != nil {
			t.Fatal(err)
		}
	}
}

const xla, cuda = "gomlx-xla-cpu-f32-nchw", "gomlx-xla-cuda-f32-nhwc"

// TestOneEngineATable: a table and a figure have the trials of one engine. Its name is said where it is not the
// default, and rows that only other engines have trained are counted.
func TestOneEngineATable(t *testing.T) {
	b := newEngineBench(t)
	own := b.Engine
	table := func(of engine.Engine) (n [2]int, ours string, remarks []string) {
		t.Helper()
		b.Engine = of
		defer func() { b.Engine = own }()
		tab, err := b.Table(t.Context(), b.plan, TableOptions{EverySeed: true})
		if err != nil {
			t.Fatal(err)
		}
		for i, row := range tab.Blocks[0].Rows {
			n[i] = row.N
		}
		return n, tab.Ours, tab.Remarks
	}
	const (
		onlyOne = "Rows that engine gorgonia has not trained, but " + xla + " has: %d; `--engine " + xla + "` shows its trials."
		several = "Rows that engine gorgonia has not trained, but others have: 1; `--engine` with one of their names shows its trials: " + xla + ", " + cuda + "."
	)
	expect := func(what string, of engine.Engine, n [2]int, remark string) {
		t.Helper()
		got, ours, remarks := table(of)
		if got != n {
			t.Errorf("%s: rows of %v trials, want %v", what, got, n)
		}
		if name := of.Info().Name; strings.HasSuffix(ours, ", engine "+name) != (name != "gorgonia") {
			t.Errorf("%s: the table of engine %s is described as %s", what, name, ours)
		}
		if want := slices.DeleteFunc([]string{remark}, func(s string) bool { return s == "" }); !slices.Equal(remarks, want) {
			t.Errorf("%s: remarks %q, want %q", what, remarks, want)
		}
	}
	b.record(t, xla, 0, nil)
	b.record(t, xla, 1, nil)
	expect("XLA alone", own, [2]int{}, fmt.Sprintf(onlyOne, 2))
	expect("XLA, asked for", named{name: xla}, [2]int{2, 2}, "")
	if _, err := b.Grid(t.Context(), b.plan, true, ""); err == nil || !strings.Contains(err.Error(), fmt.Sprintf(onlyOne, 2)) {
		t.Errorf("a figure of the default engine: %v", err)
	}
	b.record(t, "gorgonia", 0, nil)
	expect("a row of each", own, [2]int{2, 0}, fmt.Sprintf(onlyOne, 1))
	if g, err := b.Grid(t.Context(), b.plan, true, ""); err != nil || !slices.Contains(g.Remarks, fmt.Sprintf(onlyOne, 1)) || len(g.Rows[1].Trials) > 0 {
		t.Errorf("a figure of one row: %+v, %v", g, err)
	}
	b.record(t, cuda, 1, nil)
	expect("a row of two others", own, [2]int{2, 0}, several)
	b.record(t, "gorgonia", 1, nil)
	expect("all", own, [2]int{2, 2}, "")
	if got, err := b.Store.Engines(); err != nil || !slices.Equal(got, []string{xla, cuda, "gorgonia"}) {
		t.Errorf("engines %q, %v", got, err)
	}
}

// TestTwins: what several engines made of one training, and nothing that differs in more than the engine.
func TestTwins(t *testing.T) {
	b := newEngineBench(t)
	first := "gorgonia"
	expect := func(what string, of *record.Trial, want ...string) {
		t.Helper()
		twins, err := b.Twins(of, first)
		if len(want) == 0 {
			if !errors.Is(err, ErrOneEngine) {
				t.Errorf("%s: %v, want that no training is on several engines", what, err)
			}
			return
		}
		if err != nil {
			t.Errorf("%s: %v", what, err)
			return
		}
		var got []string
		for i, trial := range twins.Trials {
			got = append(got, fmt.Sprintf("%s %d %g", trial.Engine, trial.Seed, twins.Logs[i][1].Loss))
		}
		if !slices.Equal(got, want) {
			t.Errorf("%s: %q, want %q", what, got, want)
		}
		if !strings.Contains(twins.Loss, "loss.gamma=0") || !strings.Contains(twins.Setting, "6 iterations of 4 images") {
			t.Errorf("%s: loss %q, setting %q", what, twins.Loss, twins.Setting)
		}
	}
	b.record(t, "gorgonia", 0, nil) // 1 and 2
	all, err := b.Store.Trials(results.Filter{})
	if err != nil {
		t.Fatal(err)
	}
	expect("one engine", nil)
	expect("a trial of one engine", &all[0])
	b.record(t, "of other weights", 0, func(trial *record.Trial, _ *record.Finish) { // 3 and 4
		trial.Init = "other"
	})
	b.record(t, "of other numerics", 0, func(trial *record.Trial, _ *record.Finish) { // 5 and 6
		trial.Numerics = "2"
	})
	b.record(t, "without an end", 0, func(_ *record.Trial, f *record.Finish) { // 7 and 8
		*f = record.Finish{Outcome: record.Outcome{Status: record.StatusInterrupted, Finished: f.Finished}}
	})
	expect("another engine from other weights, of other numerics, or without an end", nil)
	b.record(t, xla, 0, nil) // 9 and 10
	expect("the trial begun last", nil, "gorgonia 1 2", xla+" 1 10")
	expect("a trial", &all[0], "gorgonia 0 1", xla+" 0 9")
	b.record(t, cuda, 0, nil) // 11 and 12
	if all, err = b.Store.Trials(results.Filter{}); err != nil {
		t.Fatal(err)
	}
	expect("three engines", &all[len(all)-1], cuda+" 1 12", xla+" 1 10", "gorgonia 1 2")
	first = xla
	expect("another engine first", nil, xla+" 1 10", cuda+" 1 12", "gorgonia 1 2")
}
