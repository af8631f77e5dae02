package sweep

import (
	"context"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/record"
)

// tinyTuned is a grid of tiny trials, of which each row has two candidates.
const tinyTuned = tinyBaseline + `
zip:
  loss.gamma: [0, 2]
  loss.alpha: [0.75, 0.25]
seeds: [0]
tune: {optim.lr: [0.05, 0.1], seeds: [100, 101]}
`

// tuning returns the plan's Tuning with its states.
func (b *bench) tuning(t *testing.T, p *plan.Plan) (*plan.Plan, []State) {
	t.Helper()
	tuning, err := p.Tuning()
	if err != nil {
		t.Fatal(err)
	}
	states, err := b.States(t.Context(), tuning)
	if err != nil {
		t.Fatal(err)
	}
	return tuning, states
}

// diverges, as a result given to a trial, is a loss that is not finite; fails is no result.
const (
	diverges = -1.
	fails    = -2.
)

// give records results of a plan's Tuning without training: AP by row, candidate and seed.
func (b *bench) give(t *testing.T, p *plan.Plan, aps [][][]float64) {
	t.Helper()
	_, states := b.tuning(t, p)
	rows, err := byRow(p, states)
	if err != nil {
		t.Fatal(err)
	}
	for i, row := range aps {
		for j, seeds := range row {
			for k, ap := range seeds {
				s := byCandidate(rows[i])[j][k]
				if s.Done() {
					continue
				}
				if _, err := b.Store.BeginTrial(record.Trial{
					Key: s.Key, Config: string(plan.Resolved(&s.Config)), Seed: s.Seed, Dataset: s.Data, Init: s.Init,
					Engine: b.Engine.Info().Name, Numerics: fmt.Sprint(plan.Numerics), Started: b.Timestamp(),
				}, record.Attempt{Number: 1, Owner: "test", Host: "test"}, 0); err != nil {
					t.Fatal(err)
				}
				f := record.Finish{Outcome: record.Outcome{Status: record.StatusDone, Finished: b.Timestamp(), Metrics: map[string]float64{"AP": ap}}}
				switch ap {
				case diverges:
					f.Outcome = record.Outcome{Status: record.StatusDiverged, Finished: b.Timestamp()}
				case fails:
					f.Outcome = record.Outcome{Status: record.StatusFailed, Error: "no space", Finished: b.Timestamp()}
				}
				if err := b.Store.FinishTrial(s.Key, 1, f); err != nil {
					t.Fatal(err)
				}
			}
		}
	}
}

// choose records the choices of the plan as its trials now are.
func (b *bench) choose(t *testing.T, p *plan.Plan) []Choice {
	t.Helper()
	_, states := b.tuning(t, p)
	choices, err := b.Choose(p, states)
	if err != nil {
		t.Fatal(err)
	}
	return choices
}

