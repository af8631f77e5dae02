package optim

import (
	"errors"
	"math"
	"reflect"
	"slices"
	"strings"
	"testing"

	"focalgrid/engine"
	"focalgrid/setting"

	"pgregory.net/rapid"
)

func close(got, want, tol float64) bool { return math.Abs(got-want) <= tol*math.Abs(want) }

// sgd is the paper's optimiser (§4.1), its drops of the rate as shares of the 90k iterations.
func sgd() Config {
	return Config{Type: "sgd", LR: .01, Momentum: .9, WeightDecay: 1e-4, DecayBias: true, Schedule: "step", Steps: []float64{2. / 3, 8. / 9}, Factor: .1}
}

// adamw has the constants of Loshchilov and Hutter's method as commonly set.
func adamw() Config {
	return Config{Type: "adamw", LR: .001, Beta1: .9, Beta2: .999, Eps: 1e-8, WeightDecay: .01, DecayBias: true, Schedule: "cosine"}
}

// "90k iterations with an initial learning rate of 0.01, which is then divided
// by 10 at 60k and again at 80k iterations": §4.1. The same schedule in
// fractions and in steps.
func TestPaperSchedule(t *testing.T) {
	steps := sgd()
	steps.Steps = []float64{60000, 80000}
	for _, c := range []Config{sgd(), steps} {
		for _, tt := range []struct {
			step int
			want float64
		}{{0, .01}, {59999, .01}, {60000, .001}, {79999, .001}, {80000, .0001}, {89999, .0001}} {
			if got := c.LRAt(tt.step, 90000); !close(got, tt.want, 1e-12) {
				t.Errorf("steps %v: rate %g at step %d, want %g", c.Steps, got, tt.step, tt.want)
			}
		}
	}
}

func TestWarmup(t *testing.T) {
	c := sgd()
	c.LR, c.Warmup, c.Steps = .1, 50, []float64{.67, .89}
	tests := []struct {
		factor float64
		step   int
		want   float64
	}{
		{0, 0, .1 / 50}, {0, 24, .05}, {0, 48, .1 * 49 / 50}, {0, 49, .1}, {0, 50, .1},
		{0, 401, .1}, {0, 402, .01}, {0, 533, .01}, {0, 534, .001}, // .67 and .89 of 600
		{.5, 0, .1 * (.5 + .5/50)}, {.5, 49, .1}, {1, 0, .1},
	}
	for _, tt := range tests {
		c.WarmupFactor = tt.factor
		if got := c.LRAt(tt.step, 600); !close(got, tt.want, 1e-12) {
			t.Errorf("factor %g: rate %g at step %d, want %g", tt.factor, got, tt.step, tt.want)
		}
	}
}

func TestCosine(t *testing.T) {
	c := sgd()
	c.Schedule, c.LR = "cosine", .2
	for _, tt := range []struct {
		step int
		want float64
	}{{0, .2}, {250, .1 * (1 + math.Sqrt2/2)}, {500, .1}, {750, .1 * (1 - math.Sqrt2/2)}} {
		if got := c.LRAt(tt.step, 1000); !close(got, tt.want, 1e-12) {
			t.Errorf("rate %g at step %d, want %g", got, tt.step, tt.want)
		}
	}
}

// After warm-up no schedule raises the rate, and it never leaves (0, LR].
func TestScheduleProperties(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		c := sgd()
		c.Warmup = rapid.IntRange(0, 40).Draw(t, "warmup")
		c.WarmupFactor = rapid.Float64Range(0, 1).Draw(t, "factor")
		c.Schedule = rapid.SampledFrom([]string{"step", "cosine"}).Draw(t, "schedule")
		iters := rapid.IntRange(1, 200).Draw(t, "iters")
		last := math.Inf(1)
		for step := range iters {
			lr := c.LRAt(step, iters)
			if lr <= 0 || lr > c.LR*(1+1e-12) {
				t.Fatalf("rate %g at step %d of %d, want in (0, %g]", lr, step, iters, c.LR)
			}
			if step > c.Warmup && lr > last {
				t.Fatalf("rate rises from %g to %g at step %d", last, lr, step)
			}
			last = lr
		}
	})
}

