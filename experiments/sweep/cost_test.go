package sweep

import (
	"errors"
	"maps"
	"math"
	"path/filepath"
	"testing"
	"time"

	"focalgrid/detector"
	"focalgrid/engine"
	"focalgrid/engine/enginetest"
	"focalgrid/engine/gorgonia"
	"focalgrid/engine/kernel"
	"focalgrid/experiments"
	"focalgrid/experiments/plan"
	"focalgrid/results"
	"focalgrid/results/record"
)

// estimator looks things up, and trains nothing, over a store that may be nil.
func estimator(t *testing.T, store *results.Store, host experiments.Host) *Records {
	t.Helper()
	pool := kernel.NewPool(1)
	t.Cleanup(pool.Close)
	return &Records{Store: store, Host: host, Trainer: &experiments.Trainer{
		Data: experiments.Data{Cache: t.TempDir()}, Engine: gorgonia.New(pool, gorgonia.Options{}), Now: time.Now,
	}}
}

func mustLoad(t *testing.T, source string, set ...string) *plan.Plan {
	t.Helper()
	p, err := detector.Settings.Load(source, plan.Selection{Set: set})
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// billion is a rate of as many multiply-adds a second.
var billion = Rates{"f32": {MACs: 1e9}}

// TestCostByRate: a training image costs three forward passes, a test image one.
func TestCostByRate(t *testing.T) {
	p := mustLoad(t, "gamma", "train.iters=7", "train.batch=5", "data.images.val=11")
	r := estimator(t, nil, experiments.Host{})
	states, err := r.States(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	costs, err := r.Costs(states, billion)
	if err != nil {
		t.Fatal(err)
	}
	sum, err := detector.Summary(&p.Rows[0].Config, 128, 128)
	if err != nil {
		t.Fatal(err)
	}
	want := float64(sum.Total.MACs) * (3*7*5 + 11)
	for i, c := range costs {
		if c.MACs != want || c.Seconds != want/1e9 || c.Recorded {
			t.Errorf("trial %d costs %+v, want %g multiply-adds in %g s", i, c, want, want/1e9)
		}
	}
}

// probed is an engine that says how fast it is.
type probed struct {
	engine.Engine
	rates map[bool]engine.Rate // by whether in bfloat16
	err   error                // of a precision without a rate
}

func (p probed) ProbeRate(_ func() time.Time, bfloat16 bool) (engine.Rate, error) {
	if r, ok := p.rates[bfloat16]; ok {
		return r, nil
	}
	return engine.Rate{}, p.err
}

// TestRates: an engine is measured at the precisions that trials need, and at f32. Costs follow, where there is a rate.
func TestRates(t *testing.T) {
	slow, fast, lost := engine.Rate{MACs: 2e9}, engine.Rate{MACs: 8e9, Guessed: true}, errors.New("the device is lost")
	measured := "an estimate from a measured 2 billion multiply-adds a second"
	for _, tt := range []struct {
		name      string
		precision string
		engine    probed
		want      Rates
		basis     string
		err       error
	}{
		{"f32", "f32", probed{rates: map[bool]engine.Rate{false: slow, true: fast}}, Rates{"f32": slow}, measured, nil},
		{"bf16", "bf16", probed{rates: map[bool]engine.Rate{false: slow, true: fast}}, Rates{"f32": slow, "bf16": fast},
			"a rough estimate from 8 (bf16) and 2 (f32) billion multiply-adds a second, guessed from the speed of convolutions", nil},
		{"a precision that the engine has not", "bf16", probed{rates: map[bool]engine.Rate{false: slow}, err: engine.ErrUnsupported}, Rates{"f32": slow}, measured, nil},
		{"a device that does not answer", "bf16", probed{rates: map[bool]engine.Rate{false: slow}, err: lost}, nil, "", lost},
	} {
		t.Run(tt.name, func(t *testing.T) {
			r := estimator(t, nil, experiments.Host{})
			states, err := r.States(t.Context(), mustLoad(t, "smoke", "train.precision="+tt.precision))
			if err != nil {
				t.Fatal(err)
			}
			r.Engine = tt.engine
			got, err := r.Rates(states)
			if !errors.Is(err, tt.err) || !maps.Equal(got, tt.want) {
				t.Fatalf("%v, %v; want %v, %v", got, err, tt.want, tt.err)
			}
			if err != nil {
				return
			}
			if got.Basis() != tt.basis {
				t.Errorf("%s\nwant %s", got.Basis(), tt.basis)
			}
			costs, err := r.Costs(states, got)
			if err != nil {
				t.Fatal(err)
			}
			rate, known := tt.want[tt.precision]
			if c := costs[0]; known && c.Seconds != c.MACs/rate.MACs || !known && !math.IsNaN(c.Seconds) {
				t.Errorf("%g multiply-adds take %g s", c.MACs, c.Seconds)
			}
		})
	}
	r := estimator(t, nil, experiments.Host{})
	r.Engine = enginetest.Device(r.Engine) // it measures nothing
	if got, err := r.Rates(nil); got != nil || err != nil {
		t.Errorf("%v, %v; want none", got, err)
	}
}

// TestCostOfNoSteps: a trial of no steps costs its evaluation.
func TestCostOfNoSteps(t *testing.T) {
	r := estimator(t, nil, experiments.Host{})
	states, err := r.States(t.Context(), mustLoad(t, "smoke", "train.iters=0"))
	if err != nil {
		t.Fatal(err)
	}
	costs, err := r.Costs(states, billion)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range costs {
		if c.Seconds != c.MACs/1e9 || c.MACs <= 0 {
			t.Errorf("trial %d costs %+v", i, c)
		}
	}
}

// TestCostByRecord: trials of the same work on this machine tell the time of another, whatever
// its loss; those of other work, another machine, another engine or other threads do not.
func TestCostByRecord(t *testing.T) {
	store, err := results.Open(filepath.Join(t.TempDir(), "x.db"))
	if err != nil {
		t.Fatal(err)
	}
	defer store.Close()
	here := experiments.Host{Name: "here", CPU: "some", Kernels: "go", Threads: 2}
	other := here
	other.Threads = 4
	p := mustLoad(t, "gamma", "train.iters=7")
	long := mustLoad(t, "gamma", "train.iters=8")
	r := estimator(t, store, here)
	engine := r.Engine.Info().Name
	record := func(key string, cfg plan.Config, engine string, h experiments.Host, wall float64) {
		t.Helper()
		for len(key) < 64 {
			key += "0"
		}
		_, err := store.BeginTrial(record.Trial{Key: key, Config: string(plan.Resolved(&cfg)), Dataset: "d", Engine: engine, Numerics: "1", Started: "2026-01-01T00:00:00Z", Provenance: h.Provenance()},
			record.Attempt{Owner: "test"}, 0)
		err = errors.Join(err, store.FinishTrial(key, 1, record.Finish{Outcome: record.Outcome{Status: record.StatusDone, Finished: "2026-01-01T00:01:00Z", WallSeconds: wall, Metrics: map[string]float64{"AP": 0}}}))
		if err != nil {
			t.Fatal(err)
		}
	}
	record("a1", p.Rows[0].Config, engine, here, 30)
	record("a2", p.Rows[1].Config, engine, here, 10)
	record("a3", p.Rows[2].Config, engine, here, 20)
	record("b1", p.Rows[0].Config, engine, other, 100)
	record("c1", long.Rows[0].Config, engine, here, 1000)
	record("d1", p.Rows[0].Config, engine+"-x4", here, 100) // one whose devices share a batch

	states, err := r.States(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	costs, err := r.Costs(states, billion)
	if err != nil {
		t.Fatal(err)
	}
	for i, c := range costs {
		if c.Seconds != 20 || !c.Recorded {
			t.Errorf("trial %d costs %+v, want the median of 10, 20 and 30 s", i, c)
		}
	}
}

func TestPretrainSeconds(t *testing.T) {
	p := mustLoad(t, "gamma", "pretrain.seed=12345") // one that no file is kept of
	r := estimator(t, nil, experiments.Host{})
	states, err := r.States(t.Context(), p)
	if err != nil {
		t.Fatal(err)
	}
	once, err := r.PretrainSeconds(states[:1], billion)
	if err != nil || !(once > 0) {
		t.Fatalf("pretraining takes %g s (%v)", once, err)
	}
	if all, err := r.PretrainSeconds(states, billion); err != nil || all != once {
		t.Errorf("for seven trials it takes %g s (%v), want %g once", all, err, once)
	}
	none := mustLoad(t, "gamma", "pretrain.type=none")
	if states, err = r.States(t.Context(), none); err != nil {
		t.Fatal(err)
	}
	if s, err := r.PretrainSeconds(states, billion); err != nil || s != 0 {
		t.Errorf("without pretraining it takes %g s (%v)", s, err)
	}
}
