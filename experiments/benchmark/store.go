package benchmark

import (
	"context"
	"fmt"
	"io"
	"io/fs"
	"math"
	"os"
	"path/filepath"
	"strings"

	"focalgrid/detector"
	"focalgrid/experiments/plan"
	"focalgrid/experiments/sweep"
	"focalgrid/metrics"
	"focalgrid/results"
	"focalgrid/results/record"
	"focalgrid/results/report"
	"focalgrid/setting"
)

// Store describes the size of the results database that is measured.
type Store struct {
	Trials int
	Seeds  int // trials a row of the table
	Steps  int // rows of each trial's training log
}

// Check reports what can't be measured.
func (b Store) Check() error {
	switch {
	case b.Trials < 1 || b.Trials > plan.MaxTrials:
		return fmt.Errorf("--trials %d: want 1 to %d", b.Trials, plan.MaxTrials)
	case b.Seeds < 1 || b.Trials%b.Seeds != 0:
		return fmt.Errorf("--seeds %d: want a divisor of the %d trials", b.Seeds, b.Trials)
	case b.Steps < 0 || b.Steps > 1_000_000:
		return fmt.Errorf("--steps %d: want 0 to 1000000", b.Steps)
	}
	return nil
}

// Timed holds the time of one piece of work, the shortest if it was done several times.
type Timed struct {
	What    string
	Seconds float64
}

// StoreTimes holds the measurements of a Store.
type StoreTimes struct {
	Times         []Timed // in the order done
	DatabaseBytes int64
	BundleBytes   int64
}

// grid is a file of Trials/Seeds rows.
func (b Store) grid() string {
	rates := make([]string, b.Trials/b.Seeds)
	for i := range rates {
		rates[i] = setting.Spell(1e-5 * float64(i+1))
	}
	return fmt.Sprintf("profile: mini\ngrid:\n  optim.lr: [%s]\nseeds: 0..%d\n", strings.Join(rates, ", "), b.Seeds-1)
}

// bundle makes up the result of a trial.
func (b Store) bundle(r *sweep.Records, p *sweep.State, index int) *record.Bundle {
	at := r.Timestamp()
	wave := func(i int) float64 { return .5 + .5*math.Sin(float64(i)) }
	out := &record.Bundle{Trial: record.Trial{
		Key: p.Key, Kind: record.KindTrain, Config: string(plan.Resolved(&p.Config)), Seed: p.Seed, Dataset: p.Data, Init: p.Init,
		Engine: r.Engine.Info().Name, Numerics: fmt.Sprint(plan.Numerics), Started: at, Provenance: r.Host.Provenance(),
		Attempts: []record.Attempt{{
			Number: 1, Owner: fmt.Sprint("bench/", index), Host: r.Host.Name, EndStep: p.Config.Int("train.iters"), Started: at, Ended: at,
			WallSeconds: 60, Exit: record.StatusDone, Environment: r.Host.Provenance(),
		}},
		Outcome: record.Outcome{Status: record.StatusDone, Finished: at, WallSeconds: 60, Metrics: map[string]float64{"AP.001": wave(index)}},
	}}
	for i, name := range metrics.StatNames[:9] {
		out.Metrics[name] = wave(index + i)
	}
	for i := range p.Config.Int("data.classes") {
		out.Classes = append(out.Classes, record.ClassMetric{Category: int64(i + 1), Name: fmt.Sprint("class ", i+1), AP: wave(i), AP50: wave(i), AP75: wave(i)})
	}
	for i := range b.Steps {
		out.Steps = append(out.Steps, record.Step{Step: i, Loss: wave(index + i), Losses: record.FirstLosses(wave(index+i+1), wave(index+i+2)), LR: .01, GradNorm: wave(index + i + 3), Positives: i})
	}
	return out
}

// storeReads is how often what only reads is done; the shortest time counts, which
// other work on the machine disturbs least.
const storeReads = 3