// remarksOn returns the rows that have chosen, with their learning rate, and the remarks on them.
func (b *bench) remarksOn(t *testing.T, p *plan.Plan) (own map[int]float64, remarks string) {
	t.Helper()
	p, list, err := b.WithChoices(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	own = map[int]float64{}
	for row, at := range p.Best {
		if at >= 0 {
			own[row] = p.Rows[at].Config.Number("optim.lr")
		}
	}
	return own, strings.Join(list, "\n")
}

// A sweep that tunes trains the candidates on the split tune, chooses, and trains each row at its choice. What is done
// is not done again, and a row whose best is the common value is not trained twice.
func TestTune(t *testing.T) {
	b := newBench(t, 2)
	p := b.plan(t, tinyTuned, plan.Selection{})
	started := map[string]int{}
	b.Notify = func(e experiments.Event) {
		if s, ok := e.(TrialStarted); ok {
			started[s.Key]++
		}
	}
	tuning, _ := b.tuning(t, p)
	if c, err := b.Sweep(t.Context(), tuning); err != nil || c != (record.Counts{Done: 8}) {
		t.Fatalf("candidates: %+v, %v", c, err)
	}
	for _, tr := range b.trials(t) {
		if !strings.Contains(tr.Config, `"eval.split":"tune"`) || tr.Seed < 100 {
			t.Errorf("trial %.12s of seed %d is not scored on tune: %s", tr.Key, tr.Seed, tr.Config)
		}
	}
	// A process that is killed here has chosen nothing; the next one finds all trials done.
	if own, said := b.remarksOn(t, p); len(own) > 0 || said != "" {
		t.Errorf("chosen before the choice: %v, %q", own, said)
	}
	for range 2 {
		if c, err := b.Sweep(t.Context(), tuning); err != nil || c != (record.Counts{Done: 8}) {
			t.Fatalf("candidates again: %+v, %v", c, err)
		}
		if choices := b.choose(t, p); len(choices) != 2 || choices[0].Was != "" || choices[1].Was != "" {
			t.Fatalf("chose %+v, want a choice for each of two rows and none replaced", choices)
		}
		wide, _, err := b.WithChoices(t.Context(), p)
		if err != nil {
			t.Fatal(err)
		}
		if c, err := b.Sweep(t.Context(), wide); err != nil || c != (record.Counts{Done: len(wide.Rows)}) {
			t.Fatalf("table: %+v of %d rows, %v", c, len(wide.Rows), err)
		}
	}
	for key, n := range started {
		if n != 1 {
			t.Errorf("trial %.12s was started %d times", key, n)
		}
	}
	wide, _, err := b.WithChoices(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	own := 0
	for row, at := range wide.Best {
		if at != row { // the best of the row is not its own learning rate
			own++
		}
	}
	if len(started) != 8+2+own {
		t.Errorf("%d trials, want 8 candidates, 2 rows and %d of these at another rate", len(started), own)
	}
}

// The table of a plan with choices has two blocks, each with its baseline; published figures stand in the first alone,
// and the seeds that chose are in neither.
func TestTableOfChoices(t *testing.T) {
	b := newBench(t, 2)
	p := b.plan(t, strings.NewReplacer("title: tiny", "table: 1b", "  optim.warmup: 2", "  optim.warmup: 2\n  loss.gamma: 0\n  loss.alpha: 0.75").Replace(tinyTuned), plan.Selection{})
	if table, err := b.Table(t.Context(), p, TableOptions{EverySeed: true}); err != nil || len(table.Blocks) != 1 || table.Blocks[0].Title != "" || len(table.Factors) != 2 {
		t.Fatalf("before any choice: %+v, %v", table, err)
	}
	b.give(t, p, [][][]float64{{{.2, .2}, {.1, .1}}, {{.1, .1}, {.2, .2}}})
	b.choose(t, p)
	wide, _, err := b.WithChoices(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Sweep(t.Context(), wide); err != nil {
		t.Fatal(err)
	}
	reported := b.plan(t, strings.Replace(p.Text, "tune: {optim.lr: [0.05, 0.1], seeds: [100, 101]}", "", 1), plan.Selection{Seeds: "100"})
	if _, err := b.Sweep(t.Context(), reported); err != nil {
		t.Fatal(err)
	}
	table, err := b.Table(t.Context(), b.plan(t, p.Text, plan.Selection{}), TableOptions{EverySeed: true, PerClass: true})
	if err != nil || len(table.Blocks) != 2 {
		t.Fatalf("%+v, %v; want two blocks", table, err)
	}
	for i, want := range []struct {
		title     string
		rates     []float64
		published bool
	}{{"Same recipe", []float64{.1, .1}, true}, {"Own best recipe", []float64{.05, .1}, false}} {
		block := table.Blocks[i]
		if block.Title != want.title || len(block.Rows) != 2 {
			t.Fatalf("block %d: %+v", i, block)
		}
		for j, row := range block.Rows {
			if row.Factors["optim.lr"] != want.rates[j] || row.N != 1 || len(row.Classes) != 4 || row.Baseline != (j == 0) || (row.Paper["AP"] != nil) != want.published {
				t.Errorf("%s, row %d: %+v", block.Title, j, row)
			}
		}
	}
	if a, b := table.Blocks[0].Rows[1].Runs, table.Blocks[1].Rows[1].Runs; len(a) != 1 || a[0] != b[0] {
		t.Errorf("a row whose best is the common value has the runs %v and %v", a, b)
	}
}

// A sweep that is stopped half-way through the candidates goes on there.
func TestTuneInterrupted(t *testing.T) {
	b := newBench(t, 2)
	p := b.plan(t, tinyTuned, plan.Selection{})
	tuning, _ := b.tuning(t, p)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	ended := 0
	b.Notify = func(e experiments.Event) {
		if _, ok := e.(TrialEnded); ok {
			if ended++; ended == 3 {
				stop()
			}
		}
	}
	if _, err := b.Sweep(ctx, tuning); !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the interruption", err)
	}
	if choices := b.choose(t, p); len(choices) > 0 {
		t.Errorf("chose %+v from half of the candidates", choices)
	}
	if c, err := b.Sweep(t.Context(), tuning); err != nil || c != (record.Counts{Done: 8}) || ended > 9 {
		t.Errorf("%+v, %d trials ended, %v", c, ended, err)
	}
	if choices := b.choose(t, p); len(choices) != 2 {
		t.Errorf("chose %+v", choices)
	}
}

func TestChoose(t *testing.T) {
	three := strings.Replace(tinyTuned, "[0.05, 0.1]", "[0.2, 0.05, 0.1]", 1) // the order of the file does not matter
	for _, tt := range []struct {
		name   string
		aps    [][]float64 // of the first row by candidate: .2, .05, .1
		best   string      // "": none
		doubts string
	}{
		{"the highest mean, not the highest trial", [][]float64{{.1, .2}, {.3, .0}, {.2, .2}}, "optim.lr=0.1", ""},
		{"a tie: the smaller rate", [][]float64{{.3, .1}, {.1, .1}, {.1, .3}}, "optim.lr=0.1", ""},
		{"a tie at the edge", [][]float64{{.1, .1}, {.2, .2}, {.2, .2}}, "optim.lr=0.05", "optim.lr=0.05 is the smallest candidate: add 0.025"},
		{"the upper edge", [][]float64{{.3, .3}, {.1, .1}, {.2, .2}}, "optim.lr=0.2", "optim.lr=0.2 is the largest candidate: add 0.4"},
		{"one diverged counts as 0", [][]float64{{diverges, .4}, {.1, .1}, {.3, .2}}, "optim.lr=0.1", ""},
		{"all of a candidate diverged", [][]float64{{diverges, diverges}, {.0, .1}, {.2, .2}}, "optim.lr=0.1", ""},
		{"all diverged", [][]float64{{diverges, diverges}, {diverges, diverges}, {diverges, diverges}}, "optim.lr=0.05", "all candidates have the same AP, 0, so that optim.lr=0.05 is a guess"},
		{"one failed", [][]float64{{.1, .1}, {.3, fails}, {.2, .2}}, "", ""},
		{"one is missing", [][]float64{{.1, .1}, {.3, .1}, {.2}}, "", ""},
	} {
		t.Run(tt.name, func(t *testing.T) {
			b := newBench(t, 1)
			p := b.plan(t, three, plan.Selection{})
			b.give(t, p, [][][]float64{tt.aps, {{.2, .2}, {.1, .1}, {.3, .3}}})
			choices := b.choose(t, p)
			if last := choices[len(choices)-1]; last.Row != 1 || last.Candidates[last.Best].Settings != "optim.lr=0.1" {
				t.Errorf("the other row chose %+v", last)
			}
			if tt.best == "" {
				if len(choices) != 1 {
					t.Errorf("chose %+v without all results", choices[0])
				}
				return
			}
			c := choices[0]
			if got := c.Candidates[c.Best].Settings; got != tt.best || strings.Join(c.Doubts, "\n") != tt.doubts {
				t.Errorf("chose %s of %+v with the doubts %q; want %s with %q", got, c.Candidates, c.Doubts, tt.best, tt.doubts)
			}
			own, said := b.remarksOn(t, p)
			if want := strings.TrimPrefix(tt.best, "optim.lr="); fmt.Sprint(own[0]) != want || !strings.Contains(said, tt.doubts) {
				t.Errorf("the table has %v with %q; want %s with %q", own, said, want, tt.doubts)
			}
		})
	}
}

// A choice stays whatever else is trained, also by a file that chooses for the same row among other candidates or by
// other seeds, until its evidence is replaced; a table says when it is stale.
func TestChoiceStays(t *testing.T) {
	b := newBench(t, 1)
	p := b.plan(t, tinyTuned, plan.Selection{})
	b.give(t, p, [][][]float64{{{.2, .2}, {.1, .1}}, {{.1, .1}, {.2, .2}}})
	b.choose(t, p)
	subjects := map[string]bool{}
	record0 := b.recorded(t, p, 0)
	subjects[record0.Subject] = true

	// More trials on tune, of another seed and another rate, change nothing.
	more := b.plan(t, strings.NewReplacer("[0.05, 0.1]", "[0.05, 0.1, 0.2]", "[100, 101]", "[102]").Replace(tinyTuned), plan.Selection{})
	b.give(t, more, [][][]float64{{{.1}, {.9}, {.8}}, {{.9}, {.1}, {.2}}})
	if choices := b.choose(t, p); choices[0].Was != "" || !record0.Same(b.recorded(t, p, 0)) || b.recorded(t, p, 0).Chosen != record0.Chosen {
		t.Errorf("chose %+v again, want the first choice and its time", choices[0])
	}
	if own, said := b.remarksOn(t, more); len(own) > 0 || said != "" {
		t.Errorf("a file with other candidates has %v and says %q", own, said)
	}
	if choices := b.choose(t, more); choices[0].Was != "" {
		t.Errorf("among others chose %+v, want nothing replaced", choices)
	}
	if own, said := b.remarksOn(t, p); own[0] != .05 || own[1] != .1 || strings.Contains(said, "stale") || !record0.Same(b.recorded(t, p, 0)) {
		t.Errorf("after another file chose: %v, %q", own, said)
	}
	if now := b.recorded(t, more, 0); now.Subject == record0.Subject || now.Best != `{"optim.lr":0.1}` || len(now.Candidates) != 3 {
		t.Errorf("recorded %+v", now)
	}
	if own, said := b.remarksOn(t, more); own[0] != .1 || strings.Contains(said, "stale") {
		t.Errorf("after it: %v, %q", own, said)
	}

	// The common recipe, the table's seeds and --only are no part of what a choice is for.
	other := b.plan(t, more.Text, plan.Selection{Set: []string{"optim.lr=0.4"}, Seeds: "7", Only: []string{"loss.gamma=0"}})
	if own, said := b.remarksOn(t, other); len(own) != 1 || own[0] != .1 || strings.Contains(said, "stale") {
		t.Errorf("with another common recipe: %v, %q", own, said)
	}
	// Other trainings are for something else, and a table of the split that chose has no rows that it chose.
	for set, want := range map[string]string{"train.iters=5": "", "eval.split=tune": "No rows at their own best settings: "} {
		if own, said := b.remarksOn(t, b.plan(t, more.Text, plan.Selection{Set: []string{set}})); len(own) > 0 || !strings.HasPrefix(said, want) || want == "" && said != "" {
			t.Errorf("with %s: %v, %q", set, own, said)
		}
	}

	// Evidence that an import replaces makes the choice stale, and is what the next choice rests on.
	_, states := b.tuning(t, more)
	bundle, err := record.ReadBundle(record.BundlePath(record.BundleDir(b.Store.Path()), states[0].Key))
	if err != nil {
		t.Fatal(err)
	}
	bundle.Metrics["AP"] = .95
	line, err := bundle.Encode()
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.Store.Import(results.KeepTheirs, KeyOf(), results.Source{Name: "theirs", Reader: strings.NewReader(string(line))}); err != nil {
		t.Fatal(err)
	}
	if own, said := b.remarksOn(t, more); own[0] != .1 || !strings.Contains(said, "Row 1: the choice is stale, as trials that it rests on were replaced; a sweep with --tune chooses again.") {
		t.Errorf("after an import: %v, %q", own, said)
	}
	if choices := b.choose(t, more); choices[0].Was != "optim.lr=0.1" || b.recorded(t, more, 0).Best != `{"optim.lr":0.05}` {
		t.Errorf("then chose %+v", choices[0])
	}
}

// recorded returns the choice recorded for a row of the plan.
func (b *bench) recorded(t *testing.T, p *plan.Plan, row int) *record.Choice {
	t.Helper()
	_, states := b.tuning(t, p)
	rows, err := byRow(p, states)
	if err != nil {
		t.Fatal(err)
	}
	c, err := b.recordedChoice(p, rows[row])
	if err != nil || c == nil {
		t.Fatalf("row %d: %+v, %v", row, c, err)
	}
	return c
}

// Some rows may be chosen before others: the table has those, and says which are missing.
func TestChoiceOfSomeRows(t *testing.T) {
	b := newBench(t, 1)
	p := b.plan(t, tinyTuned, plan.Selection{})
	only := b.plan(t, tinyTuned, plan.Selection{Only: []string{"loss.gamma=2"}})
	b.give(t, only, [][][]float64{{{.2, .2}, {.1, .1}}})
	b.choose(t, only)
	own, said := b.remarksOn(t, p)
	if len(own) != 1 || own[1] != .05 || !strings.Contains(said, "Row 1: no own best settings are chosen yet; a sweep with --tune chooses them.") {
		t.Errorf("%v, %q", own, said)
	}
}

// Two processes that tune on one database share the candidates, and make the same choices.
func TestTwoTune(t *testing.T) {
	one, two := newBench(t, 1), newBench(t, 1)
	store, err := results.Open(one.Store.Path())
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	two.Store = store
	p := one.plan(t, tinyTuned, plan.Selection{})
	one.give(t, p, [][][]float64{{{.2, .2}, {.1, .1}}, {{.1, .1}, {.2, .2}}})
	one.choose(t, p)
	first := one.recorded(t, p, 0)
	if choices := two.choose(t, p); len(choices) != 2 || choices[0].Was != "" {
		t.Errorf("the second process chose %+v", choices)
	}
	if again := two.recorded(t, p, 0); again.Chosen != first.Chosen || !again.Same(first) {
		t.Errorf("recorded %+v, then %+v", first, again)
	}
}

// The choices come back from an export, without the trials being trained or chosen again.
func TestChoiceFromExport(t *testing.T) {
	b := newBench(t, 1)
	p := b.plan(t, tinyTuned, plan.Selection{})
	b.give(t, p, [][][]float64{{{.2, .2}, {.1, .1}}, {{.1, .1}, {.2, .2}}})
	b.choose(t, p)
	var export strings.Builder
	if err := b.Store.Export(&export); err != nil {
		t.Fatal(err)
	}
	store, err := results.Open(filepath.Join(t.TempDir(), "y.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	if did, err := store.Import(results.KeepNone, KeyOf(), results.Source{Name: "x", Reader: strings.NewReader(export.String())}); err != nil || did.Choices != 2 || did.Added != 8 {
		t.Fatalf("%+v, %v", did, err)
	}
	b.Store = store
	if own, said := b.remarksOn(t, p); own[0] != .05 || own[1] != .1 || strings.Contains(said, "stale") {
		t.Errorf("%v, %q", own, said)
	}
	_, states := b.tuning(t, p)
	if slices.ContainsFunc(states, func(s State) bool { return !s.Done() }) {
		t.Error("candidates are to be trained again")
	}
}