func TestUpdate(t *testing.T) {
	c := sgd()
	c.Clip, c.DecayBias = 10, false
	want := engine.Update{Kind: "sgd", Momentum: .9, WeightDecay: 1e-4, Clip: 10}
	if got := c.Update(); got != want {
		t.Errorf("got %+v, want %+v", got, want)
	}
}

// values are the settings that give sgd and adamw above.
func values() setting.Values {
	return setting.Values{
		"type": "sgd", "lr": .01, "momentum": .9, "beta1": .9, "beta2": .999, "eps": 1e-8, "weight_decay": 1e-4, "decay_bias": true, "clip": 0.,
		"warmup": 0, "warmup_factor": 0., "schedule": "step", "steps": []float64{2. / 3, 8. / 9}, "factor": .1,
	}
}

// An optimiser has what its rule and its schedule bring, and nothing of the others.
func TestNew(t *testing.T) {
	if got := New(values()); !reflect.DeepEqual(got, sgd()) {
		t.Errorf("sgd is %+v", got)
	}
	v := values()
	v["type"], v["schedule"], v["lr"], v["weight_decay"] = "adamw", "cosine", .001, .01
	if got := New(v); !reflect.DeepEqual(got, adamw()) {
		t.Errorf("adamw is %+v", got)
	}
}

// A value is judged alone, and the steps beside each other.
func TestParams(t *testing.T) {
	params := slices.Concat(Params, rules["sgd"], rules["adamw"], schedules["step"])
	for _, p := range params {
		if v := values()[p.Name]; v != nil {
			if err := errors.Join(p.Judge(v), p.JudgeGroup(values())); err != nil {
				t.Errorf("%s: %v", p.Name, err)
			}
		}
	}
	tests := []struct {
		name  string
		value any
		want  string
	}{
		{"type", "adam", `is "adam", must be one of adamw, sgd`},
		{"schedule", "", `is "", must be one of cosine, step`},
		{"lr", 0., "is 0, must be above 0 and at most 1e+06"},
		{"lr", math.Inf(1), "is +Inf, must be"},
		{"lr", math.NaN(), "is NaN, must be"},
		{"momentum", 1., "is 1, must be at least 0 and below 1"},
		{"beta1", -1., "is -1, must be at least 0 and below 1"},
		{"beta2", 1., "is 1, must be at least 0 and below 1"},
		{"eps", 0., "is 0, must be above 0"},
		{"weight_decay", -1., "is -1, must be from 0"},
		{"clip", -1., "is -1, must be from 0"},
		{"warmup", -1, "is -1, must be from 0"},
		{"warmup_factor", 2., "is 2, must be from 0 to 1"},
		{"factor", 0., "is 0, must be above 0 and at most 1"},
		{"steps", []float64{0}, "is [0], must be 0 to 1000 numbers above 0"},
		{"steps", []float64{1.5}, "is [1.5], must be whole iterations"},
		{"steps", []float64{.9, .5}, "is [0.9,0.5], must rise"},
		{"steps", []float64{.5, 100}, "is [0.5,100], must rise, and be all iterations or all shares"},
	}
	for _, tt := range tests {
		v := values()
		v[tt.name] = tt.value
		p := params[slices.IndexFunc(params, func(p setting.Param) bool { return p.Name == tt.name })]
		err := p.Judge(tt.value)
		if err == nil {
			err = p.JudgeGroup(v)
		}
		if err == nil || !strings.HasPrefix(err.Error(), tt.want) {
			t.Errorf("%s: error %v, want one that starts with %q", tt.name, err, tt.want)
		}
	}
}