// RunStore fills a database in dir with made-up results and measures what the
// verbs do with it. r describes the machine, and has no database. Only the machine's disk and one
// core matter.
func RunStore(ctx context.Context, r sweep.Records, dir string, b Store) (*StoreTimes, error) {
	if err := b.Check(); err != nil {
		return nil, err
	}
	grid, path := filepath.Join(dir, "bench.yaml"), filepath.Join(dir, "bench.db")
	if err := os.WriteFile(grid, []byte(b.grid()), 0o666); err != nil {
		return nil, err
	}
	var p *plan.Plan
	var states []sweep.State
	out := &StoreTimes{}
	for _, work := range []struct {
		what  string
		times int
		do    func() error
	}{
		{"plan, nothing recorded", storeReads, func() (err error) {
			if p, err = detector.Settings.Load(grid, plan.Selection{}); err == nil {
				states, err = r.States(ctx, p)
			}
			return err
		}},
		{"record", 1, func() error { return recordBench(ctx, r, path, b, p, states) }},
		{"plan, all recorded", storeReads, reading(r, path, func(r *sweep.Records) error {
			p, err := detector.Settings.Load(grid, plan.Selection{})
			if err == nil {
				_, err = r.States(ctx, p)
			}
			return err
		})},
		{"ls", storeReads, reading(r, path, func(r *sweep.Records) error { return listBench(r.Store, "text") })},
		{"ls, JSON", storeReads, reading(r, path, func(r *sweep.Records) error { return listBench(r.Store, "json") })},
		{"table", storeReads, reading(r, path, func(r *sweep.Records) error {
			p, err := detector.Settings.Load(grid, plan.Selection{})
			if err != nil {
				return err
			}
			t, err := r.Table(ctx, p, sweep.TableOptions{EverySeed: true})
			if err != nil {
				return err
			}
			return t.Write(io.Discard, "text")
		})},
		{"log of one trial", storeReads, reading(r, path, func(r *sweep.Records) error {
			_, err := r.Store.StepRows(states[len(states)/2].Key)
			return err
		})},
		{"db export", 1, reading(r, path, func(r *sweep.Records) error { return r.Store.Export(io.Discard) })},
		{"db rebuild", 1, func() error {
			if err := os.Rename(path, path+".old"); err != nil {
				return err
			}
			_, err := results.Rebuild(path, sweep.KeyOf())
			return err
		}},
	} {
		least := math.Inf(1)
		for range work.times {
			if err := ctx.Err(); err != nil {
				return nil, err
			}
			start := r.Now()
			if err := work.do(); err != nil {
				return nil, fmt.Errorf("%s: %w", work.what, err)
			}
			least = min(least, r.Now().Sub(start).Seconds())
		}
		out.Times = append(out.Times, Timed{work.what, least})
	}
	return out, out.measure(path)
}

// reading runs f on the database, opened for reading.
func reading(r sweep.Records, path string, f func(*sweep.Records) error) func() error {
	return func() (err error) {
		if r.Store, err = results.OpenExisting(path); err != nil {
			return err
		}
		defer r.Store.Close()
		return f(&r)
	}
}

func listBench(s *results.Store, format string) error {
	trials, err := s.Trials(results.Filter{})
	if err != nil {
		return err
	}
	return report.WriteList(io.Discard, trials, format, func(*record.Trial) bool { return false })
}

// recordBench records the plan, and a result and a bundle for each trial.
func recordBench(ctx context.Context, r sweep.Records, path string, b Store, p *plan.Plan, states []sweep.State) (err error) {
	if r.Store, err = results.Open(path); err != nil {
		return err
	}
	defer r.Store.Close()
	if err := r.SavePlan(p, states); err != nil {
		return err
	}
	for i := range states {
		if err := ctx.Err(); err != nil {
			return err
		}
		bundle := b.bundle(&r, &states[i], i)
		if err := record.WriteBundle(record.BundleDir(path), bundle); err != nil {
			return err
		}
		if err := r.Store.Apply(bundle); err != nil {
			return err
		}
	}
	return nil
}

// measure adds the sizes of the database and of all its bundles.
func (t *StoreTimes) measure(path string) error {
	info, err := os.Stat(path)
	if err != nil {
		return err
	}
	t.DatabaseBytes = info.Size()
	return filepath.WalkDir(record.BundleDir(path), func(_ string, e fs.DirEntry, err error) error {
		if err != nil || e.IsDir() {
			return err
		}
		info, err := e.Info()
		if err == nil {
			t.BundleBytes += info.Size()
		}
		return err
	})
}
