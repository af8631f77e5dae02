package sweep

import (
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/paper"
	"focalgrid/results/record"
	tables "focalgrid/results/report"
)

// tableOf makes the table of a grid file without any trial.
func tableOf(t *testing.T, grid string, sel plan.Selection) *tables.Table {
	t.Helper()
	file := filepath.Join(t.TempDir(), "grid.yaml")
	if err := os.WriteFile(file, []byte(grid), 0o666); err != nil {
		t.Fatal(err)
	}
	p, err := detector.Settings.Load(file, sel)
	if err != nil {
		t.Fatal(err)
	}
	table, err := TableOf(p, nil)
	if err != nil {
		t.Fatal(err)
	}
	return table
}

// TestPublishedBeside: a published figure stands beside a row only if its other settings are the table's own, whether
// the file, a profile or --set says otherwise.
func TestPublishedBeside(t *testing.T) {
	const grid = `
table: 1d
profile: mini
list:
  - {loss: {type: focal, gamma: 2, alpha: 0.25}}
  - {loss: {type: focal, gamma: 2, alpha: 0.25}, optim.type: adamw}
  - {loss: {type: focal, gamma: 2, alpha: 0.25}, optim.lr: 0.05}
  - {loss: {type: focal, gamma: 2, alpha: 0.25}, box_loss.type: giou}
  - {loss: {type: ce, alpha: none}, sampler: {type: ohem, ratio: 0, batch: 256, nms: 0.7}}
  - {loss: {type: ce, alpha: none}, sampler: {type: ohem, ratio: 0, batch: 256, nms: 0.7}, optim.lr: 0.2}
seeds: [0]
`
	for _, tt := range []struct {
		set   []string
		want  []float64 // 0: none
		apart []string
	}{
		{nil, []float64{.36, 0, 0, 0, .318, 0}, []string{"optim.type", "optim.lr", "box_loss.type"}},
		{[]string{"model.depth=18"}, []float64{.36, 0, 0, 0, .318, 0}, []string{"optim.type", "optim.lr", "box_loss.type"}}, // as it is
		{[]string{"train.iters=10"}, []float64{0, 0, 0, 0, 0, 0}, []string{"train.iters", "optim.type", "optim.lr", "box_loss.type"}},
	} {
		table := tableOf(t, grid, plan.Selection{Set: tt.set})
		for i, r := range table.Blocks[0].Rows {
			got := 0.
			if v := r.Paper["AP"]; v != nil {
				got = *v
			}
			if got != tt.want[i] {
				t.Errorf("--set %v, row %d: published AP %g, want %g (0: none)", tt.set, i, got, tt.want[i])
			}
		}
		got, want := slices.Clone(table.Apart), slices.Clone(tt.apart)
		slices.Sort(got)
		slices.Sort(want)
		got = slices.DeleteFunc(got, func(key string) bool { return !slices.Contains(want, key) && strings.HasPrefix(key, "box_loss.") }) // what giou brings
		if !slices.Equal(got, want) {
			t.Errorf("--set %v: apart in %v, want %v", tt.set, got, want)
		}
	}
	changed := tableOf(t, grid, plan.Selection{Set: []string{"train.iters=10", "train.batch=16"}}).Changed
	if !slices.Equal(changed, []string{"train.iters=10 (in the file 600)"}) {
		t.Errorf("changed: %v", changed)
	}
}

// TestPublished: each table of the paper is printed as published, with its times, and nothing of ours.
func TestPublished(t *testing.T) {
	for _, id := range PublishedIDs() {
		table, err := Published(id)
		if err != nil {
			t.Fatal(err)
		}
		of, err := paper.Load(id)
		if err != nil {
			t.Fatal(err)
		}
		rows := table.Blocks[0].Rows
		if len(rows) != len(of.Rows) || !table.Published {
			t.Fatalf("table %s: %d rows, want %d", id, len(rows), len(of.Rows))
		}
		for i, r := range rows {
			if r.N != 0 || len(r.Metrics) > 0 || *r.Paper["AP"] != *of.Rows[i].Metrics["AP"] || (r.Millis != nil) != (id == "1e") {
				t.Errorf("table %s, row %d: %+v", id, i, r)
			}
		}
		for _, format := range tables.TableFormats() {
			var text strings.Builder
			if err := table.Write(&text, format); err != nil {
				t.Errorf("table %s as %s: %v", id, format, err)
			}
			if tables.ForPeople(format) && !strings.Contains(text.String(), "as published") {
				t.Errorf("table %s as %s is not named as published", id, format)
			}
		}
	}
	if _, err := Published("1f"); !errors.Is(err, paper.ErrNoTable) {
		t.Errorf("table 1f: %v", err)
	}
}

// TestAtWork: a trial that is recorded as running is worked on while its process lives and its heartbeats come.
func TestAtWork(t *testing.T) {
	now := time.Date(2030, 5, 1, 12, 0, 0, 0, time.UTC)
	at := func(owner string, age time.Duration, wall float64) record.Trial {
		return record.Trial{Outcome: record.Outcome{Status: record.StatusRunning}, Attempts: []record.Attempt{
			{Owner: owner, Started: now.Add(-age).Format(time.RFC3339), WallSeconds: wall}}}
	}
	ended, done := at("far away", time.Second, 1), at("far away", time.Second, 1)
	ended.Attempts[0].Exit = record.ExitKilled
	done.Status = record.StatusDone
	gone := numberedName(1<<22+1) + " 1" // above every process number
	for _, tt := range []struct {
		name  string
		trial record.Trial
		want  bool
	}{
		{"another machine, heard of", at("far away", time.Hour, 3595), true},
		{"another machine, silent", at("far away", time.Hour, 3000), false},
		{"this process", at(processName(), time.Minute, 0), true},
		{"this process, silent for long", at(processName(), time.Hour, 0), false},
		{"a process that has ended", at(gone, time.Second, 1), false},
		{"its attempt has ended", ended, false},
		{"done", done, false},
		{"no attempt", record.Trial{Outcome: record.Outcome{Status: record.StatusRunning}}, false},
	} {
		if got := AtWork(&tt.trial, now); got != tt.want {
			t.Errorf("%s: %v, want %v", tt.name, got, tt.want)
		}
	}
}
